use super::{AncestryKey, RevocationKey, RevocationKind};
use crate::protocol::{ClientId, IssuerId};

/// Tokens that have something in common, and that one write revokes if they were issued before a moment.
///
/// A cut-off also reaches every token that was exchanged for such a token, whenever that exchange was made. The page
/// [`revocation`](crate::manual::revocation) says what each kind reaches.
///
/// ```
/// use tower_token_exchange::revocation::CutOff;
///
/// let tokens_of_alice = CutOff::subject("https://idp.example", "alice");
/// assert_eq!(tokens_of_alice.kind().as_str(), "subject");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOff {
    kind: RevocationKind,
    /// The issuer, if the kind has one.
    issuer: Option<IssuerId>,
    name: String,
}

impl CutOff {
    /// Everything of a subject, by the name that its own issuer uses.
    pub fn subject(iss: impl Into<IssuerId>, sub: impl Into<String>) -> Self {
        Self::of_issuer(RevocationKind::Subject, iss, sub)
    }

    /// Everything of a session (claim `sid`) of an issuer.
    pub fn session(iss: impl Into<IssuerId>, sid: impl Into<String>) -> Self {
        Self::of_issuer(RevocationKind::Session, iss, sid)
    }

    /// Every token of this authorization server that was issued to a client.
    pub fn client(id: impl Into<ClientId>) -> Self {
        Self { kind: RevocationKind::Client, issuer: None, name: id.into().into() }
    }

    /// Every token in whose `act` an actor is, by the name that `act` has, and that was issued before the moment itself or was
    /// exchanged for a token that was.
    pub fn actor(iss: impl Into<IssuerId>, sub: impl Into<String>) -> Self {
        Self::of_issuer(RevocationKind::Actor, iss, sub)
    }

    /// Everything of an issuer.
    pub fn issuer(iss: impl Into<IssuerId>) -> Self {
        Self { kind: RevocationKind::Issuer, issuer: None, name: iss.into().into() }
    }

    /// Everything that the key of an issuer signed. The key has the name that its tokens have in their header (`kid`).
    pub fn signing_key(iss: impl Into<IssuerId>, kid: impl Into<String>) -> Self {
        Self::of_issuer(RevocationKind::SigningKey, iss, kid)
    }

    fn of_issuer(kind: RevocationKind, iss: impl Into<IssuerId>, name: impl Into<String>) -> Self {
        Self { kind, issuer: Some(iss.into()), name: name.into() }
    }

    /// The kind.
    pub fn kind(&self) -> RevocationKind {
        self.kind
    }

    /// The subject, if the cut-off is about a subject.
    pub(crate) fn subject_name(&self) -> Option<(&IssuerId, &str)> {
        let issuer = self.issuer.as_ref().filter(|_| self.kind == RevocationKind::Subject)?;
        Some((issuer, &self.name))
    }

    /// The key of the cut-off in a store.
    pub fn key(&self, key: &AncestryKey) -> RevocationKey {
        match (&self.issuer, self.kind) {
            (Some(issuer), RevocationKind::SigningKey) => key.signing_key(issuer, &self.name),
            (Some(issuer), kind) => key.of_issuer(kind, issuer, &self.name),
            (None, RevocationKind::Client) => key.client(&self.name),
            (None, _) => key.issuer(&self.name),
        }
    }
}
