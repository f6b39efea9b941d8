use super::{
    Client, Issuer, KeySource, Party, SubjectMapping, Target, TokenRules, issuer_checks, presets::trust_domain,
};
use crate::{
    fetch::web_uri,
    protocol::{Scope, TargetName, TokenType},
};
use http::Uri;
use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    sync::Arc,
};

/// A mistake in the configuration: what holds it, and the way out.
///
/// ```
/// use tower_token_exchange::{Client, TokenExchangeLayer};
///
/// let error = TokenExchangeLayer::builder("https://as.example")
///     .clients([Client::new("orders").secret("short")])
///     .build()
///     .unwrap_err();
/// assert!(error.to_string().starts_with("client `orders`: secret: shorter than 16 characters"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {way_out}")]
pub struct ConfigError {
    field: String,
    way_out: String,
}

impl ConfigError {
    pub(crate) fn new(field: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { field: field.into(), way_out: way_out.into() }
    }

    /// The field, with the record that holds it.
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// Members that no record may name to be carried on: this crate decides them, or they have another meaning.
const RESERVED_CLAIMS: [&str; 22] = [
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
];

/// Whether this authorization server has subjects of its own, beside those that come from foreign issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnSubjects {
    Some,
    None,
}

/// The records as they were given.
pub(crate) struct Records {
    pub(crate) clients: Vec<Client>,
    pub(crate) targets: Vec<Target>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) own_subjects: OwnSubjects,
    /// The token types that have a verifier of their own.
    pub(crate) plugged: Vec<TokenType>,
}

#[derive(Debug)]
pub(crate) struct ClientRecord {
    record: Client,
    pub(crate) scopes: Option<Scope>,
    pub(crate) scopeless_subject_scopes: Scope,
    pub(crate) ignored_scopes: Scope,
}

#[derive(Debug)]
pub(crate) struct TargetRecord {
    record: Target,
    pub(crate) scopes: Scope,
    pub(crate) translation: Option<BTreeMap<String, Scope>>,
}

impl Deref for ClientRecord {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.record
    }
}

impl Deref for TargetRecord {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.record
    }
}

/// Everything that is known, checked as a whole.
#[derive(Debug)]
pub(crate) struct Registry {
    own_issuer: String,
    clients: HashMap<String, Arc<ClientRecord>>,
    targets: Vec<Arc<TargetRecord>>,
    by_name: HashMap<TargetName, usize>,
    issuers: HashMap<String, Arc<Issuer>>,
}

impl Registry {
    /// Checks the records, one by one and against each other. The own issuer's record is made if it is not there.
    pub(crate) fn new(own_issuer: &str, records: Records) -> Result<Self, ConfigError> {
        let Records { clients, targets, issuers, own_subjects, plugged } = records;
        let mut registry = Self {
            own_issuer: own_issuer.to_owned(),
            clients: HashMap::new(),
            targets: Vec::new(),
            by_name: HashMap::new(),
            issuers: HashMap::new(),
        };
        if !own_issuer.starts_with("https://") && !own_issuer.starts_with("http://") {
            return Err(ConfigError::new("issuer", "not a URL: give the identifier that tokens name in `iss`"));
        }
        if clients.is_empty() {
            return Err(ConfigError::new("clients", "none: without a `Client` nobody can exchange anything"));
        }
        for client in clients {
            registry.add_client(client)?;
        }
        if targets.is_empty() {
            return Err(ConfigError::new("targets", "none: without a `Target` there is nothing to exchange for"));
        }
        for target in targets {
            registry.add_target(target)?;
        }
        registry.check_clients()?;
        registry.add_issuers(issuers, own_subjects, &plugged)?;
        registry.check_carried()?;
        Ok(registry)
    }

    pub(crate) fn own_issuer(&self) -> &str {
        &self.own_issuer
    }

    pub(crate) fn client(&self, id: &str) -> Option<&Arc<ClientRecord>> {
        self.clients.get(id)
    }

    pub(crate) fn target(&self, name: &TargetName) -> Option<&Arc<TargetRecord>> {
        self.by_name.get(name).map(|position| &self.targets[*position])
    }

    pub(crate) fn target_by_id(&self, id: &str) -> Option<&Arc<TargetRecord>> {
        self.targets.iter().find(|target| target.id == id)
    }

    pub(crate) fn issuer(&self, id: &str) -> Option<&Arc<Issuer>> {
        self.issuers.get(id)
    }

    /// The trust domain that a SPIFFE ID is of, if it is one of those known.
    pub(crate) fn trust_domain_of(&self, sub: &str) -> Option<&Arc<Issuer>> {
        self.issuers.get(trust_domain(sub)?).filter(|issuer| issuer.spiffe)
    }

    pub(crate) fn issuers(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.values()
    }

    /// The client that owns the resource which one of our own tokens calls so in `aud`.
    pub(crate) fn owner_of(&self, aud: &str) -> Option<&str> {
        self.targets.iter().find(|target| target.aud == aud)?.owner.as_deref()
    }

    /// Whether an issuer is this authorization server itself.
    pub(crate) fn is_own(&self, issuer: &str) -> bool {
        issuer == self.own_issuer
    }

    /// The client that an issuer means by a name: ours by its id, a foreign one's only through its record.
    pub(crate) fn client_meant<'a>(&'a self, issuer: &'a Issuer, name: &'a str) -> Option<&'a str> {
        if self.is_own(&issuer.id) {
            self.clients.contains_key(name).then_some(name)
        } else {
            issuer.client_named(name)
        }
    }

    /// The foreign party that became this subject of ours, where the name still tells.
    pub(crate) fn origin_of(&self, own_sub: &str) -> Option<Party> {
        if self.clients.contains_key(own_sub) {
            return None;
        }
        self.issuers.values().find_map(|issuer| match &issuer.subjects {
            Some(SubjectMapping::Prefix(prefix)) => {
                Some(Party::new(&issuer.id, own_sub.strip_prefix(prefix.as_str())?))
            }
            // By a claim, the name is not the issuer's `sub`, but the issuer is certain.
            Some(SubjectMapping::Keep | SubjectMapping::Claim(_)) => Some(Party::new(&issuer.id, own_sub)),
            None => None,
        })
    }

    fn add_client(&mut self, client: Client) -> Result<(), ConfigError> {
        let who = format!("client `{}`", client.id);
        if client.id.is_empty() || !client.id.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Err(ConfigError::new(who, "a client_id is printable ASCII (RFC 6749 appendix A.1)"));
        }
        if client.max_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
            return Err(ConfigError::new(format!("{who}: max_lifetime"), "give 1 s or more"));
        }
        if let Some((field, way_out)) = client.problem {
            return Err(ConfigError::new(format!("{who}: {field}"), way_out));
        }
        let record = ClientRecord {
            scopes: client.scopes.as_ref().map(|list| scope(&who, "scopes", list)).transpose()?,
            scopeless_subject_scopes: scope(&who, "scopes_for_scopeless_subjects", &client.scopeless_subject_scopes)?,
            ignored_scopes: scope(&who, "ignored_scopes", &client.ignored_scopes)?,
            record: client,
        };
        if let Some(twice) = self.clients.insert(record.id.clone(), Arc::new(record)) {
            return Err(ConfigError::new(format!("client `{}`", twice.id), "registered twice: keep one record"));
        }
        Ok(())
    }

    fn add_target(&mut self, target: Target) -> Result<(), ConfigError> {
        let who = format!("target `{}`", target.id);
        let wrong = |field: &str, way_out: String| Err(ConfigError::new(format!("{who}: {field}"), way_out));
        for caller in target.callers.iter().chain(&target.owner) {
            if !self.clients.contains_key(caller) {
                return wrong("callers or owner", format!("no client `{caller}`: register it, or mend the name"));
            }
        }
        if target.scopes.is_empty() {
            return wrong("scopes", "none: nothing could ever be granted; list the scopes of this service".into());
        }
        if target.aud.is_empty() || self.targets.iter().any(|other| other.aud == target.aud) {
            return wrong("aud", format!("`{}` is empty or another target's: give each its own", target.aud));
        }
        if self.clients.contains_key(&target.aud) && target.owner.as_ref() != Some(&target.aud) {
            let way_out = "is the name of a client that does not own the target: name the `owner`, or another `aud`";
            return wrong("aud", format!("`{}` {way_out}", target.aud));
        }
        if target.max_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
            return wrong("max_lifetime", "give 1 s or more".into());
        }
        if let Some(claim) = target.claims.iter().find(|claim| RESERVED_CLAIMS.contains(&claim.as_str())) {
            return wrong("claims", format!("`{claim}` is never carried over: leave it out"));
        }
        let scopes = scope(&who, "scopes", &target.scopes)?;
        let mut translation: Option<BTreeMap<String, Scope>> = None;
        for (upstream, here) in target.translation.iter().flatten() {
            scope(&who, "translate", std::slice::from_ref(upstream))?;
            let here = scope(&who, "translate", here)?;
            if !here.is_subset(&scopes) {
                let stray = here.difference(&scopes);
                return wrong("translate", format!("`{stray}` is not among the target's scopes: list it there too"));
            }
            if translation.get_or_insert_default().insert(upstream.clone(), here).is_some() {
                return wrong("translate", format!("`{upstream}` twice: keep one"));
            }
        }
        let resources = target.resources.iter().map(|uri| (uri, TargetName::resource(uri)));
        let audiences = target.audiences.iter().map(|name| (name, TargetName::audience(name)));
        for (text, name) in resources.chain(audiences) {
            let name = match name {
                Ok(name) => name,
                Err(problem) => return wrong("resource or audience", format!("`{text}` {}", problem.0)),
            };
            if let Some(other) = self.by_name.insert(name, self.targets.len()) {
                let other = self.targets.get(other).map_or(&target.id, |other| &other.id);
                return wrong("resource or audience", format!("`{text}` already names target `{other}`"));
            }
        }
        self.targets.push(Arc::new(TargetRecord { record: target, scopes, translation }));
        Ok(())
    }

    fn check_clients(&self) -> Result<(), ConfigError> {
        for client in self.clients.values() {
            let wrong = |field, way_out| Err(ConfigError::new(format!("client `{}`: {field}", client.id), way_out));
            if let Some(unknown) = client.targets.iter().flatten().find(|id| self.target_by_id(id).is_none()) {
                return wrong("targets", format!("no target `{unknown}`: register it, or mend the name"));
            }
            if let Some(id) = &client.default_target {
                match self.target_by_id(id) {
                    Some(_) if client.targets.as_ref().is_some_and(|list| !list.contains(id)) => {
                        return wrong(
                            "default_target",
                            format!("`{id}` is not among its `targets`: list it there too"),
                        );
                    }
                    Some(target) if target.callers.contains(&client.id) => {}
                    Some(_) => return wrong("default_target", format!("list it in the `callers` of target `{id}`")),
                    None => return wrong("default_target", format!("no target `{id}`: register it, or mend the name")),
                }
            }
        }
        Ok(())
    }

    fn check_carried(&self) -> Result<(), ConfigError> {
        for client in self.clients.values() {
            if let Some(party) = client.carries.iter().find(|party| !self.issuers.contains_key(&party.iss)) {
                let way_out = format!("no issuer `{}`: register it, or mend the name", party.iss);
                return Err(ConfigError::new(format!("client `{}`: carries", client.id), way_out));
            }
        }
        Ok(())
    }

    fn add_issuers(
        &mut self,
        issuers: Vec<Issuer>,
        subjects: OwnSubjects,
        plugged: &[TokenType],
    ) -> Result<(), ConfigError> {
        let own = issuers.iter().find(|issuer| self.is_own(&issuer.id));
        if subjects == OwnSubjects::None && own.is_some() {
            let way_out = "our own issuer has a record, so it has subjects: leave one of the two out";
            return Err(ConfigError::new("federated_subjects_only", way_out));
        }
        let jwt_client = self.clients.values().find(|client| client.jwt_output);
        if let (Some(client), true) = (jwt_client, own.is_some_and(|own| own.untyped_access_tokens)) {
            let way_out = "our untyped access tokens could not be told from such JWTs: leave one of the two out";
            return Err(ConfigError::new(format!("client `{}`: allow_jwt_output", client.id), way_out));
        }
        check_collisions(issuers.iter().filter(|issuer| !self.is_own(&issuer.id)), subjects)?;
        let made = own.is_none().then(|| Issuer::new(&self.own_issuer));
        for issuer in issuers.into_iter().chain(made) {
            let issuer = self.complete(issuer, plugged)?;
            self.check_asked_alone(&issuer)?;
            if let Some(twice) = self.issuers.insert(issuer.id.clone(), Arc::new(issuer)) {
                return Err(ConfigError::new(format!("issuer `{}`", twice.id), "registered twice: keep one record"));
            }
        }
        Ok(())
    }

    /// An opaque token does not say who issued it, so only one issuer can be asked about each type.
    fn check_asked_alone(&self, issuer: &Issuer) -> Result<(), ConfigError> {
        let asked = self.issuers().filter(|other| other.introspection.is_some() && issuer.introspection.is_some());
        for (other, rules) in asked.flat_map(|other| other.tokens.iter().map(move |rules| (other, rules))) {
            if issuer.accepts(&rules.token_type) {
                let way_out = format!(
                    "issuer `{}` is asked about opaque tokens of type `{}` too: give one of the two a type of its own",
                    other.id, rules.token_type
                );
                return Err(ConfigError::new(format!("issuer `{}`: introspection", issuer.id), way_out));
            }
        }
        Ok(())
    }

    /// Checks an issuer's record and fills in what its origin decides.
    fn complete(&self, mut issuer: Issuer, plugged: &[TokenType]) -> Result<Issuer, ConfigError> {
        let own = self.is_own(&issuer.id);
        let who = format!("issuer `{}`", issuer.id);
        let wrong = |field: &str, way_out: String| Err(ConfigError::new(format!("{who}: {field}"), way_out));
        let is_plugged = |rules: &TokenRules| plugged.contains(&rules.token_type);
        if issuer.tokens.is_empty() {
            issuer = issuer.token_types([if own { TokenType::ACCESS_TOKEN } else { TokenType::JWT }]);
        }
        let is_saml = |rules: &&TokenRules| rules.token_type.as_str().starts_with(SAML) && !is_plugged(rules);
        if let Some(rules) = issuer.tokens.iter().find(is_saml) {
            let way_out = "is no JWT: give a `token_verifier` for it, or leave it out";
            return wrong("token_types", format!("`{}` {way_out}", rules.token_type));
        }
        match &issuer.keys {
            Some(KeySource::Fixed(keys)) if keys.is_empty() => {
                return wrong("keys", "no usable key in the set: RSA from 2048 bits, P-256, P-384 or Ed25519".into());
            }
            Some(KeySource::Remote(uri)) if uri.contains('@') => {
                return wrong("jwks_uri", "has user information: give a `fetch` that adds credentials".into());
            }
            Some(KeySource::Remote(uri)) if !uri.parse().is_ok_and(|uri: Uri| uri.scheme().is_some()) => {
                return wrong("jwks_uri", format!("`{uri}` is not an absolute URL"));
            }
            Some(KeySource::Discovered) if issuer.id.contains('?') || web_uri(&issuer.id).is_none() => {
                let way_out = "the identifier is not an absolute URL without query, fragment and user information: \
                               give `keys` or a `jwks_uri`";
                return wrong("discovery", way_out.into());
            }
            None if !own && issuer.introspection.is_none() && !issuer.tokens.iter().all(is_plugged) => {
                return wrong(
                    "keys",
                    "give them with `keys`, `jwks_uri` or `discovery`, or give an `introspection`".into(),
                );
            }
            _ => {}
        }
        if issuer.algorithms.is_empty() {
            return wrong("algorithms", "none: name those that it signs with".into());
        }
        let named = issuer.client_names.iter().map(|(_, client)| client).chain(&issuer.presenters);
        let mut names: Vec<_> = issuer.client_names.iter().map(|(there, _)| there).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return wrong("client_name", format!("`{}` means two clients: keep one", twice[0]));
        }
        if let Some(unknown) = named.into_iter().find(|client| !self.clients.contains_key(*client)) {
            return wrong("client_name or presenters", format!("no client `{unknown}`: register it, or mend the name"));
        }
        issuer_checks::check(&issuer, own)?;
        if own {
            (issuer.act, issuer.may_act, issuer.actor_tokens) = (true, true, true);
        } else if issuer.our_names.is_empty() {
            issuer.our_names.push(self.own_issuer.clone());
        }
        Ok(issuer)
    }
}

const SAML: &str = "urn:ietf:params:oauth:token-type:saml";

/// Two issuers must never be able to name the same subject of ours (RFC 7519 section 4.1.2).
fn check_collisions<'a>(foreign: impl Iterator<Item = &'a Issuer>, own: OwnSubjects) -> Result<(), ConfigError> {
    const UNPREFIXED: &str = "another issuer whose subjects have no prefix";
    let ours = "our own issuer (if that has no subjects of its own, say `federated_subjects_only`)";
    let mut unprefixed = (own == OwnSubjects::Some).then_some(ours);
    let mut prefixes: Vec<&str> = Vec::new();
    for issuer in foreign {
        let field = format!("issuer `{}`: subjects", issuer.id);
        let collides = |other: &str| {
            let way_out =
                format!("could name the same subject as {other}: give it a `SubjectMapping::Prefix` of its own");
            Err(ConfigError::new(field.clone(), way_out))
        };
        match &issuer.subjects {
            None => {
                let way_out = "say how its `sub` becomes ours: `SubjectMapping::Prefix`, `Keep` or `Claim`";
                return Err(ConfigError::new(field, way_out));
            }
            Some(SubjectMapping::Prefix(prefix)) => {
                if prefix.is_empty() {
                    return Err(ConfigError::new(field, "an empty prefix keeps the name: say `SubjectMapping::Keep`"));
                }
                let overlaps = |other: &&&str| prefix.starts_with(**other) || other.starts_with(prefix.as_str());
                if let Some(other) = prefixes.iter().find(overlaps) {
                    return collides(&format!("the issuer with the prefix `{other}`"));
                }
                if unprefixed == Some(UNPREFIXED) {
                    return collides(UNPREFIXED);
                }
                prefixes.push(prefix);
            }
            Some(SubjectMapping::Keep | SubjectMapping::Claim(_)) => {
                if let Some(other) = unprefixed {
                    return collides(other);
                }
                if let Some(other) = prefixes.first() {
                    return collides(&format!("the issuer with the prefix `{other}`"));
                }
                unprefixed = Some(UNPREFIXED);
            }
        }
    }
    Ok(())
}

fn scope(who: &str, field: &str, tokens: &[String]) -> Result<Scope, ConfigError> {
    Scope::from_tokens(tokens).map_err(|problem| ConfigError::new(format!("{who}: {field}"), problem.to_string()))
}
