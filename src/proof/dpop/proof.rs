//! The check of one DPoP proof (RFC 9449 section 4.3).

use super::{
    Dpop, Nonces,
    url::{below, normalized},
};
use crate::{
    jose::{Algorithm, Claims, Compact, Cryptography, Header, KeyUse, RawHeader, Thumbprint, VerifyingKey, base64url},
    protocol::{Detail, NumericDate, Reason, Rejection, refuse, sha256_of_secret},
};
use http::HeaderValue;
use std::time::Duration;

/// The longest proof that is read, in bytes. A proof with a large RSA key has about 4 KiB.
const MAX_BYTES: usize = 16 * 1024;
/// How far the clock of the client may be ahead.
const LEEWAY: Duration = Duration::from_secs(10);

/// The request that a proof has to be made for.
#[derive(Clone, Copy)]
pub(in crate::proof) struct ProofFor<'a> {
    method: &'a str,
    /// The path of the request, which is appended to the URLs of the settings. `None` if the URLs are complete.
    path: Option<&'a str>,
    /// The access token in the request, which the proof has to name.
    access_token: Option<&'a str>,
}

impl<'a> ProofFor<'a> {
    /// A request at the token endpoint.
    pub(in crate::proof) const TOKEN_ENDPOINT: Self = Self { method: "POST", path: None, access_token: None };

    /// A request to a resource server (RFC 9449 section 7).
    #[cfg(feature = "resource-server")]
    pub(in crate::proof) fn resource(method: &'a str, path: &'a str, access_token: &'a str) -> Self {
        Self { method, path: Some(path), access_token: Some(access_token) }
    }
}

/// A key that signed a proof for this server, at about this time. Whether the proof was used before is not checked yet.
pub(in crate::proof) struct ProvenKey {
    pub(in crate::proof) thumbprint: Thumbprint,
    pub(in crate::proof) algorithm: Algorithm,
    /// The `jti` of the proof.
    pub(in crate::proof) id: String,
    pub(in crate::proof) freshness: Freshness,
}

/// What the time and the nonce of a proof say.
pub(in crate::proof) struct Freshness {
    /// The time after which the proof is refused.
    pub(in crate::proof) expires_at: NumericDate,
    /// The nonce for the next request, if the proof does not have this nonce already.
    pub(in crate::proof) next_nonce: Option<HeaderValue>,
}

fn malformed(problem: impl Into<Detail>) -> Rejection {
    refuse(Reason::DpopProofMalformed).with_detail(problem)
}

impl Dpop {
    /// Checks the value of a header `DPoP`.
    ///
    /// The signature is checked last, because a client that has to learn a nonce sends every request twice.
    pub(in crate::proof) fn check(
        &self,
        value: &HeaderValue,
        request: ProofFor<'_>,
        now: NumericDate,
        cryptography: Cryptography,
    ) -> Result<ProvenKey, Rejection> {
        let text = value.to_str().map_err(|_| malformed("the header is not ASCII"))?;
        if text.len() > MAX_BYTES {
            return Err(malformed("larger than 16 KiB"));
        }
        let jws = Compact::parse(text).ok_or_else(|| malformed("the header is not one signed JWT"))?;
        let raw = RawHeader::parse(jws.header()).ok_or_else(|| malformed("the JOSE header is not one JSON object"))?;
        let header = self.check_header(&raw)?;
        let (key, thumbprint) = key_of(&raw, &header)?;

        let claims = Claims::from_json(jws.payload()).map_err(|_| malformed("the claims are not one JSON object"))?;
        let id = required(&claims, "jti")?.to_owned();
        self.check_request(&claims, request)?;
        let freshness = self.check_freshness(&claims, now)?;

        if !key.verify(header.algorithm, jws.signing_input.as_bytes(), jws.signature(), cryptography) {
            return Err(refuse(Reason::DpopSignatureInvalid));
        }
        Ok(ProvenKey { thumbprint, algorithm: header.algorithm, id, freshness })
    }

    fn check_header(&self, raw: &RawHeader) -> Result<Header, Rejection> {
        let header = raw.check().map_err(|refusal| match refusal.reason() {
            Reason::TokenAlgorithmRefused => refuse(Reason::DpopKeyRefused).with_detail("the `alg` is not supported"),
            _ => malformed("the JOSE header has a member that no proof has, or lacks a member"),
        })?;
        if header.typ.as_deref() != Some("dpop+jwt") {
            return Err(malformed("the `typ` is not `dpop+jwt`"));
        }
        if !self.algorithms.contains(&header.algorithm) {
            let detail = format!("the algorithm {} is not accepted", header.algorithm);
            return Err(refuse(Reason::DpopKeyRefused).with_detail(detail));
        }
        Ok(header)
    }

    /// Checks the method and the URL for which the proof was made, and the access token that the proof names.
    fn check_request(&self, claims: &Claims, request: ProofFor<'_>) -> Result<(), Rejection> {
        let (htm, htu) = (required(claims, "htm")?, required(claims, "htu")?);
        let mismatch = |detail: Detail| Err(refuse(Reason::DpopProofMismatch).with_detail(detail));
        if htm != request.method {
            return mismatch(format!("the `htm` is not `{}`", request.method).into());
        }
        let is_url = |htu: &String| match request.path {
            None => self.urls.contains(htu),
            Some(path) => self.urls.iter().any(|base| below(base, path).as_ref() == Some(htu)),
        };
        if !normalized(htu).as_ref().is_some_and(is_url) {
            let place = if request.path.is_some() { "request" } else { "token endpoint" };
            let detail = Detail::from("the `htu` ").unverified(htu);
            return mismatch(detail.words(format_args!(" is not the URL of the {place}")));
        }
        match request.access_token {
            Some(token) if required(claims, "ath")? != base64url(&sha256_of_secret(token)) => {
                mismatch("the `ath` is not the hash of the access token".into())
            }
            _ => Ok(()),
        }
    }

    /// Checks the age of the proof: by its nonce, or else by its `iat`.
    fn check_freshness(&self, claims: &Claims, now: NumericDate) -> Result<Freshness, Rejection> {
        let iat = claims.seconds("iat").ok().flatten().ok_or_else(|| malformed("no `iat`, or not a time"))?;
        let given = match claims.get("nonce") {
            None => None,
            Some(nonce) => Some(nonce.as_str().ok_or_else(|| malformed("the `nonce` is not a text"))?),
        };
        let Some(Nonces { key, are_required }) = &self.nonces else {
            return Ok(Freshness { expires_at: self.check_age(iat, now)?, next_nonce: None });
        };
        let current = key.nonce(now);
        let expires_at = match given {
            Some(nonce) => key.accepted_until(nonce, now),
            None if *are_required => None,
            None => Some(self.check_age(iat, now)?),
        };
        let Some(expires_at) = expires_at else {
            let problem = if given.is_some() { "the nonce is not current" } else { "no nonce" };
            return Err(refuse(Reason::DpopNonceRequired).with_detail(problem).with_dpop_nonce(current));
        };
        let is_current = given.is_some_and(|nonce| current == *nonce);
        Ok(Freshness { expires_at, next_nonce: (!is_current).then_some(current) })
    }

    /// Returns the time after which a proof of this time is refused.
    fn check_age(&self, iat: u64, now: NumericDate) -> Result<NumericDate, Rejection> {
        let issued_at = NumericDate::from_seconds(iat);
        let expires_at = issued_at + self.max_age;
        if issued_at > now + LEEWAY || expires_at < now {
            let detail = format!("iat {issued_at}, now {now}");
            return Err(refuse(Reason::DpopProofStale).with_detail(detail));
        }
        Ok(expires_at)
    }
}

/// Returns the public key in the header, and its thumbprint.
fn key_of(raw: &RawHeader, header: &Header) -> Result<(VerifyingKey, Thumbprint), Rejection> {
    let refused = |problem: String| refuse(Reason::DpopKeyRefused).with_detail(problem);
    let jwk = raw.jwk().ok_or_else(|| malformed("no `jwk`, or not a JSON object"))?;
    let key = VerifyingKey::from_jwk(jwk).map_err(|problem| refused(format!("the `jwk`: {problem}")))?;
    if key.key_use != KeyUse::Signature || !key.fits(header.algorithm) {
        return Err(refused("the `jwk` is not for the `alg`".to_owned()));
    }
    let thumbprint = Thumbprint::of_jwk(jwk).ok_or_else(|| refused("the `jwk` has no thumbprint".to_owned()))?;
    Ok((key, thumbprint))
}

fn required<'a>(claims: &'a Claims, name: &'static str) -> Result<&'a str, Rejection> {
    let text = claims.text(name).ok().flatten();
    text.ok_or_else(|| malformed(format!("no `{name}`, or not a text")))
}
