use super::Client;
use crate::{
    limits::Rate,
    protocol::TokenType,
    records::{ClientId, Party, TargetId, Wording, schema::schema_of, values},
};
use serde::{Deserialize, Deserializer, de::Error as _};

/// The keys of a client in a document.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "the record of a client")]
struct ClientDocument {
    /// The client id.
    id: ClientId,
    /// The secret, of at least 16 characters, or a list of secrets. Prefer `secret_sha256`.
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    secret: Vec<String>,
    /// The SHA-256 hash of the secret in hexadecimal, or a list of such hashes. The secret must be long and random.
    #[cfg_attr(feature = "schema", schemars(with = "crate::records::schema::OneOrMore<String>"))]
    #[serde(default, deserialize_with = "values::one_or_more")]
    secret_sha256: Vec<String>,
    /// Whether the client may not exchange tokens. The client can still introspect and revoke its tokens.
    #[serde(default)]
    without_exchange: bool,
    /// The ids of the targets that the client may request. Default: every target that lists the client in `callers`.
    targets: Option<Vec<TargetId>>,
    /// The most scope tokens that issued tokens of the client can have. Default: no limit beside the others.
    scopes: Option<Vec<String>>,
    /// The id of the target of a request that names none.
    default_target: Option<TargetId>,
    /// The scope tokens that a subject token without a scope counts as, for each token type: a URI, or one of the short names
    /// `jwt`, `access_token` and `id_token`. Default: none.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Vec<String>>"))]
    #[serde(default, deserialize_with = "values::lists_by_token_type")]
    scopes_for_scopeless_subjects: Vec<(TokenType, Vec<String>)>,
    /// Scope tokens that a library of the client requests by itself. The layer ignores these.
    #[serde(default)]
    ignored_scopes: Vec<String>,
    /// The longest lifetime of issued tokens of the client, such as `5m`. Default: the limit of the layer.
    max_lifetime: Option<String>,
    /// The budget of the client for exchanges, such as `100/s`, `600/min` or `1000/h`. Default: the limit of the layer.
    max_exchanges: Option<Rate>,
    /// Whether the client may exchange tokens that were issued to the client itself.
    #[serde(default)]
    allow_self_exchange: bool,
    /// Whether the client may exchange subject tokens with several audiences.
    #[serde(default)]
    allow_several_audiences: bool,
    /// Whether an actor may occur twice in the `act` chain.
    #[serde(default)]
    allow_repeated_actors: bool,
    /// Whether the client may request the token type `jwt`.
    #[serde(default)]
    allow_jwt_output: bool,
    /// Whether the client may exchange each subject token only once. Default: `false`.
    #[serde(default)]
    one_time_subject_tokens: bool,
    /// The parties that the client may present as actors.
    #[serde(default)]
    carries: Vec<Party>,
    /// The tenants whose tokens the client may present, for issuers with several tenants.
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
            max_exchanges: document.max_exchanges,
            self_exchange: document.allow_self_exchange,
            several_audiences: document.allow_several_audiences,
            repeated_actors: document.allow_repeated_actors,
            jwt_output: document.allow_jwt_output,
            one_time_subject_tokens: document.one_time_subject_tokens,
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

schema_of!(Client as ClientDocument, "A client of the token endpoint.");
