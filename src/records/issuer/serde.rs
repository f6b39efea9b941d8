use super::{
    IntrospectedTokens, Introspection, Issuer, SubjectMapping,
    introspection::CredentialFile,
    token_document::{self, TokensDocument},
};
use crate::{
    jose::{Algorithm, KeySet},
    records::{
        IssuerId, Wording,
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
#[serde(deny_unknown_fields, expecting = "the record of an issuer")]
struct IssuerDocument {
    issuer: Option<IssuerId>,
    preset: Option<WordOr<PresetDocument>>,
    jwks: Option<Map<String, Value>>,
    jwks_uri: Option<String>,
    #[serde(default)]
    discovery: bool,
    introspection: Option<IntrospectionDocument>,
    algorithms: Option<Vec<String>>,
    #[serde(default)]
    tokens: OneOrMany<TokensDocument>,
    #[serde(default)]
    allow_untyped_access_tokens: bool,
    our_names: Option<Vec<String>>,
    leeway: Option<String>,
    max_age: Option<String>,
    tenants: Option<TenantsDocument>,
    subjects: Option<WordOr<SubjectsDocument>>,
    #[serde(default)]
    client_names: NameMap,
    presenters: Option<Vec<String>>,
    #[serde(default)]
    allow_actor_tokens: bool,
    #[serde(default)]
    trust_act: bool,
    #[serde(default)]
    trust_may_act: bool,
    #[serde(default)]
    acr: NameMap,
    claims: Option<Vec<String>>,
}

/// A table with the name of a vendor and its parameters. A vendor without parameters can also be a word.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a preset, such as `{ google = {} }`")]
struct PresetDocument {
    keycloak: Option<Keycloak>,
    entra_id: Option<EntraId>,
    okta: Option<Okta>,
    auth0: Option<Auth0>,
    google: Option<Google>,
    kubernetes: Option<Kubernetes>,
    spiffe: Option<Spiffe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keycloak {
    base: String,
    realm: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntraId {
    tenant: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Okta {
    issuer: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth0 {
    domain: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Google {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kubernetes {
    issuer: String,
    audience: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spiffe {
    trust_domain: String,
    bundle_uri: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntrospectionDocument {
    endpoint: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    client_secret_file: Option<PathBuf>,
    bearer_token: Option<String>,
    bearer_token_file: Option<PathBuf>,
    #[serde(default)]
    introspect: IntrospectedTokens,
    #[serde(default)]
    allow_missing_token_type: bool,
    #[serde(default)]
    token_types: Vec<String>,
    #[cfg(feature = "introspection-cache")]
    cache: Option<CacheDocument>,
}

#[cfg(feature = "introspection-cache")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CacheDocument {
    entries: u64,
    time_to_live: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantsDocument {
    claim: String,
    accepted: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectsDocument {
    prefix: Option<String>,
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
