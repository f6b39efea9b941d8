use super::{Endpoints, ask};
use crate::config::Config;
use anyhow::ensure;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde_json::Value;
use tower_token_exchange::{metadata::ServerMetadata, plug::HttpService, signing::Algorithm};

/// The algorithms of the keys that the authorization server publishes.
#[derive(Debug, PartialEq)]
pub(crate) struct ServerKeys {
    /// The algorithms of the key set, in its order.
    published: Vec<Algorithm>,
    /// The algorithms in which the server signs ID tokens, according to its metadata.
    named: Vec<Algorithm>,
}

impl ServerKeys {
    /// Asks the server for its key set, if there is one. A server without metadata names no algorithm.
    pub(crate) async fn fetch(
        config: &Config,
        http: &impl HttpService,
        endpoints: &Endpoints,
        metadata: Option<&ServerMetadata>,
    ) -> anyhow::Result<Self> {
        let Some(path) = endpoints.server_keys().or_else(|| endpoints.jwks().first().map(String::as_str)) else {
            return Ok(Self { published: Vec::new(), named: Vec::new() });
        };
        let url = config.public_url(path);
        let request = Request::get(&url).header(header::ACCEPT, "application/json").body(Bytes::new())?;
        let answer = ask(http, request).await?;
        let status = answer.status();
        ensure!(status == StatusCode::OK || status.is_client_error(), "{url}: status {status}");
        // A server that has no key set here publishes no keys.
        let key_set: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let named = metadata.map(|metadata| metadata.strings("id_token_signing_alg_values_supported"));
        Ok(Self::new(&key_set, &named.unwrap_or_default()))
    }

    fn new(key_set: &Value, named: &[String]) -> Self {
        let keys = key_set["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = named.iter().filter_map(|name| name.parse().ok()).collect();
        Self { published: keys.iter().filter_map(algorithm_of).collect(), named }
    }

    /// The algorithm of most tokens of the server: of the keys, the first that the metadata names, else the first.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.published.iter().find(|algorithm| self.named.contains(algorithm)).or(self.published.first()).copied()
    }

    /// What is wrong if the gateway signs with this algorithm.
    ///
    /// Many resource servers accept only the algorithm that the server had so far. Some fail if a key set has keys of two
    /// kinds.
    pub(crate) fn difference_to(&self, own: Algorithm) -> Option<String> {
        let server = self.algorithm().filter(|_| !self.published.contains(&own))?;
        Some(format!(
            "the authorization server signs with {server}, and `keys.active` signs with {own}; resource servers that accept \
             only {server} refuse the tokens of the gateway, so make a key with `token-exchange-gateway keygen \
             --like-upstream` and name it in `keys.active`"
        ))
    }
}

/// The algorithm of a key: the one that the key names, else the usual one of such keys. `None` for a key that signs nothing.
fn algorithm_of(key: &Value) -> Option<Algorithm> {
    let text = |name: &str| key[name].as_str();
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    match (text("alg"), text("kty")?, text("crv")) {
        (Some(alg), _, _) => alg.parse().ok(),
        (None, "RSA", _) => Some(Algorithm::RS256),
        (None, "EC", Some("P-256")) => Some(Algorithm::ES256),
        (None, "EC", Some("P-384")) => Some(Algorithm::ES384),
        (None, "OKP", Some("Ed25519")) => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_algorithm_of_the_server_is_found() {
        use Algorithm::*;
        let rsa = json!({ "kty": "RSA" });
        for (keys, named, expected) in [
            (json!([]), vec![], None),
            (json!([rsa]), vec![], Some(RS256)),
            (json!([{ "kty": "RSA", "use": "enc" }, { "kty": "EC", "crv": "P-256" }]), vec![], Some(ES256)),
            (json!([{ "kty": "RSA", "alg": "RSA-OAEP" }, { "kty": "EC", "crv": "P-384" }]), vec![], Some(ES384)),
            (json!([{ "kty": "OKP", "crv": "Ed25519" }]), vec!["EdDSA"], Some(EdDSA)),
            (json!([{ "kty": "EC", "crv": "P-256" }, rsa]), vec!["RS256"], Some(RS256)),
            (json!([{ "kty": "RSA", "alg": "PS256" }]), vec!["RS256"], Some(PS256)),
            (json!([{ "kty": "EC", "crv": "P-521" }]), vec![], None),
            (json!("none"), vec![], None),
        ] {
            let named: Vec<String> = named.into_iter().map(str::to_owned).collect();
            let found = ServerKeys::new(&json!({ "keys": keys }), &named);
            assert_eq!(found.algorithm(), expected, "{keys}");
        }
    }

    #[test]
    fn a_key_of_another_kind_is_a_difference() {
        let keys = ServerKeys::new(&json!({ "keys": [{ "kty": "RSA" }] }), &[]);
        assert_eq!(keys.difference_to(Algorithm::RS256), None);
        let difference = keys.difference_to(Algorithm::ES256).unwrap();
        assert!(difference.contains("RS256") && difference.contains("--like-upstream"), "{difference}");
        assert_eq!(ServerKeys::new(&json!({ "keys": [] }), &[]).difference_to(Algorithm::ES256), None);
    }
}
