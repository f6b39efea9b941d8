use crate::{
    jose::{Claims, Compact, Header, KeyMatch, KeyUse, RawHeader},
    jwks::TrustedKeys,
    protocol::{Reason, Rejection, refuse},
    records::IssuerRecord,
};

/// A signed JWT (RFC 7519 section 7.2), taken apart and not yet believed.
pub(super) struct Jwt<'a> {
    jws: Compact<'a>,
    header: RawHeader,
}

impl<'a> Jwt<'a> {
    /// Nothing for whatever has not the form of one; that may be a token all the same.
    pub(super) fn read(token: &'a str) -> Option<Self> {
        let jws = Compact::parse(token)?;
        let header = RawHeader::parse(&jws.header)?;
        Some(Self { jws, header })
    }

    pub(super) fn header(&self) -> Result<Header, Rejection> {
        self.header.judged()
    }

    /// What the header says that the token is, whoever vouches for it.
    pub(super) fn typ(&self) -> Result<Option<String>, Rejection> {
        self.header.typ()
    }

    pub(super) fn claims(&self) -> Result<Claims, Rejection> {
        Claims::from_json(&self.jws.payload).map_err(|_| refuse(Reason::TokenClaimsMalformed))
    }

    /// Whether one of the issuer's keys signed it, with an algorithm of the issuer's.
    pub(super) async fn check(
        &self,
        header: &Header,
        issuer: &IssuerRecord,
        keys: &TrustedKeys,
    ) -> Result<(), Rejection> {
        let algorithm = header.algorithm;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(refuse(Reason::TokenAlgorithmRefused).with_detail(format_args!("alg `{algorithm}`")));
        }
        let key_use = if issuer.spiffe { KeyUse::JwtSvid } else { KeyUse::Signature };
        let verified = keys.verify(issuer, header.kid.is_some(), |set| set.verify(header, &self.jws, key_use));
        match verified.await? {
            KeyMatch::Verified => Ok(()),
            KeyMatch::Mismatch => Err(refuse(Reason::TokenSignatureInvalid)),
            KeyMatch::NoKey => {
                let kid = header.kid.as_deref().unwrap_or("(none)");
                Err(refuse(Reason::TokenKeyUnknown).with_detail(format_args!("alg `{algorithm}`, kid `{kid}`")))
            }
        }
    }
}
