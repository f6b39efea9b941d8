//! Tokens: how the server signs them, and what a right token of the gateway says.

use super::world::ISSUER;
use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use std::sync::Mutex;
use tower_token_exchange::signing::{LocalSigner, PublishedKeys};

/// An access token that the server issued to `web`, for `orders`.
pub(crate) fn of_server(key: &LocalSigner, sub: &str) -> String {
    let segment = |json: Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let header = json!({ "alg": "ES256", "kid": key.key_id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": ISSUER, "sub": sub, "aud": "https://orders.example", "client_id": "web", "scope": "read",
        "exp": 9_999_999_999_u64, "iat": 1_700_000_000, "jti": format!("of-{sub}"),
    });
    let signed = format!("{}.{}", segment(header), segment(claims));
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()).unwrap()))
}

/// A token that the gateway issued.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) jti: String,
    /// The clock at the time of the exchange; see `World::clock`.
    pub(crate) clock: Option<u64>,
}

/// What a token must say.
pub(crate) struct Expected<'a> {
    pub(crate) sub: &'a str,
    pub(crate) client: &'a str,
    pub(crate) target: &'a str,
    pub(crate) act: Value,
}

/// The keys of the gateway, also the old ones.
#[derive(Default)]
pub(crate) struct Keys(Mutex<Vec<Value>>);

impl Keys {
    pub(crate) fn add(&self, keys: &PublishedKeys) {
        let json = serde_json::to_value(keys).unwrap();
        self.0.lock().unwrap().extend(json["keys"].as_array().unwrap().iter().cloned());
    }

    /// Checks an answer with a token, and returns the token.
    pub(crate) fn check(&self, answer: &str, expected: &Expected<'_>, clock: Option<u64>) -> Result<Issued, String> {
        let answer: Value = serde_json::from_str(answer).map_err(|error| error.to_string())?;
        let token = answer["access_token"].as_str().ok_or("no token")?;
        let claims = self.verified(token).ok_or("the signature is wrong")?;
        let lifetime = claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, iat)| exp.saturating_sub(iat));
        let lifetime = lifetime.ok_or("no times")?;
        let expires_in = answer["expires_in"].as_u64().ok_or("no expires_in")?;
        // The answer may come some seconds after the token was signed.
        let is_honest = (1..=300).contains(&lifetime) && expires_in <= lifetime && expires_in + 6 > lifetime;
        let found =
            json!([claims["iss"], claims["sub"], claims["client_id"], claims["aud"], claims["act"], claims["scope"]]);
        let aud = format!("https://{}.example", expected.target);
        let wanted = json!([ISSUER, expected.sub, expected.client, aud, expected.act, "read"]);
        if found != wanted || answer["scope"] != "read" || !is_honest {
            return Err(format!("{claims} in place of {wanted}, expires_in {expires_in}"));
        }
        let jti = claims["jti"].as_str().ok_or("no jti")?.to_owned();
        Ok(Issued { token: token.to_owned(), jti, clock })
    }

    fn verified(&self, token: &str) -> Option<Value> {
        let decoded = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
        let kid = serde_json::from_slice::<Value>(&decoded(header)?).ok()?["kid"].clone();
        let keys = self.0.lock().unwrap();
        let key = keys.iter().find(|key| key["kid"] == kid)?;
        let point = [&[4][..], &decoded(key["x"].as_str()?)?, &decoded(key["y"].as_str()?)?].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(format!("{header}.{payload}").as_bytes(), &decoded(signature)?).ok()?;
        serde_json::from_slice(&decoded(payload)?).ok()
    }
}
