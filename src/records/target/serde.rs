use super::Target;
use crate::records::{ClientId, TargetId, Wording, schema::schema_of, values};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::BTreeMap;

/// The keys of a target in a document.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "the record of a target")]
struct TargetDocument {
    /// The id of the target. Requests can name the target with this id as `audience`.
    id: TargetId,
    /// URIs by which requests can name the target as `resource`.
    #[serde(default)]
    resources: Vec<String>,
    /// More names by which requests can name the target as `audience`.
    #[serde(default)]
    audiences: Vec<String>,
    /// The `aud` claim of issued tokens for the target. Default: the id.
    aud: Option<String>,
    /// The client that is the service behind the target. This client may exchange tokens with the `aud` of the target.
    owner: Option<ClientId>,
    /// The ids of the clients that may get tokens for the target. Default: none.
    #[serde(default)]
    callers: Vec<ClientId>,
    /// The scope tokens that issued tokens for the target can have. Default: none.
    #[serde(default)]
    scopes: Vec<String>,
    /// The scope tokens of the target that each scope token of a subject token is worth. Default: each is worth itself.
    translate: Option<BTreeMap<String, Vec<String>>>,
    /// The claims of the subject token that issued tokens repeat. Default: none.
    #[serde(default)]
    claims: Vec<String>,
    /// The longest lifetime of issued tokens for the target, such as `5m`. Default: the limit of the layer.
    max_lifetime: Option<String>,
    /// The `typ` in the header of issued tokens for the target. Default: `at+jwt`.
    token_typ: Option<String>,
    /// Whether issued tokens for the target are always bound to a key or a certificate.
    #[serde(default)]
    require_sender_constraint: bool,
    /// Whether issued tokens for the target are never bound to a key or a certificate.
    #[serde(default)]
    bearer_only: bool,
}

impl TryFrom<TargetDocument> for Target {
    type Error = String;

    fn try_from(document: TargetDocument) -> Result<Self, String> {
        let mut target = Self::new(document.id);
        target.names.extend(document.audiences);
        Ok(Self {
            wording: Wording::Keys,
            resources: document.resources,
            audience_claim: document.aud.unwrap_or(target.audience_claim),
            owner: document.owner,
            callers: document.callers,
            scopes: document.scopes,
            translation: document.translate.map(|entries| entries.into_iter().collect()),
            claims: document.claims,
            max_lifetime: values::duration("max_lifetime", document.max_lifetime)?,
            token_typ: document.token_typ,
            requires_sender_constraint: document.require_sender_constraint,
            bearer_only: document.bearer_only,
            id: target.id,
            names: target.names,
        })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(TargetDocument::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

schema_of!(Target as TargetDocument, "A target: a service that tokens are issued for.");
