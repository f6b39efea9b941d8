use super::{
    Client, ConfigError, Issuer, Party, SubjectMapping, Target,
    client_checks::ClientRecord,
    collisions::check_collisions,
    config_error::Record,
    issuer_checks,
    presets::trust_domain,
    target_checks::{TargetRecord, wrong_name},
};
use crate::protocol::{TargetName, TokenType};
use std::{collections::HashMap, sync::Arc};

/// Whether this authorization server has subjects of its own, beside those that come from foreign issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnSubjects {
    Some,
    None,
}

/// The records as they were given.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) clients: Vec<Client>,
    pub(crate) targets: Vec<Target>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) own_subjects: OwnSubjects,
    /// The token types that have a verifier of their own.
    pub(crate) plugged: Vec<TokenType>,
}

/// Everything that is known, checked as a whole.
#[derive(Debug)]
pub(crate) struct Registry {
    own_issuer: String,
    clients: HashMap<String, Arc<ClientRecord>>,
    targets: Vec<Arc<TargetRecord>>,
    by_name: HashMap<TargetName, usize>,
    by_id: HashMap<String, usize>,
    by_aud: HashMap<String, usize>,
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
            by_id: HashMap::new(),
            by_aud: HashMap::new(),
            issuers: HashMap::new(),
        };
        if !own_issuer.starts_with("https://") && !own_issuer.starts_with("http://") {
            return Err(ConfigError::new("issuer", "not a URL: give the identifier that tokens name in `iss`"));
        }
        if clients.is_empty() {
            return Err(ConfigError::new("clients", "none: without a `Client` nobody can exchange anything"));
        }
        for (position, client) in clients.into_iter().enumerate() {
            registry.add_client(ClientRecord::check(client, position)?)?;
        }
        if targets.is_empty() {
            return Err(ConfigError::new("targets", "none: without a `Target` there is nothing to exchange for"));
        }
        for (position, target) in targets.into_iter().enumerate() {
            registry.add_target(TargetRecord::check(target, position, &registry)?)?;
        }
        registry.add_issuers(issuers, own_subjects, &plugged)?;
        // The first mistake is told first.
        let mut clients: Vec<_> = registry.clients.values().collect();
        clients.sort_unstable_by_key(|client| client.place().position);
        clients.into_iter().try_for_each(|client| client.check_names(&registry))?;
        Ok(registry)
    }

    pub(crate) fn own_issuer(&self) -> &str {
        &self.own_issuer
    }

    pub(crate) fn client(&self, id: &str) -> Option<&Arc<ClientRecord>> {
        self.clients.get(id)
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = &Arc<ClientRecord>> {
        self.clients.values()
    }

    pub(crate) fn target(&self, name: &TargetName) -> Option<&Arc<TargetRecord>> {
        self.target_with_position(name).map(|(_, target)| target)
    }

    /// A target, and where it stands among them.
    pub(crate) fn target_with_position(&self, name: &TargetName) -> Option<(usize, &Arc<TargetRecord>)> {
        self.by_name.get(name).map(|position| (*position, &self.targets[*position]))
    }

    pub(crate) fn target_by_id(&self, id: &str) -> Option<&Arc<TargetRecord>> {
        self.by_id.get(id).map(|position| &self.targets[*position])
    }

    /// The target which our own tokens call so in `aud`.
    pub(crate) fn target_by_aud(&self, aud: &str) -> Option<&Arc<TargetRecord>> {
        self.by_aud.get(aud).map(|position| &self.targets[*position])
    }

    pub(crate) fn targets(&self) -> &[Arc<TargetRecord>] {
        &self.targets
    }

    pub(crate) fn issuer(&self, id: &str) -> Option<&Arc<Issuer>> {
        self.issuers.get(id)
    }

    /// The trust domain that a SPIFFE ID is of, if it is one of those known.
    pub(crate) fn trust_domain_of(&self, sub: &str) -> Option<&Arc<Issuer>> {
        self.issuers.get(trust_domain(sub)?).filter(|issuer| issuer.spiffe)
    }

    /// Whether any issuer's record takes tokens of this type.
    pub(crate) fn accepts(&self, token_type: &TokenType) -> bool {
        self.issuers().any(|issuer| issuer.accepts(token_type))
    }

    pub(crate) fn issuers(&self) -> impl Iterator<Item = &Arc<Issuer>> {
        self.issuers.values()
    }

    /// The client that owns the resource which one of our own tokens calls so in `aud`.
    pub(crate) fn owner_of(&self, aud: &str) -> Option<&str> {
        self.target_by_aud(aud)?.owner.as_deref()
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

    fn add_client(&mut self, client: ClientRecord) -> Result<(), ConfigError> {
        if self.clients.contains_key(&client.id) {
            return Err(client.place().wrong_whole("registered twice: keep one record"));
        }
        self.clients.insert(client.id.clone(), Arc::new(client));
        Ok(())
    }

    fn add_target(&mut self, target: TargetRecord) -> Result<(), ConfigError> {
        let position = self.targets.len();
        for (field, index, name) in target.names(position)? {
            let text = if field == "resources" { &target.resources[index] } else { &target.audiences[index] };
            if let Some(other) = self.by_name.insert(name, position) {
                let other = self.targets.get(other).map_or(&target.id, |other| &other.id);
                let record = Record { kind: "target", position, name: &target.id };
                return Err(wrong_name(&record, field, index, format!("`{text}` already names target `{other}`")));
            }
        }
        self.by_id.insert(target.id.clone(), position);
        self.by_aud.insert(target.aud.clone(), position);
        self.targets.push(Arc::new(target));
        Ok(())
    }

    fn add_issuers(
        &mut self,
        issuers: Vec<Issuer>,
        own_subjects: OwnSubjects,
        plugged: &[TokenType],
    ) -> Result<(), ConfigError> {
        let own = issuers.iter().find(|issuer| self.is_own(&issuer.id));
        if own_subjects == OwnSubjects::None && own.is_some() {
            let help = "our own issuer has a record, so it has subjects: leave one of the two out";
            return Err(ConfigError::new("federated_subjects_only", help));
        }
        let jwt_client = self.clients.values().find(|client| client.jwt_output);
        if let (Some(client), true) = (jwt_client, own.is_some_and(|own| own.untyped_access_tokens)) {
            let help = "our untyped access tokens could not be told from such JWTs: leave one of the two out";
            return Err(client.place().wrong("allow_jwt_output", help));
        }
        check_collisions(self, &issuers, own_subjects)?;
        let made = own.is_none().then(|| Issuer::new(&self.own_issuer));
        for (position, issuer) in issuers.into_iter().chain(made).enumerate() {
            let issuer = issuer_checks::complete(self, issuer, position, plugged)?;
            if self.issuers.contains_key(&issuer.id) {
                let record = Record { kind: "issuer", position, name: &issuer.id };
                return Err(record.wrong_whole("registered twice: keep one record"));
            }
            self.issuers.insert(issuer.id.clone(), Arc::new(issuer));
        }
        Ok(())
    }
}
