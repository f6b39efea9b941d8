use crate::{
    jose::{Claims, Compact, Cryptography, Header, Invalid, KeyMatch, RawHeader},
    protocol::{Detail, Reason, Rejection, is_name, refuse},
    records::{ClientMethods, IssuerId},
};
use serde_json::Value;
use std::time::Duration;

/// The media types that the header of a client assertion may have, beside none (rfc7523bis section 4).
const TYPES: [&str; 2] = ["client-authentication+jwt", "jwt"];

/// A client assertion whose signature is not checked: a JWT (RFC 7523 section 3).
pub(super) struct Assertion<'a> {
    pub(super) jws: Compact<'a>,
    pub(super) header: Header,
    claims: Claims,
}

/// What an assertion is compared with.
pub(super) struct Expected<'a> {
    /// The issuer identifier of this server.
    pub(super) issuer: &'a IssuerId,
    /// The time in seconds since 1970.
    pub(super) now: u64,
    /// The tolerance for `nbf` and `iat`. `exp` has none.
    pub(super) leeway: Duration,
    /// The library that verifies the signature.
    pub(super) cryptography: Cryptography,
}

impl<'a> Assertion<'a> {
    pub(super) fn parse(assertion: &'a str) -> Result<Self, Rejection> {
        let jws = Compact::parse(assertion).ok_or_else(|| malformed("not a signed JWT"))?;
        let header = RawHeader::parse(jws.header()).ok_or_else(|| malformed("no JSON object as header"))?;
        let header = header.check().map_err(in_assertion)?;
        let claims = Claims::from_json(jws.payload()).map_err(|_| malformed("no JSON object as claims"))?;
        Ok(Self { jws, header, claims })
    }

    /// A claim that must be a text.
    pub(super) fn text(&self, claim: &'static str) -> Result<&str, Rejection> {
        self.claims.text(claim).ok().flatten().ok_or_else(|| malformed(format_args!("no text in claim `{claim}`")))
    }

    /// The value that makes the assertion usable once.
    pub(super) fn id(&self) -> Result<&str, Rejection> {
        Some(self.text("jti")?)
            .filter(|jti| is_name(jti))
            .ok_or_else(|| malformed("`jti` is too long or not printable"))
    }

    /// When the assertion expires, in seconds since 1970.
    pub(super) fn expires(&self) -> Result<u64, Rejection> {
        self.seconds("exp")?.ok_or_else(|| malformed("no claim `exp`"))
    }

    fn seconds(&self, claim: &'static str) -> Result<Option<u64>, Rejection> {
        self.claims.seconds(claim).map_err(|Invalid(claim)| malformed(format_args!("claim `{claim}` is not a time")))
    }

    /// Checks that the header has one of these media types, or none.
    pub(super) fn check_typ(&self, types: &[&str]) -> Result<(), Rejection> {
        match self.header.typ.as_deref().filter(|typ| !types.contains(typ)) {
            Some(typ) => {
                Err(refuse(Reason::ClientAssertionTypRefused).with_detail(Detail::from("typ ").unverified(typ)))
            }
            None => Ok(()),
        }
    }

    /// Checks the header of an assertion that a client signed.
    pub(super) fn check_header(&self, methods: &ClientMethods) -> Result<(), Rejection> {
        let Header { algorithm, .. } = &self.header;
        self.check_typ(&TYPES)?;
        if !methods.permit(*algorithm) {
            let detail = format_args!("alg `{algorithm}`");
            return Err(refuse(Reason::ClientAssertionAlgorithmRefused).with_detail(detail));
        }
        Ok(())
    }

    /// Checks that the assertion is for this server alone.
    pub(super) fn check_audience(&self, methods: &ClientMethods, expected: &Expected<'_>) -> Result<(), Rejection> {
        let (aud, issuer) = (self.claims.get("aud"), expected.issuer.as_str());
        let is_right = match aud {
            Some(Value::String(one)) => one == issuer || methods.older_audience.as_ref() == Some(one),
            Some(Value::Array(many)) if !methods.fapi => match (many.as_slice(), &methods.older_audience) {
                ([Value::String(one)], None) => one == issuer,
                (many, Some(older)) => many.iter().any(|one| one == issuer || one == older),
                _ => false,
            },
            _ => false,
        };
        if is_right { Ok(()) } else { Err(self.wrong_audience()) }
    }

    /// Checks that the assertion is for this audience and no other.
    pub(super) fn check_sole_audience(&self, audience: &str) -> Result<(), Rejection> {
        match self.claims.audience().map(Iterator::collect::<Vec<_>>).as_deref() {
            Ok([one]) if *one == audience => Ok(()),
            _ => Err(self.wrong_audience()),
        }
    }

    fn wrong_audience(&self) -> Rejection {
        let detail = match self.claims.get("aud") {
            Some(Value::String(one)) => Detail::from("aud ").unverified(one),
            Some(Value::Array(_)) => Detail::from("aud is a list"),
            _ => Detail::from("aud is no text"),
        };
        refuse(Reason::ClientAssertionAudienceRefused).with_detail(detail)
    }

    /// Checks that the assertion is valid now.
    pub(super) fn check_times(&self, expected: &Expected<'_>) -> Result<(), Rejection> {
        let (now, exp) = (expected.now, self.expires()?);
        if exp <= now {
            return Err(refuse(Reason::ClientAssertionExpired).with_detail(format_args!("exp {exp}, now {now}")));
        }
        let latest = now.saturating_add(expected.leeway.as_secs());
        for claim in ["nbf", "iat"] {
            if let Some(at) = self.seconds(claim)?.filter(|at| *at > latest) {
                let detail = format_args!("{claim} {at}, now {now}");
                return Err(refuse(Reason::ClientAssertionNotYetValid).with_detail(detail));
            }
        }
        Ok(())
    }

    /// Checks that the assertion ends soon.
    pub(super) fn check_lifetime(&self, longest: Duration, expected: &Expected<'_>) -> Result<(), Rejection> {
        let left = self.expires()?.saturating_sub(expected.now);
        if left > longest.as_secs() {
            let detail = format_args!("expires in {left} s, at most {} s are permitted", longest.as_secs());
            return Err(refuse(Reason::ClientAssertionTooLong).with_detail(detail));
        }
        Ok(())
    }
}

/// Whether the key that signed an assertion was found.
pub(super) fn found(key: KeyMatch, assertion: &Assertion<'_>) -> Result<(), Rejection> {
    match key {
        KeyMatch::Verified => Ok(()),
        KeyMatch::Mismatch => Err(refuse(Reason::ClientAssertionSignatureInvalid)),
        KeyMatch::NoKey => {
            let detail = Detail::from(format_args!("alg `{}`, ", assertion.header.algorithm));
            let detail = match &assertion.header.kid {
                Some(kid) => detail.words("kid ").unverified(kid),
                None => detail.words("no kid"),
            };
            Err(refuse(Reason::ClientAssertionKeyUnknown).with_detail(detail))
        }
    }
}

pub(super) fn malformed(detail: impl std::fmt::Display) -> Rejection {
    refuse(Reason::ClientAssertionMalformed).with_detail(detail)
}

/// The refusal of the header of an assertion, for the same cause as that of the header of a token.
fn in_assertion(of_token: Rejection) -> Rejection {
    let reason = match of_token.reason() {
        Reason::TokenAlgorithmRefused => Reason::ClientAssertionAlgorithmRefused,
        _ => Reason::ClientAssertionMalformed,
    };
    let rejection = refuse(reason);
    match of_token.detail() {
        Some(detail) => rejection.with_detail(detail.clone()),
        None => rejection,
    }
}
