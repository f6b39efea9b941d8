use super::{
    KnownClients, PresentedToken,
    claim::{Ancestor, Ancestry, Root, Source},
};
use crate::{
    protocol::{IssuerId, NumericDate, Reason, Rejection, refuse},
    records::Party,
    revocation::{AncestryKey, FoundRevocation, RevocationKey, RevocationKind, Revocations},
};

/// The keys of an ancestor, and of the parties of an exchange, that fit into the memory of most lineages.
const USUAL_MARKS: usize = 16;

/// Everything about an exchange, or about one token, that a revocation can name.
pub(crate) struct Lineage<'a> {
    key: &'a AncestryKey,
    own_issuer: RevocationKey,
    /// The tokens of the exchange and their ancestors.
    ancestry: Ancestry,
    /// The tokens that are presented, with their places in `ancestry`.
    presented: [Option<Presented<'a>>; 2],
    marks: Vec<Mark>,
}

/// A token that is presented.
#[derive(Clone, Copy)]
struct Presented<'a> {
    /// What the token is in the request, such as `subject token`.
    whose: &'static str,
    jti: Option<&'a str>,
    place: usize,
}

/// A key that is looked up.
#[derive(Clone, Copy)]
struct Mark {
    key: RevocationKey,
    /// The time of issue that a cut-off is compared with. `0` is before every moment.
    issued_at: u32,
    /// The place of the token in the ancestry. `None` for a party of the whole exchange.
    place: Option<usize>,
}

impl<'a> Lineage<'a> {
    /// The lineage of one token. `whose` names the token in a refusal, such as `subject token`.
    pub(crate) fn of_token(
        revocations: &'a Revocations,
        own_issuer: &IssuerId,
        whose: &'static str,
        token: &PresentedToken<'a>,
    ) -> Result<Self, Rejection> {
        let key = revocations.key();
        let ancestry = token.with_ancestors(key)?;
        let own_issuer = key.issuer(own_issuer);
        let presented = Presented { whose, jti: token.jti(), place: 0 };
        Ok(Self { key, own_issuer, ancestry, presented: [Some(presented), None], marks: Vec::new() })
    }

    /// Adds an actor token.
    pub(crate) fn add_actor_token(&mut self, whose: &'static str, token: &PresentedToken<'a>) -> Result<(), Rejection> {
        let actor = token.with_ancestors(self.key)?;
        let actor = actor.0.into_iter().map(|ancestor| Ancestor { in_subject_line: false, ..ancestor });
        let place = self.ancestry.0.len();
        self.ancestry.extend(actor);
        // The actor token can be one of the ancestors of the subject token.
        let is_new = self.ancestry.0.len() > place;
        self.presented[1] = is_new.then(|| Presented { whose, jti: token.jti(), place });
        Ok(())
    }

    /// Adds the names of the subject.
    pub(crate) fn add_subject<'n>(&mut self, names: impl Iterator<Item = &'n Party>) {
        let line = self.ancestry.0.iter().filter(|ancestor| ancestor.in_subject_line);
        let since = line.map(Ancestor::since).min().unwrap_or(0);
        self.add_parties(RevocationKind::Subject, names, since);
    }

    /// Adds the names of the actors that the issued token names.
    pub(crate) fn add_actors<'n>(&mut self, names: impl Iterator<Item = &'n Party>) {
        let since = self.ancestry.0.iter().map(Ancestor::since).min().unwrap_or(0);
        self.add_parties(RevocationKind::Actor, names, since);
    }

    fn add_parties<'n>(&mut self, kind: RevocationKind, names: impl Iterator<Item = &'n Party>, issued_at: u32) {
        self.marks.reserve(USUAL_MARKS);
        let key = |Party { iss, sub }: &Party| self.key.of_issuer(kind, iss, sub);
        self.marks.extend(names.map(|name| Mark { key: key(name), issued_at, place: None }));
    }

    /// Refuses what was revoked. Returns the ancestry of a token that is issued in the exchange.
    pub(crate) async fn check(
        mut self,
        revocations: &Revocations,
        clients: &KnownClients,
    ) -> Result<Ancestry, Rejection> {
        for place in 0..self.ancestry.0.len() {
            self.mark(place);
        }
        self.check_clients(clients)?;
        let found = revocations.find(self.marks.iter().map(|mark| mark.key)).await?;
        if !found.is_empty() {
            self.check_found(&found)?;
        }
        Ok(self.ancestry)
    }

    /// Refuses tokens of clients that have no record any more.
    fn check_clients(&self, clients: &KnownClients) -> Result<(), Rejection> {
        let is_issued = |ancestor: &&Ancestor| ancestor.source == Source::Issued;
        let unknown = |ancestor: &Ancestor| is_issued(&ancestor) && !clients.contains(ancestor.client_or_issuer);
        match self.ancestry.0.iter().position(unknown) {
            Some(place) => Err(refuse(Reason::TokenCutOff)
                .with_detail(format_args!("client: {}, whose client has no record", self.described(Some(place))))),
            None => Ok(()),
        }
    }

    fn check_found(&self, found: &[FoundRevocation]) -> Result<(), Rejection> {
        for mark in &self.marks {
            let issued_at = NumericDate::from_seconds(mark.issued_at.into());
            let Some(hit) = found.iter().find(|found| found.key == mark.key && found.issued_before > issued_at) else {
                continue;
            };
            let described = self.described(mark.place);
            let kind = mark.key.kind();
            return Err(match (kind, mark.place) {
                (RevocationKind::Token, place) => match self.presented().find(|token| Some(token.place) == place) {
                    Some(Presented { whose, jti: Some(jti), .. }) => {
                        refuse(Reason::TokenRevoked).with_detail(format_args!("{whose}, jti `{jti}`"))
                    }
                    Some(Presented { whose, jti: None, .. }) => refuse(Reason::TokenRevoked).with_detail(whose),
                    None => refuse(Reason::AncestorRevoked).with_detail(described),
                },
                _ => {
                    let before = hit.issued_before;
                    refuse(Reason::TokenCutOff).with_detail(format_args!("{kind}: {described}, issued before {before}"))
                }
            });
        }
        Ok(())
    }

    /// Adds the keys of an ancestor.
    fn mark(&mut self, place: usize) {
        let Ancestor { id, client_or_issuer, signing_key, source, .. } = self.ancestry.0[place];
        let issued_at = self.ancestry.0[place].since();
        let mut add = |key| self.marks.push(Mark { key, issued_at, place: Some(place) });
        add(RevocationKey::from_hash(RevocationKind::Token, id));
        let issuer: [u8; 3] = match source {
            Source::ForeignRoot(_) => client_or_issuer,
            Source::Issued | Source::OwnRoot(_) => {
                if client_or_issuer != [0; 3] {
                    add(RevocationKey::from_hash(RevocationKind::Client, client_or_issuer));
                }
                self.own_issuer.hash()
            }
        };
        add(RevocationKey::from_hash(RevocationKind::Issuer, issuer));
        if signing_key != 0 {
            let [a, b, c] = issuer;
            add(RevocationKey::from_hash(RevocationKind::SigningKey, [a, b, c, signing_key]));
        }
        if let Source::OwnRoot(Root { subject, session }) | Source::ForeignRoot(Root { subject, session }) = source {
            add(RevocationKey::from_hash(RevocationKind::Subject, subject));
            if session != [0; 5] {
                add(RevocationKey::from_hash(RevocationKind::Session, session));
            }
        }
    }

    fn presented(&self) -> impl DoubleEndedIterator<Item = &Presented<'a>> {
        self.presented.iter().flatten()
    }

    /// The place of a token in words, such as `ancestor 2 of the subject token`.
    fn described(&self, place: Option<usize>) -> String {
        let Some(place) = place else { return "a party of the exchange".to_owned() };
        match self.presented().rfind(|token| token.place <= place) {
            Some(token) if token.place == place => token.whose.to_owned(),
            Some(token) => format!("ancestor {} of the {}", place - token.place, token.whose),
            None => format!("ancestor {place}"),
        }
    }
}

impl Ancestor {
    /// The time of issue. A token without a time was issued before every moment.
    fn since(&self) -> u32 {
        self.issued_at.unwrap_or(0)
    }
}
