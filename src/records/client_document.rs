use super::{Client, Party, text};
use serde::Deserialize;

/// A client's record as a document says it; see [`Client`]'s methods of the same names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    id: String,
    #[serde(default, deserialize_with = "text::one_or_more")]
    secret: Vec<String>,
    #[serde(default, deserialize_with = "text::one_or_more")]
    secret_sha256: Vec<String>,
    #[serde(default)]
    without_exchange: bool,
    targets: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    default_target: Option<String>,
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

impl TryFrom<Document> for Client {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let mut client = Self::new(document.id);
        client = document.secret.iter().fold(client, Self::secret);
        client = document.secret_sha256.iter().fold(client, Self::secret_sha256);
        client.may_exchange = !document.without_exchange;
        client.targets = document.targets;
        client.scopes = document.scopes;
        client.default_target = document.default_target;
        client.scopeless_subject_scopes = document.scopes_for_scopeless_subjects;
        client.ignored_scopes = document.ignored_scopes;
        client.max_lifetime = text::duration("max_lifetime", document.max_lifetime)?;
        client.self_exchange = document.allow_self_exchange;
        client.several_audiences = document.allow_several_audiences;
        client.repeated_actors = document.allow_repeated_actors;
        client.jwt_output = document.allow_jwt_output;
        client.carries = document.carries;
        client.tenants = document.tenants;
        Ok(client)
    }
}

impl<'de> Deserialize<'de> for Client {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Document::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
