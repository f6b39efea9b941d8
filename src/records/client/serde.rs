use super::Client;
use crate::records::{ClientId, Party, TargetId, Wording, values};
use serde::{Deserialize, Deserializer, de::Error as _};

/// The keys of a client in a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "the record of a client")]
struct ClientDocument {
    id: ClientId,
    #[serde(default, deserialize_with = "values::one_or_more")]
    secret: Vec<String>,
    #[serde(default, deserialize_with = "values::one_or_more")]
    secret_sha256: Vec<String>,
    #[serde(default)]
    without_exchange: bool,
    targets: Option<Vec<TargetId>>,
    scopes: Option<Vec<String>>,
    default_target: Option<TargetId>,
    #[serde(default)]
    scopes_for_scopeless_subjects: Vec<String>,
    #[serde(default)]
    ignored_scopes: Vec<String>,
    max_lifetime: Option<String>,
    #[serde(default)]
    allow_self_exchange: bool,
    #[serde(default)]
    allow_several_audiences: bool,
    #[serde(default)]
    allow_repeated_actors: bool,
    #[serde(default)]
    allow_jwt_output: bool,
    #[serde(default)]
    carries: Vec<Party>,
    #[serde(default)]
    tenants: Vec<String>,
}

impl TryFrom<ClientDocument> for Client {
    type Error = String;

    fn try_from(document: ClientDocument) -> Result<Self, String> {
        let mut client = Self::new(document.id);
        client = document.secret.iter().fold(client, Self::secret);
        client = document.secret_sha256.iter().fold(client, Self::secret_sha256);
        Ok(Self {
            wording: Wording::Keys,
            may_exchange: !document.without_exchange,
            targets: document.targets,
            scopes: document.scopes,
            default_target: document.default_target,
            scopeless_subject_scopes: document.scopes_for_scopeless_subjects,
            ignored_scopes: document.ignored_scopes,
            max_lifetime: values::duration("max_lifetime", document.max_lifetime)?,
            self_exchange: document.allow_self_exchange,
            several_audiences: document.allow_several_audiences,
            repeated_actors: document.allow_repeated_actors,
            jwt_output: document.allow_jwt_output,
            actors: document.carries,
            tenants: document.tenants,
            ..client
        })
    }
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(ClientDocument::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
