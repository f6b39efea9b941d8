//! A service that receives a token, and the checks that the service makes (RFC 9068 section 4).

use biscuit::{
    CompactJson, Empty,
    jwa::SignatureAlgorithm,
    jwk::{AlgorithmParameters, JWKSet},
    jws::Compact,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    error::Error,
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) struct ResourceServer<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: String,
}

#[derive(Deserialize, Serialize)]
struct Claims(Value);

impl CompactJson for Claims {}

impl ResourceServer<'_> {
    pub(crate) fn verify(&self, token: &str, jwks: &Value) -> Result<Value, Box<dyn Error>> {
        let token = Compact::<Claims, Empty>::new_encoded(token);
        let header = token.unverified_header()?.registered;
        let keys: JWKSet<Empty> = serde_json::from_value(jwks.clone())?;
        let key = keys.find(header.key_id.as_deref().ok_or("no kid")?).ok_or("no such key")?;
        let AlgorithmParameters::EllipticCurve(key) = &key.algorithm else { return Err("not an EC key".into()) };

        // The service chooses the algorithm. The header of the token does not.
        let token = token.decode(&key.jws_public_key_secret(), SignatureAlgorithm::ES256)?;
        let Claims(claims) = token.payload()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let checks = [
            ("typ", header.media_type.as_deref() == Some("at+jwt")),
            ("iss", claims["iss"] == self.issuer),
            ("aud", claims["aud"] == self.audience),
            ("exp", claims["exp"].as_u64().is_some_and(|exp| now < exp)),
        ];
        match checks.iter().find(|(_, holds)| !holds) {
            Some((name, _)) => Err(format!("{} refuses the token: `{name}` is {}", self.audience, claims[name]).into()),
            None => Ok(claims.clone()),
        }
    }
}
