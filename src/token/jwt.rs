use crate::{
    jose::{Claims, ClientVerifier, Compact, Header, KeyMatch, KeyUse, RawHeader},
    jwks::TrustedKeys,
    protocol::{Detail, Reason, Rejection, refuse},
    records::{IssuerId, IssuerRecord},
};
use std::borrow::Cow;

/// A signed JWT (RFC 7519 section 7.2) whose signature has not been checked.
pub(super) struct Jwt<'a> {
    jws: Compact<'a>,
    header: RawHeader,
}

impl<'a> Jwt<'a> {
    /// Reads the form of a JWT. `None` for every other token, such as an opaque token.
    pub(super) fn read(token: &'a str) -> Option<Self> {
        let jws = Compact::parse(token)?;
        let header = RawHeader::parse(jws.header())?;
        Some(Self { jws, header })
    }

    pub(super) fn header(&self) -> Result<Header, Rejection> {
        self.header.check()
    }

    /// Returns the media type in the header, without a check of the other members.
    pub(super) fn typ(&self) -> Result<Option<Cow<'static, str>>, Rejection> {
        self.header.typ()
    }

    pub(super) fn claims(&self) -> Result<Claims, Rejection> {
        Claims::from_json(self.jws.payload()).map_err(|_| refuse(Reason::TokenClaimsMalformed))
    }

    /// The header, if this layer issued the token: a key of the signer has the name that the token gives, and signed the token.
    pub(super) fn issued_header(
        &self,
        own: &IssuerId,
        keys: &TrustedKeys,
        verifier: ClientVerifier<'_>,
    ) -> Option<Header> {
        let header = self.header.check().ok()?;
        let signature = verifier.check(&header, &self.jws, KeyUse::Signature);
        let is_issued = header.kid.is_some() && keys.verifies_as_issued(own, |set| signature.with_keys(set));
        is_issued.then_some(header)
    }

    /// Checks that a key of the issuer signed the token, with an algorithm that the record of the issuer allows.
    pub(super) async fn check_signature(
        &self,
        header: &Header,
        issuer: &IssuerRecord,
        keys: &TrustedKeys,
        verifier: ClientVerifier<'_>,
    ) -> Result<(), Rejection> {
        let algorithm = header.algorithm;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(refuse(Reason::TokenAlgorithmRefused).with_detail(format_args!("alg `{algorithm}`")));
        }
        let key_use = if issuer.spiffe { KeyUse::JwtSvid } else { KeyUse::Signature };
        let signature = verifier.check(header, &self.jws, key_use);
        match keys.verify(issuer, header.kid.is_some(), |set| signature.with_keys(set)).await? {
            KeyMatch::Verified => Ok(()),
            KeyMatch::Mismatch => Err(refuse(Reason::TokenSignatureInvalid)),
            KeyMatch::NoKey => {
                let detail = Detail::from(format_args!("alg `{algorithm}`, "));
                let detail = match &header.kid {
                    Some(kid) => detail.words("kid ").unverified(kid),
                    None => detail.words("no kid"),
                };
                Err(refuse(Reason::TokenKeyUnknown).with_detail(detail))
            }
        }
    }
}
