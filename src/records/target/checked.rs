use super::{AUDIENCE_CLAIM, CALLERS, NAMES, RESOURCES, SERVED_BY, Target};
use crate::{
    protocol::{ANCESTRY, EXCHANGED_FROM, Scope, TargetName, TargetNameError},
    records::{ClientId, ConfigError, ConfigErrorKind, Place, Problems, TargetId, names::Names, place::Field},
};
use std::{
    collections::{BTreeMap, HashSet},
    slice,
    time::Duration,
};

/// The claims that no target can repeat: this crate decides their value, or they have a fixed meaning.
const RESERVED_CLAIMS: [&str; 26] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "scope",
    "client_id",
    "azp",
    "cnf",
    "act",
    "may_act",
    "auth_time",
    "acr",
    "amr",
    "authorization_details",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "events",
    "active",
    "token_type",
    EXCHANGED_FROM,
    ANCESTRY,
];

/// A target whose record was checked.
#[derive(Debug)]
pub(crate) struct TargetRecord {
    pub(crate) id: TargetId,
    pub(crate) aud: String,
    pub(crate) owner: Option<ClientId>,
    callers: HashSet<ClientId>,
    pub(crate) scopes: Scope,
    pub(crate) translation: Option<BTreeMap<String, Scope>>,
    pub(crate) claims: Vec<String>,
    pub(crate) max_lifetime: Option<Duration>,
    /// Whether access tokens have the header `typ: JWT` instead of `at+jwt`.
    pub(crate) plain_typ: bool,
    /// Whether no bearer token is issued for the target.
    pub(crate) requires_sender_constraint: bool,
    /// Whether no bound token is issued for the target.
    pub(crate) bearer_only: bool,
}

impl TargetRecord {
    /// Whether the target lists a client.
    pub(crate) fn is_called_by(&self, client: impl AsRef<str>) -> bool {
        self.callers.contains(client.as_ref())
    }

    /// The clients that may request a token for the target.
    pub(crate) fn callers(&self) -> impl Iterator<Item = &ClientId> {
        self.callers.iter()
    }

    pub(crate) fn is_called_by_any(&self) -> bool {
        !self.callers.is_empty()
    }
}

/// A name of a target in requests.
pub(in crate::records) struct RequestName {
    pub(in crate::records) name: TargetName<'static>,
    field: Field,
    path: String,
    text: String,
}

impl RequestName {
    /// The mistake of a name that names another target, too.
    pub(in crate::records) fn taken(&self, place: &Place<'_>, other: &TargetId) -> ConfigError {
        let help = format!("`{}` already names target `{other}`: give each target names of its own", self.text);
        place.wrong_at(self.field, &self.path, help).of_kind(ConfigErrorKind::Duplicate)
    }
}

impl Target {
    pub(in crate::records) fn place(&self, position: usize) -> Place<'_> {
        Place::new("target", position, self.id.as_str(), self.wording)
    }

    pub(in crate::records) fn aud(&self) -> &str {
        &self.audience_claim
    }

    /// The names by which requests find the target.
    pub(in crate::records) fn request_names(&self, position: usize, problems: &mut Problems) -> Vec<RequestName> {
        type Read<'a> = fn(&'a str) -> Result<TargetName<'a>, TargetNameError>;
        let place = self.place(position);
        let resources = self.resources.iter().enumerate();
        let resources = resources
            .map(|(index, text)| (RESOURCES, TargetName::resource as Read<'_>, format!("resources[{index}]"), text));
        let names = self.names.iter().enumerate().map(|(index, text)| {
            // The first name is the id.
            let path = index.checked_sub(1).map_or("id".to_owned(), |index| format!("audiences[{index}]"));
            (NAMES, TargetName::audience as Read<'_>, path, text)
        });
        let read = resources.chain(names).map(|(field, read, path, text)| match read(text) {
            Ok(name) => Ok(RequestName { name: name.into_owned(), field, path, text: text.clone() }),
            Err(error) => Err(place.wrong_at(field, &path, format!("`{text}` cannot be requested: {}", error.0))),
        });
        read.filter_map(|name| problems.check(name)).collect()
    }

    /// Checks the record alone and against the names of the other records.
    pub(in crate::records) fn check(&self, position: usize, names: &Names, problems: &mut Problems) -> TargetRecord {
        let place = self.place(position);
        self.check_audience_claim(&place, names, problems);
        if let Some(owner) = self.owner.as_ref().filter(|owner| names.lacks_client(owner)) {
            problems.add(place.wrong(SERVED_BY, names.unknown_client(owner)).of_kind(ConfigErrorKind::Unknown));
        }
        for (index, caller) in self.callers.iter().enumerate() {
            if names.lacks_client(caller) {
                let help = names.unknown_client(caller);
                problems.add(place.wrong_member(CALLERS, index, help).of_kind(ConfigErrorKind::Unknown));
            }
        }
        if self.scopes.is_empty() {
            let help = "none: list the scopes of the service; without scopes, nothing can be granted";
            problems.add(place.wrong("scopes", help).of_kind(ConfigErrorKind::Missing));
        }
        let scopes = problems.check(scope(&place, "scopes", &self.scopes)).unwrap_or_default();
        let translation = self.translation.as_deref().map(|list| translation(list, &place, &scopes, problems));
        for (index, claim) in self.claims.iter().enumerate() {
            if RESERVED_CLAIMS.contains(&claim.as_str()) {
                let help = format!("a target cannot repeat the claim `{claim}`: leave `{claim}` out");
                problems.add(place.wrong_member("claims", index, help));
            }
        }
        if self.max_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
            problems.add(place.wrong("max_lifetime", "shorter than a second: give 1 s or more"));
        }
        if self.token_typ.as_deref().is_some_and(|typ| !is_token_typ(typ)) {
            problems.add(place.wrong("token_typ", "not a type of access tokens: give `at+jwt` or `JWT`"));
        }
        if self.bearer_only && self.requires_sender_constraint {
            let help = "contradicts `require_sender_constraint`, so no token can be issued: remove one of the two";
            problems.add(place.wrong("bearer_only", help).of_kind(ConfigErrorKind::Conflict));
        }
        TargetRecord {
            id: self.id.clone(),
            aud: self.audience_claim.clone(),
            owner: self.owner.clone(),
            callers: self.callers.iter().cloned().collect(),
            scopes,
            translation,
            claims: self.claims.clone(),
            max_lifetime: self.max_lifetime,
            plain_typ: self.has_plain_typ(),
            requires_sender_constraint: self.requires_sender_constraint,
            bearer_only: self.bearer_only,
        }
    }

    /// Whether access tokens for the target have the header `typ: JWT`.
    pub(in crate::records) fn has_plain_typ(&self) -> bool {
        self.token_typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"))
    }

    fn check_audience_claim(&self, place: &Place<'_>, names: &Names, problems: &mut Problems) {
        let aud = &self.audience_claim;
        if aud.is_empty() {
            problems.add(place.wrong(AUDIENCE_CLAIM, "empty: give the `aud` claim of tokens for the target"));
        } else if names.has_client(aud) {
            let field = place.word(AUDIENCE_CLAIM);
            let is_label = aud.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let host = if is_label { aud } else { "service" };
            let help = format!(
                "`{aud}` is the id of a client, which could take a token with this `aud` for an ID token: set `{field}` to the \
                 URL of the service, such as `https://{host}.example`"
            );
            problems.add(place.wrong(AUDIENCE_CLAIM, help).of_kind(ConfigErrorKind::Conflict));
        }
    }

    /// The mistake of an `aud` that another target has, too.
    pub(in crate::records) fn shared_aud(&self, place: &Place<'_>, other: &TargetId) -> ConfigError {
        let help = format!("target `{other}` has `{}`, too: give each target a different value", self.audience_claim);
        place.wrong(AUDIENCE_CLAIM, help).of_kind(ConfigErrorKind::Duplicate)
    }
}

fn is_token_typ(typ: &str) -> bool {
    ["at+jwt", "JWT"].iter().any(|known| typ.eq_ignore_ascii_case(known))
}

fn scope(place: &Place<'_>, field: &'static str, tokens: &[String]) -> Result<Scope, ConfigError> {
    Scope::from_tokens(tokens).map_err(|error| place.wrong(field, error.to_string()))
}

fn translation(
    entries: &[(String, Vec<String>)],
    place: &Place<'_>,
    scopes: &Scope,
    problems: &mut Problems,
) -> BTreeMap<String, Scope> {
    let mut translation = BTreeMap::new();
    for (subject_scope, target_scopes) in entries {
        let path = format!("translate.{subject_scope}");
        problems.check(scope(place, "translate", slice::from_ref(subject_scope)));
        let Some(meant) = problems.check(scope(place, "translate", target_scopes)) else { continue };
        if !meant.is_subset(scopes) {
            let stray = meant.difference(scopes);
            let help = format!("`{stray}` is not in the `scopes` of the target: add `{stray}` to `scopes`");
            problems.add(place.wrong_at("translate", &path, help).of_kind(ConfigErrorKind::Conflict));
        }
        if translation.insert(subject_scope.clone(), meant).is_some() {
            let help = format!("`{subject_scope}` is translated twice: keep one translation");
            problems.add(place.wrong_at("translate", &path, help).of_kind(ConfigErrorKind::Duplicate));
        }
    }
    translation
}
