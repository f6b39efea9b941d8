use super::MAX_BYTES;
use crate::{
    jose::parse_object,
    protocol::{GRANT_TYPE, escaped},
};
use serde_json::{Map, Value, json};

/// What a server that names no grants supports (RFC 8414 section 2).
const DEFAULT_GRANTS: [&str; 2] = ["authorization_code", "implicit"];

/// Why nothing can be added to a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// It is larger than 256 KiB.
    #[error("larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// It is not one JSON object without duplicate members, or goes too deep.
    #[error("not one JSON object without duplicate members")]
    NotOneObject,
    /// A member is not what its specification says.
    #[error("`{0}` is not a list")]
    NotAList(&'static str),
    /// Two different keys have the same name. Whoever looks a key up by its name could take the wrong one, so that
    /// neither can be published beside the other: give the signer's key another name.
    #[error("two different keys have the `kid` `{0}`")]
    KeyIdCollision(String),
}

/// The metadata of an authorization server (RFC 8414, OpenID Connect Discovery 1.0) with the token exchange grant in
/// `grant_types_supported`; where the document has none, behind the grants that this stands for (RFC 8414 section 2). All
/// other members stay as they are, in their order, and so does what has the grant already.
///
/// A signature of the whole (`signed_metadata`) would speak against what was added, and outranks it: it is left out.
///
/// # Errors
/// [`DocumentError`]
pub fn add_grant(metadata: &[u8]) -> Result<Vec<u8>, DocumentError> {
    const GRANTS: &str = "grant_types_supported";
    let mut members = read(metadata)?;
    match members.get_mut(GRANTS) {
        None => {
            let grants: Vec<&str> = DEFAULT_GRANTS.into_iter().chain([GRANT_TYPE]).collect();
            members.insert(GRANTS.to_owned(), json!(grants));
        }
        Some(Value::Array(grants)) if grants.iter().any(|grant| grant == GRANT_TYPE) => {}
        Some(Value::Array(grants)) => grants.push(GRANT_TYPE.into()),
        Some(_) => return Err(DocumentError::NotAList(GRANTS)),
    }
    members.remove("signed_metadata");
    Ok(Value::Object(members).to_string().into_bytes())
}

/// A key set (RFC 7517 section 5) with these keys behind its own. What it held stays as it is, keys that nobody here
/// can read too; one of these that it holds already is not there twice.
///
/// # Errors
/// [`DocumentError`], among them [`KeyIdCollision`](DocumentError::KeyIdCollision): nothing is published then.
pub(crate) fn add_keys(key_set: &[u8], own: &[Map<String, Value>]) -> Result<Vec<u8>, DocumentError> {
    let mut members = read(key_set)?;
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

/// Whether a key of a document is this one of ours: what makes the key is the same, and nothing keeps it from being used
/// as ours is.
fn is_same_key(known: &Value, own: &Map<String, Value>) -> bool {
    own.iter().all(|(name, value)| match name.as_str() {
        "kid" => true,
        "alg" | "use" => known.get(name).is_none_or(|known| known == value),
        _ => known.get(name) == Some(value),
    })
}

fn read(document: &[u8]) -> Result<Map<String, Value>, DocumentError> {
    if document.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge);
    }
    parse_object(document).ok_or(DocumentError::NotOneObject)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jose::{Algorithm, KeySet},
        signing::{KeyId, LocalSigner},
    };

    fn added(metadata: &Value) -> Value {
        serde_json::from_slice(&add_grant(metadata.to_string().as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn metadata_names_the_grant_and_keeps_everything_else() {
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
        let silent = added(&json!({ "issuer": "https://as.example" }));
        assert_eq!(silent["grant_types_supported"], json!(["authorization_code", "implicit", GRANT_TYPE]));
        assert_eq!(added(&json!({ "a": 1, "signed_metadata": "x.y.z", "b": 2 })).get("signed_metadata"), None);
    }

    #[test]
    fn a_key_set_keeps_what_it_holds_and_gets_ours() {
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

        // What is there already is not there twice, however its members stand.
        assert_eq!(ours.published_keys().add_to(&merged).unwrap(), merged);
        let mut turned = json.clone();
        let last = turned["keys"][3].as_object_mut().unwrap();
        *last = last.clone().into_iter().rev().collect();
        last.insert("x5t".into(), "AA".into());
        let again = ours.published_keys().add_to(turned.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&again).unwrap(), turned);
    }

    #[test]
    fn two_keys_of_one_name_are_never_published_together() {
        let (theirs, ours) =
            (LocalSigner::generate(Algorithm::ES256).unwrap(), LocalSigner::generate(Algorithm::ES256).unwrap());
        let ours = ours.with_key_id(KeyId::try_from("2026").unwrap());
        let collision = Err(DocumentError::KeyIdCollision("2026".into()));
        let same_name = theirs.clone().with_key_id(KeyId::try_from("2026").unwrap()).published_keys();
        assert_eq!(ours.published_keys().add_to(same_name.to_json().as_bytes()), collision);
        // One that is ours and one that is not.
        let both = ours.published_keys().and(same_name);
        assert_eq!(ours.published_keys().add_to(both.to_json().as_bytes()), collision);
        // A kind that is not known here is another key all the same.
        let odd = json!({ "keys": [{ "kty": "AKP", "kid": "2026", "pub": "AA" }] });
        assert_eq!(ours.published_keys().add_to(odd.to_string().as_bytes()), collision);
        // One half that is the same is not the key.
        let mut half = serde_json::to_value(ours.published_keys()).unwrap();
        half["keys"][0]["y"] = half["keys"][0]["x"].clone();
        assert_eq!(ours.published_keys().add_to(half.to_string().as_bytes()), collision);
    }

    #[test]
    fn what_is_no_such_document_gets_nothing_added() {
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
