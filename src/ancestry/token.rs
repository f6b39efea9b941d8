use super::claim::{Ancestor, Ancestry, Root, Source};
use crate::{
    jose::{Claims, signed_part},
    protocol::{ANCESTRY, IssuerId, Reason, Rejection, refuse},
    revocation::{AncestryKey, RevocationKind, TokenName},
    token::VerifiedToken,
};

/// The facts about a token that a revocation can name.
pub(crate) struct PresentedToken<'a> {
    pub(crate) name: TokenName<'a>,
    pub(crate) issuer: &'a IssuerId,
    /// Whether this authorization server issued the token.
    pub(crate) is_own: bool,
    /// The subject, by the name that the issuer uses.
    pub(crate) sub: &'a str,
    pub(crate) claims: &'a Claims,
    /// The client that the token was issued to.
    pub(crate) client: Option<&'a str>,
    /// The name of the key that signed the token.
    pub(crate) key_id: Option<&'a str>,
    /// The claim `ancestry`, if the layer issued the token. A token without the claim is a root.
    pub(crate) ancestry: Option<&'a str>,
}

/// The name of a token of another server. The signature is no part of the name: one content can have several signatures.
pub(crate) fn name_of_text(token: &str) -> TokenName<'_> {
    // Some servers accept several spellings of one token.
    let unpadded = token.trim_end_matches('=');
    match signed_part(unpadded) {
        Some(signed) => TokenName::Signed(signed),
        None => TokenName::Opaque(unpadded),
    }
}

impl<'a> PresentedToken<'a> {
    /// The facts about a verified token with this text.
    pub(crate) fn new(token: &'a VerifiedToken, text: &'a str) -> Self {
        let jti = token.claims.text("jti").ok().flatten().filter(|_| token.is_issued_here);
        Self {
            name: jti.map_or_else(|| name_of_text(text), TokenName::Jti),
            issuer: &token.issuer.id,
            is_own: token.own,
            sub: &token.sub,
            claims: &token.claims,
            client: token.presenter.as_deref().filter(|_| token.own),
            key_id: token.key_id.as_deref(),
            ancestry: token.claims.text(ANCESTRY).ok().flatten().filter(|_| token.is_issued_here),
        }
    }

    /// The facts about a token that the layer issued.
    pub(crate) fn issued(issuer: &'a IssuerId, claims: &'a Claims, key_id: Option<&'a str>) -> Self {
        let claim = |name| claims.text(name).ok().flatten();
        Self {
            // Nobody can revoke a token without `jti` at this server.
            name: TokenName::Jti(claim("jti").unwrap_or_default()),
            issuer,
            is_own: true,
            sub: claim("sub").unwrap_or_default(),
            claims,
            client: claim("client_id"),
            key_id,
            ancestry: claim(ANCESTRY),
        }
    }

    /// The token and its ancestors, as a token that is exchanged for the token names them.
    pub(super) fn with_ancestors(&self, key: &AncestryKey) -> Result<Ancestry, Rejection> {
        let malformed = |_| refuse(Reason::TokenAncestryInvalid);
        let mut ancestry = self.ancestry.map_or(Ok(Ancestry::default()), Ancestry::from_claim).map_err(malformed)?;
        ancestry.0.insert(0, self.as_ancestor(key));
        Ok(ancestry)
    }

    fn as_ancestor(&self, key: &AncestryKey) -> Ancestor {
        let client = self.client.map_or([0; 3], |client| key.client(client).hash());
        let root = || Root {
            subject: key.of_issuer(RevocationKind::Subject, self.issuer, self.sub).hash(),
            session: self
                .session()
                .map_or([0; 5], |sid| key.of_issuer(RevocationKind::Session, self.issuer, sid).hash()),
        };
        let (client_or_issuer, source) = match (self.ancestry, self.is_own) {
            (Some(_), _) => (client, Source::Issued),
            (None, true) => (client, Source::OwnRoot(root())),
            (None, false) => (key.issuer(self.issuer).hash(), Source::ForeignRoot(root())),
        };
        let signing_key = self.key_id.map_or(0, |kid| {
            let [hash] = key.signing_key(self.issuer, kid).hash();
            hash
        });
        let issued_at = self.claims.seconds("iat").ok().flatten();
        Ancestor {
            id: key.token(self.name).hash(),
            client_or_issuer,
            signing_key,
            issued_at: issued_at.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            in_subject_line: true,
            source,
        }
    }

    pub(super) fn jti(&self) -> Option<&'a str> {
        self.claims.text("jti").ok().flatten()
    }

    fn session(&self) -> Option<&str> {
        self.claims.text("sid").ok().flatten()
    }
}
