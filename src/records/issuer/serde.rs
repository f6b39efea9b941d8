use super::{
    IntrospectedTokens, Introspection, Issuer, SubjectMapping,
    introspection::CredentialFile,
    token_document::{self, TokensDocument},
};
use crate::{
    jose::{Algorithm, KeySet},
    records::{
        IssuerId, Wording,
        schema::schema_of,
        values::{self, OneOrMany, WordOr},
    },
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The keys of an issuer in a document.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "the record of an issuer")]
struct IssuerDocument {
    /// The issuer identifier: the exact `iss` of the tokens. Required without `preset`.
    issuer: Option<IssuerId>,
    /// A well-known issuer, which sets the usual values of the other keys. Required without `issuer`.
    preset: Option<WordOr<PresetDocument>>,
    /// The key set of the issuer (RFC 7517).
    jwks: Option<Map<String, Value>>,
    /// The URL of the key set.
    jwks_uri: Option<String>,
    /// Whether the metadata of the issuer names the URL of the key set. Default: `false`.
    #[serde(default)]
    discovery: bool,
    /// The origins that may have the key set that `discovery` finds, beside the origin of the issuer. Default: none.
    key_origins: Option<Vec<String>>,
    /// The introspection endpoint of the issuer, for tokens that are not signed JWTs.
    introspection: Option<IntrospectionDocument>,
    /// The algorithms of the signatures. Default: all that the layer knows.
    algorithms: Option<Vec<String>>,
    /// What the tokens look like, one table for each type. Default: `jwt`.
    #[serde(default)]
    tokens: OneOrMany<TokensDocument>,
    /// Whether access tokens need no `typ: at+jwt` in the header. Default: `false`.
    #[serde(default)]
    allow_untyped_access_tokens: bool,
    /// The values of `aud` that mean this authorization server. Default: its issuer identifier.
    our_names: Option<Vec<String>>,
    /// How far the clock of the issuer may be ahead, such as `10s`, at most 60 s.
    leeway: Option<String>,
    /// The greatest age of a token, such as `1h`. Default: only `exp` limits the age.
    max_age: Option<String>,
    /// Whether each subject token of the issuer may be exchanged only once. Default: `false`.
    #[serde(default)]
    one_time_subject_tokens: bool,
    /// The accepted tenants of an issuer whose tokens name their tenant.
    tenants: Option<TenantsDocument>,
    /// The names of the subjects here: `"keep"`, `{ prefix = "…" }` or `{ claim = "…" }`. Required.
    subjects: Option<WordOr<SubjectsDocument>>,
    /// The names of clients at the issuer, and the client here that each name means.
    #[serde(default)]
    client_names: NameMap,
    /// The clients that may present every token of the issuer.
    presenters: Option<Vec<String>>,
    /// Whether tokens of this issuer only authenticate clients, and are no subject tokens. Default: `false`.
    #[serde(default)]
    for_clients_only: bool,
    /// Whether actor tokens of this issuer are accepted. Default: `false`.
    #[serde(default)]
    allow_actor_tokens: bool,
    /// Whether the claim `act` of the issuer is trusted. Default: `false`.
    #[serde(default)]
    trust_act: bool,
    /// Whether the claim `may_act` of the issuer permits the named client to present the token. Default: `false`.
    #[serde(default)]
    trust_may_act: bool,
    /// The `acr` values of the issuer, and the value here that each means.
    #[serde(default)]
    acr: NameMap,
    /// The claims that issued tokens may repeat. Default: none.
    claims: Option<Vec<String>>,
}

/// A table with the name of a vendor and its parameters. A vendor without parameters can also be a word.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a preset, such as `{ google = {} }`")]
struct PresetDocument {
    /// A realm of Keycloak.
    keycloak: Option<Keycloak>,
    /// A tenant of Microsoft Entra ID.
    entra_id: Option<EntraId>,
    /// An authorization server of Okta.
    okta: Option<Okta>,
    /// A domain of Auth0.
    auth0: Option<Auth0>,
    /// Google.
    google: Option<Google>,
    /// The service accounts of a Kubernetes cluster.
    kubernetes: Option<Kubernetes>,
    /// A SPIFFE trust domain.
    spiffe: Option<Spiffe>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Keycloak {
    /// The URL of Keycloak, without the realm.
    base: String,
    /// The name of the realm.
    realm: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct EntraId {
    /// The id of the tenant.
    tenant: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Okta {
    /// The issuer identifier.
    issuer: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Auth0 {
    /// The domain, such as `example.eu.auth0.com`.
    domain: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Google {}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Kubernetes {
    /// The issuer identifier of the cluster.
    issuer: String,
    /// The audience of the tokens.
    audience: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Spiffe {
    /// The trust domain, without scheme.
    trust_domain: String,
    /// The URL of the trust bundle.
    bundle_uri: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct IntrospectionDocument {
    /// The URL of the endpoint.
    endpoint: String,
    /// The client id of this server at the endpoint.
    client_id: Option<String>,
    /// The secret for `client_id`.
    client_secret: Option<String>,
    /// A file with the secret for `client_id`.
    client_secret_file: Option<PathBuf>,
    /// A bearer token for the endpoint, in place of `client_id`.
    bearer_token: Option<String>,
    /// A file with the bearer token.
    bearer_token_file: Option<PathBuf>,
    /// The tokens about which the endpoint is asked. Default: `opaque`.
    #[serde(default)]
    introspect: IntrospectedTokens,
    /// Whether an answer without `token_type` is about an access token. Default: `false`.
    #[serde(default)]
    allow_missing_token_type: bool,
    /// The values of `token_type` that mean an access token, beside `Bearer`.
    #[serde(default)]
    token_types: Vec<String>,
    /// How long answers are remembered. Default: not at all.
    #[cfg(feature = "introspection-cache")]
    cache: Option<CacheDocument>,
}

#[cfg(feature = "introspection-cache")]
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct CacheDocument {
    /// The number of answers.
    entries: u64,
    /// The time for an answer, such as `10s`.
    time_to_live: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct TenantsDocument {
    /// The claim with the tenant.
    claim: String,
    /// The accepted tenants.
    accepted: Vec<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct SubjectsDocument {
    /// The text before each `sub`.
    prefix: Option<String>,
    /// The claim that has the name.
    claim: Option<String>,
}

/// A map from names of the issuer to names of ours. A name that occurs twice is an error, because a map would silently
/// keep the last value.
#[derive(Default)]
struct NameMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for NameMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = NameMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of names to names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<NameMap, A::Error> {
                let mut names = BTreeMap::new();
                while let Some((theirs, ours)) = entries.next_entry::<String, String>()? {
                    if names.contains_key(&theirs) {
                        return Err(A::Error::custom(format!("the name `{theirs}` occurs twice: keep one entry")));
                    }
                    names.insert(theirs, ours);
                }
                Ok(NameMap(names))
            }
        }

        deserializer.deserialize_map(Names)
    }
}

impl TryFrom<IssuerDocument> for Issuer {
    type Error = String;

    fn try_from(document: IssuerDocument) -> Result<Self, String> {
        let mut issuer = match (document.preset, document.issuer) {
            (Some(preset), None) => preset_record(preset)?,
            (None, Some(id)) => Self::new(id),
            (Some(_), Some(_)) => {
                return Err("issuer: the `preset` already names the issuer: remove `issuer` or `preset`".into());
            }
            (None, None) => return Err("issuer: missing: give `issuer` or `preset`".into()),
        };
        if document.for_clients_only {
            issuer = issuer.for_clients_only();
        }
        if let Some(jwks) = document.jwks {
            let keys = KeySet::from_json(Value::Object(jwks).to_string());
            issuer = issuer.keys(keys.map_err(|error| format!("jwks: {error}"))?);
        }
        if let Some(uri) = document.jwks_uri {
            issuer = issuer.jwks_uri(uri);
        }
        if document.discovery {
            issuer = issuer.discovery();
        }
        if let Some(origins) = document.key_origins {
            issuer = issuer.key_origins(origins);
        }
        if let Some(introspection) = document.introspection {
            issuer = issuer.introspection(introspection.into_record()?);
        }
        if let Some(names) = document.algorithms {
            issuer = issuer.algorithms(names.iter().map(|name| algorithm(name)).collect::<Result<Vec<_>, _>>()?);
        }
        let tokens = token_document::rules(document.tokens, None)?;
        issuer = tokens.into_iter().fold(issuer, Self::accept);
        issuer.untyped_access_tokens |= document.allow_untyped_access_tokens;
        if let Some(names) = document.our_names {
            issuer = issuer.accepted_audiences(names);
        }
        issuer.leeway = values::duration("leeway", document.leeway)?;
        issuer.max_age = values::duration("max_age", document.max_age)?;
        issuer.one_time_subject_tokens = document.one_time_subject_tokens;
        if let Some(TenantsDocument { claim, accepted }) = document.tenants {
            issuer = issuer.accept_tenants(claim, accepted);
        }
        if let Some(subjects) = document.subjects {
            issuer = issuer.map_subjects(mapping(subjects)?);
        }
        for (theirs, ours) in document.client_names.0 {
            issuer = issuer.map_client(theirs, ours);
        }
        if let Some(presenters) = document.presenters {
            issuer = issuer.allow_presenters(presenters);
        }
        issuer.wording = Wording::Keys;
        issuer.actor_tokens |= document.allow_actor_tokens;
        issuer.trusts_act |= document.trust_act;
        issuer.trusts_may_act |= document.trust_may_act;
        for (theirs, ours) in document.acr.0 {
            issuer = issuer.map_acr(theirs, ours);
        }
        if let Some(claims) = document.claims {
            issuer = issuer.claims(claims);
        }
        Ok(issuer)
    }
}

impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(IssuerDocument::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn preset_record(preset: WordOr<PresetDocument>) -> Result<Issuer, String> {
    const VENDORS: &str = "`keycloak`, `entra_id`, `okta`, `auth0`, `google`, `kubernetes` or `spiffe`";
    let preset = match preset {
        WordOr::Table(preset) => preset,
        WordOr::Word(word) if word == "google" => PresetDocument { google: Some(Google {}), ..Default::default() },
        WordOr::Word(word) => {
            return Err(format!(
                "preset: `{word}` is not a preset without parameters: write a table, such as \
                 `{{ okta = {{ issuer = \"…\" }} }}`, with {VENDORS}"
            ));
        }
    };
    let PresetDocument { keycloak, entra_id, okta, auth0, google, kubernetes, spiffe } = preset;
    let given = [
        keycloak.map(|Keycloak { base, realm }| Issuer::keycloak(&base, &realm)),
        entra_id.map(|EntraId { tenant }| Issuer::entra_id(&tenant)),
        okta.map(|Okta { issuer }| Issuer::okta(issuer)),
        auth0.map(|Auth0 { domain }| Issuer::auth0(&domain)),
        google.map(|Google {}| Issuer::google()),
        kubernetes.map(|Kubernetes { issuer, audience }| Issuer::kubernetes(issuer, audience)),
        spiffe.map(|Spiffe { trust_domain, bundle_uri }| Issuer::spiffe(&trust_domain, bundle_uri)),
    ];
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(record), None) => Ok(record),
        _ => Err(format!("preset: not exactly one vendor: name one of {VENDORS}")),
    }
}

fn mapping(subjects: WordOr<SubjectsDocument>) -> Result<SubjectMapping, String> {
    match subjects {
        WordOr::Word(word) if word == "keep" => Ok(SubjectMapping::Keep),
        WordOr::Table(SubjectsDocument { prefix: Some(prefix), claim: None }) => Ok(SubjectMapping::Prefix(prefix)),
        WordOr::Table(SubjectsDocument { prefix: None, claim: Some(claim) }) => Ok(SubjectMapping::Claim(claim)),
        WordOr::Word(_) | WordOr::Table(_) => {
            Err("subjects: not a mapping: write `\"keep\"`, `{ prefix = \"…\" }` or `{ claim = \"…\" }`".into())
        }
    }
}

impl IntrospectionDocument {
    fn into_record(self) -> Result<Introspection, String> {
        let Self { endpoint, client_id, client_secret, client_secret_file, bearer_token, bearer_token_file, .. } = self;
        let from_file =
            |endpoint, client_id, path| Introspection::with_file(endpoint, CredentialFile { client_id, path });
        let mut record = match (client_id, client_secret, client_secret_file, bearer_token, bearer_token_file) {
            (Some(id), Some(secret), None, None, None) => Introspection::basic(endpoint, id, secret),
            (Some(id), None, Some(file), None, None) => from_file(endpoint, Some(id), file),
            (None, None, None, Some(token), None) => Introspection::bearer(endpoint, token),
            (None, None, None, None, Some(file)) => from_file(endpoint, None, file),
            _ => {
                let help = "introspection: no credentials, or too many: give `client_id` with `client_secret` or \
                            `client_secret_file`, or give `bearer_token` or `bearer_token_file`";
                return Err(help.into());
            }
        };
        record.tokens = self.introspect;
        record.untyped_answers = self.allow_missing_token_type;
        record.token_types = self.token_types;
        #[cfg(feature = "introspection-cache")]
        if let Some(CacheDocument { entries, time_to_live }) = self.cache {
            let time_to_live = values::duration("time_to_live", Some(time_to_live))?;
            record.cache = time_to_live.map(|time_to_live| (entries, time_to_live));
        }
        Ok(record)
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
        format!("algorithms: `{name}` is not an algorithm: use {}", known.join(", "))
    })
}

schema_of!(Issuer as IssuerDocument, "An issuer of subject tokens and actor tokens.");

schema_of!(NameMap as BTreeMap<String, String>, "A map of names to names.");
