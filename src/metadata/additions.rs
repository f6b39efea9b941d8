use super::MAX_BYTES;
use crate::{
    jose::{Algorithm, parse_object},
    protocol::{GRANT_TYPE, escaped},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The ways to authenticate at the endpoints of the layer (RFC 6749 section 2.3.1).
const AUTHENTICATION_METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// Why a document cannot be extended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The document has more than 256 KiB.
    #[error("the document is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The document is not one JSON object, has a member twice, or is nested too deeply.
    #[error("the document is not one JSON object without duplicate members")]
    NotOneObject,
    /// A member is missing or is not an array.
    #[error("the member `{0}` is not an array")]
    NotAList(&'static str),
    /// Two different keys have the same `kid`. A verifier that looks up the `kid` could take the wrong key, so that only one
    /// of them can be published. Give the key of the signer another `kid`.
    #[error("two different keys have the `kid` `{0}`; give the key of the signer another `kid`")]
    KeyIdCollision(String),
}

/// Adds the token exchange grant to the metadata of an authorization server (RFC 8414, OpenID Connect Discovery 1.0).
///
/// The grant is appended to `grant_types_supported`. If the document has no such member, the document gets none: most servers
/// that leave the member out have more grants than the two that RFC 8414 section 2 assumes, and some clients use only the
/// grants of the list. The values of all other members stay the same. A document
/// that lists the grant already stays the same too.
///
/// The member `signed_metadata` is removed: it would contradict the added grant, and it takes precedence.
///
/// # Errors
/// [`DocumentError`]
pub fn add_grant(metadata: &[u8]) -> Result<Vec<u8>, DocumentError> {
    Additions::new().add_to(metadata)
}

/// What is added to the metadata of an authorization server: the token exchange grant ([`add_grant`]), and the places of what
/// the server does not have itself.
///
/// A member that the document has stays the same.
///
/// ```
/// use tower_token_exchange::metadata::Additions;
///
/// let additions = Additions::new().jwks_uri("https://as.example/jwks").revocation_endpoint("https://as.example/revoke");
/// let metadata = additions.add_to(br#"{ "issuer": "https://as.example", "jwks_uri": "https://as.example/keys" }"#)?;
/// let metadata: serde_json::Value = serde_json::from_slice(&metadata)?;
/// assert_eq!(metadata["jwks_uri"], "https://as.example/keys");
/// assert_eq!(metadata["revocation_endpoint"], "https://as.example/revoke");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "the additions do nothing until `add_to`"]
pub struct Additions {
    jwks_uri: Option<String>,
    introspection_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    methods: BTreeSet<String>,
    algorithms: BTreeSet<Algorithm>,
    dpop_algorithms: Vec<Algorithm>,
    certificate_bound_tokens: bool,
    mtls_token_endpoint: Option<String>,
}

impl Additions {
    /// Creates the additions: the grant, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds methods of client authentication that this grant accepts (RFC 8414 section 2), such as those of
    /// [`Client::authentication_methods`](crate::Client::authentication_methods).
    ///
    /// The methods are appended to `token_endpoint_auth_methods_supported`, if the document has this member: most servers that leave
    /// the member out have more methods than the one that RFC 8414 assumes.
    ///
    /// ```
    /// use tower_token_exchange::metadata::Additions;
    ///
    /// let metadata = br#"{ "token_endpoint_auth_methods_supported": ["client_secret_basic"] }"#;
    /// let metadata = Additions::new().authentication_methods(["private_key_jwt"]).add_to(metadata)?;
    /// let metadata: serde_json::Value = serde_json::from_slice(&metadata)?;
    /// assert_eq!(metadata["token_endpoint_auth_methods_supported"][1], "private_key_jwt");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn authentication_methods<T: Into<String>>(mut self, methods: impl IntoIterator<Item = T>) -> Self {
        self.methods.extend(methods.into_iter().map(Into::into));
        self
    }

    /// Adds algorithms of client assertions, which are appended to `token_endpoint_auth_signing_alg_values_supported`.
    pub fn assertion_algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms.extend(algorithms);
        self
    }

    /// Adds the URL of a key set (`jwks_uri`).
    pub fn jwks_uri(mut self, url: impl Into<String>) -> Self {
        self.jwks_uri = Some(url.into());
        self
    }

    /// Adds the URL of an introspection endpoint (RFC 7662), at which clients authenticate with `client_secret_basic`,
    /// `client_secret_post` or one of the [`authentication_methods`](Self::authentication_methods).
    pub fn introspection_endpoint(mut self, url: impl Into<String>) -> Self {
        self.introspection_endpoint = Some(url.into());
        self
    }

    /// Adds the URL of a revocation endpoint (RFC 7009), at which clients authenticate with `client_secret_basic`,
    /// `client_secret_post` or one of the [`authentication_methods`](Self::authentication_methods).
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(url.into());
        self
    }

    /// Adds the algorithms for DPoP proofs (`dpop_signing_alg_values_supported`, RFC 9449 section 5.1), as
    /// [`Dpop::algorithms`](crate::proof::Dpop::algorithms) returns them.
    pub fn dpop_algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.dpop_algorithms = algorithms.into_iter().collect();
        self
    }

    /// Adds that tokens can be bound to the certificate of the client (`tls_client_certificate_bound_access_tokens`, RFC 8705
    /// section 3.3).
    pub fn certificate_bound_tokens(mut self) -> Self {
        self.certificate_bound_tokens = true;
        self
    }

    /// Adds the URL of the token endpoint for clients with certificates, if this URL differs from `token_endpoint`
    /// (`mtls_endpoint_aliases`, RFC 8705 section 5).
    pub fn mtls_token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.mtls_token_endpoint = Some(url.into());
        self
    }

    /// Adds everything to a document of at most 256 KiB.
    ///
    /// # Errors
    /// [`DocumentError`]
    pub fn add_to(&self, metadata: &[u8]) -> Result<Vec<u8>, DocumentError> {
        const GRANTS: &str = "grant_types_supported";
        const METHODS: &str = "token_endpoint_auth_methods_supported";
        const ALGORITHMS: &str = "token_endpoint_auth_signing_alg_values_supported";
        let mut members = parse(metadata)?;
        if members.contains_key(METHODS) {
            append(&mut members, METHODS, self.methods.iter().map(String::as_str))?;
            append(&mut members, ALGORITHMS, self.algorithms.iter().map(|algorithm| algorithm.as_str()))?;
        }
        match members.get_mut(GRANTS) {
            None => {}
            Some(Value::Array(grants)) if grants.iter().any(|grant| grant == GRANT_TYPE) => {}
            Some(Value::Array(grants)) => grants.push(GRANT_TYPE.into()),
            Some(_) => return Err(DocumentError::NotAList(GRANTS)),
        }
        let is_absent = |members: &Map<String, Value>, name: &str| members.get(name).is_none_or(Value::is_null);
        for (name, url, methods) in [
            ("jwks_uri", &self.jwks_uri, None),
            (
                "introspection_endpoint",
                &self.introspection_endpoint,
                Some("introspection_endpoint_auth_methods_supported"),
            ),
            ("revocation_endpoint", &self.revocation_endpoint, Some("revocation_endpoint_auth_methods_supported")),
        ] {
            let Some(url) = url.as_ref().filter(|_| is_absent(&members, name)) else { continue };
            members.insert(name.to_owned(), url.as_str().into());
            if let Some(methods) = methods.filter(|methods| is_absent(&members, methods)) {
                let own = self.methods.iter().map(String::as_str);
                let others = own.filter(|method| !AUTHENTICATION_METHODS.contains(method));
                let all: Vec<&str> = AUTHENTICATION_METHODS.into_iter().chain(others).collect();
                members.insert(methods.to_owned(), json!(all));
            }
        }
        let proofs = [
            (
                "dpop_signing_alg_values_supported",
                (!self.dpop_algorithms.is_empty()).then(|| json!(self.dpop_algorithms)),
            ),
            ("tls_client_certificate_bound_access_tokens", self.certificate_bound_tokens.then(|| json!(true))),
            ("mtls_endpoint_aliases", self.mtls_token_endpoint.as_ref().map(|url| json!({ "token_endpoint": url }))),
        ];
        for (name, value) in proofs.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if is_absent(&members, name) {
                members.insert(name.to_owned(), value);
            }
        }
        members.remove("signed_metadata");
        Ok(Value::Object(members).to_string().into_bytes())
    }
}

/// Appends texts to a list that may be absent, unless the list has them already.
fn append<'a>(
    members: &mut Map<String, Value>,
    name: &'static str,
    texts: impl Iterator<Item = &'a str>,
) -> Result<(), DocumentError> {
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return Ok(());
    }
    let list = members.entry(name).or_insert_with(|| json!([]));
    let Value::Array(list) = list else { return Err(DocumentError::NotAList(name)) };
    for text in texts {
        if !list.iter().any(|known| known == text) {
            list.push(text.into());
        }
    }
    Ok(())
}

/// Appends keys to a key set (RFC 7517 section 5), unless the key set has them already.
pub(crate) fn add_keys(key_set: &[u8], own: &[Map<String, Value>]) -> Result<Vec<u8>, DocumentError> {
    let mut members = parse(key_set)?;
    let Some(Value::Array(keys)) = members.get_mut("keys") else { return Err(DocumentError::NotAList("keys")) };
    for key in own {
        let kid = key.get("kid");
        let namesakes: Vec<&Value> = keys.iter().filter(|known| known.get("kid") == kid).collect();
        if namesakes.is_empty() {
            keys.push(Value::Object(key.clone()));
        } else if !namesakes.iter().all(|known| is_same_key(known, key)) {
            let kid = kid.and_then(Value::as_str).unwrap_or_default();
            return Err(DocumentError::KeyIdCollision(escaped(kid)));
        }
    }
    Ok(Value::Object(members).to_string().into_bytes())
}

/// Whether a key of a document is the same key as one of ours: the same key material, without a conflicting `alg` or `use`.
fn is_same_key(known: &Value, own: &Map<String, Value>) -> bool {
    own.iter().all(|(name, value)| match name.as_str() {
        "kid" => true,
        "alg" | "use" => known.get(name).is_none_or(|known| known == value),
        _ => known.get(name) == Some(value),
    })
}

fn parse(document: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    if document.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge);
    }
    parse_object(document).ok_or(DocumentError::NotOneObject)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jose::KeySet,
        signing::{KeyId, LocalSigner},
    };

    fn added(metadata: &Value) -> Value {
        serde_json::from_slice(&add_grant(metadata.to_string().as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_grant_is_added_and_the_rest_kept() {
        for (before, after) in [
            (json!(["authorization_code"]), json!(["authorization_code", GRANT_TYPE])),
            (json!([]), json!([GRANT_TYPE])),
            (json!([GRANT_TYPE, "x"]), json!([GRANT_TYPE, "x"])),
        ] {
            let metadata =
                json!({ "issuer": "https://as.example", "grant_types_supported": before, "x": { "y": [1.5] } });
            let mut expected = metadata.clone();
            expected["grant_types_supported"] = after;
            assert_eq!(added(&metadata).to_string(), expected.to_string(), "in the same order too");
        }
        let silent = json!({
            "issuer": "https://as.example", "token_endpoint_auth_methods_supported": ["private_key_jwt", "none"],
        });
        assert_eq!(added(&silent), silent, "a server without a list of grants may have any grant");
        assert_eq!(added(&json!({ "a": 1, "signed_metadata": "x.y.z", "b": 2 })).get("signed_metadata"), None);
    }

    #[test]
    fn missing_endpoints_are_added_and_others_kept() {
        let url = |path: &str| format!("https://as.example/{path}");
        let additions = Additions::new().jwks_uri(url("jwks")).introspection_endpoint(url("introspect"));
        let additions = additions.revocation_endpoint(url("revoke"));
        let add = |metadata: Value| -> Value {
            serde_json::from_slice(&additions.add_to(metadata.to_string().as_bytes()).unwrap()).unwrap()
        };
        let methods = ["client_secret_basic", "client_secret_post"];
        let added = add(json!({ "jwks_uri": null }));
        assert_eq!(added["jwks_uri"], url("jwks"));
        assert_eq!(added["introspection_endpoint"], url("introspect"));
        assert_eq!(added["introspection_endpoint_auth_methods_supported"], json!(methods));
        assert_eq!(added["revocation_endpoint"], url("revoke"));
        assert_eq!(added["revocation_endpoint_auth_methods_supported"], json!(methods));
        let full = json!({ "jwks_uri": url("a"), "introspection_endpoint": url("b"), "revocation_endpoint": url("c") });
        assert_eq!(add(full.clone()), full);
        let methods = json!({ "revocation_endpoint_auth_methods_supported": ["none"] });
        assert_eq!(add(methods)["revocation_endpoint_auth_methods_supported"], json!(["none"]));
    }

    /// MQ-06, MT-02 and DP-14: what proofs of possession are good for is in the metadata.
    #[test]
    fn mq_06_support_for_proofs_is_added() {
        let mtls = "https://mtls.as.example/token";
        let additions = Additions::new().dpop_algorithms([Algorithm::ES256, Algorithm::EdDSA]);
        let additions = additions.certificate_bound_tokens().mtls_token_endpoint(mtls);
        let add = |metadata: Value| -> Value {
            serde_json::from_slice(&additions.add_to(metadata.to_string().as_bytes()).unwrap()).unwrap()
        };
        let full = json!({
            "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
            "tls_client_certificate_bound_access_tokens": true,
            "mtls_endpoint_aliases": { "token_endpoint": mtls },
        });
        assert_eq!(add(json!({})), full);
        let own = json!({
            "dpop_signing_alg_values_supported": ["RS256"],
            "tls_client_certificate_bound_access_tokens": false,
            "mtls_endpoint_aliases": {},
        });
        assert_eq!(add(own.clone()), own);
    }

    #[test]
    fn methods_are_added_to_a_list_only() {
        let additions = Additions::new()
            .authentication_methods(["client_secret_basic", "private_key_jwt"])
            .assertion_algorithms([Algorithm::ES256]);
        let add = |metadata: Value| -> Value {
            serde_json::from_slice(&additions.add_to(metadata.to_string().as_bytes()).unwrap()).unwrap()
        };
        let (methods, algorithms) =
            ("token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported");
        let added = add(json!({ methods: ["client_secret_basic", "none"] }));
        assert_eq!(added[methods], json!(["client_secret_basic", "none", "private_key_jwt"]));
        assert_eq!(added[algorithms], json!(["ES256"]));
        let added = add(json!({ methods: ["private_key_jwt"], algorithms: ["RS256", "ES256"] }));
        assert_eq!(added[methods], json!(["private_key_jwt", "client_secret_basic"]));
        assert_eq!(added[algorithms], json!(["RS256", "ES256"]));
        assert_eq!(add(json!({ "x": 1 })), json!({ "x": 1 }), "a server without a list may have any method");
        let broken = json!({ methods: "none" }).to_string();
        assert_eq!(additions.add_to(broken.as_bytes()), Err(DocumentError::NotAList(methods)));
        // The endpoints of the layer accept the methods too.
        let revocation = additions.clone().revocation_endpoint("https://as.example/revoke");
        let added: Value = serde_json::from_slice(&revocation.add_to(b"{}").unwrap()).unwrap();
        let all = json!(["client_secret_basic", "client_secret_post", "private_key_jwt"]);
        assert_eq!(added["revocation_endpoint_auth_methods_supported"], all);
    }

    #[test]
    fn own_keys_are_added_and_the_rest_kept() {
        let (theirs, ours) =
            (LocalSigner::generate(Algorithm::EdDSA).unwrap(), LocalSigner::generate(Algorithm::ES256).unwrap());
        let odd = json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "pq" });
        let unnamed = json!({ "kty": "EC" });
        let mut upstream = json!({ "keys": [odd, unnamed], "x": true });
        let [their_key] = theirs.published_keys().keys().to_vec().try_into().unwrap();
        upstream["keys"].as_array_mut().unwrap().push(Value::Object(their_key));
        let merged = ours.published_keys().add_to(upstream.to_string().as_bytes()).unwrap();
        let set = KeySet::from_json(&merged).unwrap();
        assert_eq!((set.len(), set.ignored().len()), (2, 2));
        let json: Value = serde_json::from_slice(&merged).unwrap();
        assert_eq!(json["keys"].as_array().unwrap()[..3], upstream["keys"].as_array().unwrap()[..]);
        assert_eq!(json["x"], true);

        // A key is not added twice, whatever the order of its members.
        assert_eq!(ours.published_keys().add_to(&merged).unwrap(), merged);
        let mut turned = json.clone();
        let last = turned["keys"][3].as_object_mut().unwrap();
        *last = last.clone().into_iter().rev().collect();
        last.insert("x5t".into(), "AA".into());
        let again = ours.published_keys().add_to(turned.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&again).unwrap(), turned);
    }

    #[test]
    fn a_key_id_collision_is_an_error() {
        let (theirs, ours) =
            (LocalSigner::generate(Algorithm::ES256).unwrap(), LocalSigner::generate(Algorithm::ES256).unwrap());
        let ours = ours.with_key_id(KeyId::try_from("2026").unwrap());
        let collision = Err(DocumentError::KeyIdCollision("2026".into()));
        let same_name = theirs.clone().with_key_id(KeyId::try_from("2026").unwrap()).published_keys();
        assert_eq!(ours.published_keys().add_to(same_name.to_json().as_bytes()), collision);
        // One key with this `kid` is the same, and another is different.
        let both = ours.published_keys().and(same_name);
        assert_eq!(ours.published_keys().add_to(both.to_json().as_bytes()), collision);
        // A key of an unknown type is a different key.
        let odd = json!({ "keys": [{ "kty": "AKP", "kid": "2026", "pub": "AA" }] });
        assert_eq!(ours.published_keys().add_to(odd.to_string().as_bytes()), collision);
        // Half of the key material is the same.
        let mut half = serde_json::to_value(ours.published_keys()).unwrap();
        half["keys"][0]["y"] = half["keys"][0]["x"].clone();
        assert_eq!(ours.published_keys().add_to(half.to_string().as_bytes()), collision);
    }

    #[test]
    fn malformed_documents_are_errors() {
        let keys = LocalSigner::generate(Algorithm::ES256).unwrap().published_keys();
        for (document, problem) in [
            ("", DocumentError::NotOneObject),
            ("[]", DocumentError::NotOneObject),
            (r#"{"keys":[],"keys":[]}"#, DocumentError::NotOneObject),
            ("{}", DocumentError::NotAList("keys")),
            (r#"{"keys":{}}"#, DocumentError::NotAList("keys")),
        ] {
            assert_eq!(keys.add_to(document.as_bytes()), Err(problem), "{document}");
        }
        let text = br#"{"grant_types_supported":"authorization_code"}"#;
        assert_eq!(add_grant(text), Err(DocumentError::NotAList("grant_types_supported")));
        let large = format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_BYTES));
        assert_eq!(add_grant(large.as_bytes()), Err(DocumentError::TooLarge));
    }
}
