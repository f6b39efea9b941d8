use super::{
    Client, ClientId, ClientRecord, ConfigError, ConfigErrorKind, Issuer, IssuerId, IssuerRecord, Party, Problems,
    Target, TargetId, TargetRecord,
    collisions::{OwnSubjects, check_absent_iss, check_introspection, check_subjects},
    issuer::{IDENTIFIER, trust_domain},
    names::Names,
    place::{Field, Place, Wording},
    unknown,
};
use crate::protocol::{TargetName, TokenType};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// All records, checked alone and together.
#[derive(Debug)]
pub(crate) struct Registry {
    own_issuer: IssuerId,
    clients: HashMap<ClientId, Arc<ClientRecord>>,
    targets: Vec<Arc<TargetRecord>>,
    by_name: HashMap<TargetName<'static>, usize>,
    by_id: HashMap<TargetId, usize>,
    by_aud: HashMap<String, usize>,
    issuers: HashMap<IssuerId, Arc<IssuerRecord>>,
    /// The names that foreign issuers use for each client.
    foreign_names: HashMap<ClientId, Vec<Party>>,
    /// The record for the tokens that this layer issued, if the record of our own issuer describes other tokens only.
    issued: Option<Arc<IssuerRecord>>,
    wording: Wording,
}

impl Registry {
    /// Checks the records. Adds a record for our own issuer if there is none.
    ///
    /// `plugged` lists the token types with a verifier of their own.
    ///
    /// # Errors
    /// All mistakes in the records, in the order of the records.
    pub(crate) fn new(
        own_issuer: &IssuerId,
        clients: &[Client],
        targets: &[Target],
        issuers: &[Issuer],
        own_subjects: OwnSubjects,
        plugged: &[TokenType],
    ) -> Result<Self, ConfigError> {
        let names = Names::new(own_issuer, clients, targets, issuers);
        let mut problems = Problems::default();
        let mut registry = Self {
            own_issuer: own_issuer.clone(),
            clients: HashMap::new(),
            targets: Vec::new(),
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            by_aud: HashMap::new(),
            issuers: HashMap::new(),
            foreign_names: HashMap::new(),
            issued: issued_record(issuers, targets, &names).map(Arc::new),
            wording: clients.first().map_or_else(Wording::default, |client| client.wording),
        };
        problems.check(check_own_identifier(own_issuer));
        problems.check(check_own_issuer(clients, issuers, own_subjects, &names));
        problems.check(check_plain_typ(clients, targets));
        if clients.is_empty() {
            problems.add(missing(
                "clients",
                "none: give at least one `Client`; without clients, nobody can exchange a token",
            ));
        }
        for (position, client) in clients.iter().enumerate() {
            registry.add_client(client, position, &names, &mut problems);
        }
        if targets.is_empty() {
            problems
                .add(missing("targets", "none: give at least one `Target`; without targets, no token can be issued"));
        }
        for (position, target) in targets.iter().enumerate() {
            registry.add_target(target, position, &names, &mut problems);
        }
        check_subjects(issuers, own_subjects, &names, &mut problems);
        check_absent_iss(issuers, &mut problems);
        for (position, issuer) in issuers.iter().enumerate() {
            let describes_issued = names.is_own(issuer.id()) && registry.issued.is_none();
            let of_issued = describes_issued.then(|| accepting_plain_typ(issuer.clone(), targets));
            registry.add_issuer(of_issued.as_ref().unwrap_or(issuer), position, &names, plugged, &mut problems);
        }
        if !registry.issuers.contains_key(own_issuer) {
            let own = accepting_plain_typ(Issuer::new(own_issuer), targets);
            registry.add_issuer(&own, issuers.len(), &names, plugged, &mut problems);
        }
        problems.or(registry)
    }

    /// Checks the records of a resource server, which issues no tokens and has no clients.
    ///
    /// No record is the record of our own issuer, so every token has to be meant for one of the audiences. A record that
    /// names no token type accepts access tokens (RFC 9068).
    ///
    /// # Errors
    /// All mistakes in the records, in their order.
    #[cfg(feature = "resource-server")]
    pub(crate) fn for_resource(audiences: &[String], issuers: &[Issuer]) -> Result<Self, ConfigError> {
        // No issuer has an empty identifier.
        let own_issuer = IssuerId::from("");
        let names = Names::new(&own_issuer, &[], &[], issuers);
        let mut problems = Problems::default();
        let mut registry = Self {
            own_issuer,
            clients: HashMap::new(),
            targets: Vec::new(),
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            by_aud: HashMap::new(),
            issuers: HashMap::new(),
            foreign_names: HashMap::new(),
            issued: None,
            wording: Wording::default(),
        };
        if issuers.is_empty() {
            problems
                .add(missing("issuers", "none: give at least one `Issuer`; without issuers, every token is refused"));
        }
        check_absent_iss(issuers, &mut problems);
        for (position, issuer) in issuers.iter().enumerate() {
            problems.check(issuer.check_for_resource(position));
            registry.add_issuer(&issuer.clone().at_resource(audiences), position, &names, &[], &mut problems);
        }
        problems.or(registry)
    }

    pub(crate) fn own_issuer(&self) -> &IssuerId {
        &self.own_issuer
    }

    /// How the user wrote the records.
    pub(crate) fn wording(&self) -> Wording {
        self.wording
    }

    pub(crate) fn client(&self, id: impl AsRef<str>) -> Option<&Arc<ClientRecord>> {
        self.clients.get(id.as_ref())
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = &Arc<ClientRecord>> {
        self.clients.values()
    }

    pub(crate) fn target(&self, name: &TargetName<'_>) -> Option<&Arc<TargetRecord>> {
        self.target_with_position(name).map(|(_, target)| target)
    }

    /// A target, and its position among the targets.
    pub(crate) fn target_with_position(&self, name: &TargetName<'_>) -> Option<(usize, &Arc<TargetRecord>)> {
        self.by_name.get(name).map(|position| (*position, &self.targets[*position]))
    }

    pub(crate) fn target_by_id(&self, id: impl AsRef<str>) -> Option<&Arc<TargetRecord>> {
        self.by_id.get(id.as_ref()).map(|position| &self.targets[*position])
    }

    /// The target that our own tokens name by this `aud`.
    pub(crate) fn target_by_aud(&self, aud: &str) -> Option<&Arc<TargetRecord>> {
        self.by_aud.get(aud).map(|position| &self.targets[*position])
    }

    pub(crate) fn targets(&self) -> &[Arc<TargetRecord>] {
        &self.targets
    }

    pub(crate) fn issuer(&self, id: impl AsRef<str>) -> Option<&Arc<IssuerRecord>> {
        self.issuers.get(id.as_ref())
    }

    /// The record for the tokens that this layer issued. `None` if the record of our own issuer describes these too.
    pub(crate) fn issued(&self) -> Option<&Arc<IssuerRecord>> {
        self.issued.as_ref()
    }

    /// The issuer whose JWTs of a declared type have no `iss`. The records allow one at most.
    pub(crate) fn issuer_without_iss(&self, declared: &TokenType) -> Option<&Arc<IssuerRecord>> {
        self.issuers().find(|issuer| issuer.accepts_without_iss(declared))
    }

    /// The known trust domain of a SPIFFE ID.
    pub(crate) fn trust_domain_of(&self, sub: &str) -> Option<&Arc<IssuerRecord>> {
        self.issuers.get(trust_domain(sub)?).filter(|issuer| issuer.spiffe)
    }

    /// The help for a client that has no record.
    pub(crate) fn unknown_client(&self, id: impl AsRef<str>) -> String {
        unknown("client", id, self.clients.keys())
    }

    /// The help for a target that has no record.
    pub(crate) fn unknown_target(&self, id: impl AsRef<str>) -> String {
        unknown("target", id, self.by_id.keys())
    }

    /// The help for an issuer that has no record.
    pub(crate) fn unknown_issuer(&self, id: impl AsRef<str>) -> String {
        format!("{}; this server is `{}`", unknown("issuer", id, self.issuers.keys()), self.own_issuer)
    }

    /// Whether any issuer's record accepts tokens of a type.
    pub(crate) fn accepts(&self, token_type: &TokenType) -> bool {
        self.issuers().chain(&self.issued).any(|issuer| issuer.accepts(token_type))
    }

    pub(crate) fn issuers(&self) -> impl Iterator<Item = &Arc<IssuerRecord>> {
        self.issuers.values()
    }

    /// Whether a target record has exactly this text as a name.
    pub(crate) fn has_target_name(&self, text: &str) -> bool {
        let names = [TargetName::resource(text), TargetName::audience(text)];
        names.into_iter().flatten().any(|name| self.by_name.contains_key(&name))
    }

    /// Whether the record of a target or a client has exactly this scope token.
    pub(crate) fn has_scope_token(&self, token: &str) -> bool {
        let of_targets = self.targets.iter().map(|target| &target.scopes);
        let of_clients = self.clients().filter_map(|client| client.scopes.as_ref());
        of_targets.chain(of_clients).any(|scope| scope.contains(token))
    }

    /// Whether a text is a registered token type, or a record has exactly this token type.
    pub(crate) fn has_token_type(&self, text: &str) -> bool {
        let token_type = TokenType::declared(text);
        token_type.is_registered() || self.accepts(&token_type)
    }

    /// Whether a text is public, because a record has exactly this text or the text is a registered token type.
    pub(crate) fn has_text(&self, text: &str) -> bool {
        self.client(text).is_some()
            || self.issuer(text).is_some()
            || self.has_target_name(text)
            || self.has_scope_token(text)
            || self.has_token_type(text)
    }

    /// Whether issued access tokens can have the header `typ: JWT`.
    pub(crate) fn issues_plain_typ(&self) -> bool {
        self.targets.iter().any(|target| target.plain_typ)
    }

    /// The client that serves the target that our own tokens name by this `aud`.
    pub(crate) fn owner_of(&self, aud: &str) -> Option<&ClientId> {
        self.target_by_aud(aud)?.owner.as_ref()
    }

    /// Whether an issuer is this authorization server.
    pub(crate) fn is_own(&self, issuer: impl AsRef<str>) -> bool {
        self.own_issuer == *issuer.as_ref()
    }

    /// Our client that an issuer means by a name. Our own tokens name a client by its id; tokens of a foreign issuer
    /// name a client only through the issuer's record.
    pub(crate) fn client_meant<'a>(&'a self, issuer: &'a IssuerRecord, name: &str) -> Option<&'a ClientId> {
        if issuer.own { self.clients.get(name).map(|client| &client.id) } else { issuer.client_named(name) }
    }

    /// The names that foreign issuers use for a client of ours.
    pub(crate) fn foreign_names_of(&self, client: &str) -> &[Party] {
        self.foreign_names.get(client).map_or(&[], Vec::as_slice)
    }

    fn add_client(&mut self, client: &Client, position: usize, names: &Names, problems: &mut Problems) {
        match self.clients.entry(client.id.clone()) {
            Entry::Occupied(_) => problems.add(given_twice(&client.place(position), "id")),
            Entry::Vacant(free) => _ = free.insert(Arc::new(client.check(position, names, problems))),
        }
    }

    fn add_target(&mut self, target: &Target, position: usize, names: &Names, problems: &mut Problems) {
        let place = target.place(position);
        let index = self.targets.len();
        if self.by_id.contains_key(&target.id) {
            return problems.add(given_twice(&place, "id"));
        }
        let id_of = |index: usize| self.targets.get(index).map_or(&target.id, |other| &other.id);
        for name in target.request_names(position, problems) {
            match self.by_name.entry(name.name.clone()) {
                Entry::Occupied(other) => problems.add(name.taken(&place, id_of(*other.get()))),
                Entry::Vacant(free) => _ = free.insert(index),
            }
        }
        match self.by_aud.entry(target.aud().to_owned()) {
            Entry::Occupied(other) => problems.add(target.shared_aud(&place, id_of(*other.get()))),
            Entry::Vacant(free) => _ = free.insert(index),
        }
        self.by_id.insert(target.id.clone(), index);
        self.targets.push(Arc::new(target.check(position, names, problems)));
    }

    fn add_issuer(
        &mut self,
        issuer: &Issuer,
        position: usize,
        names: &Names,
        plugged: &[TokenType],
        problems: &mut Problems,
    ) {
        let place = issuer.place(position);
        if self.issuers.contains_key(issuer.id()) {
            return problems.add(given_twice(&place, IDENTIFIER));
        }
        let record = issuer.check(position, names, plugged, problems);
        for (theirs, ours) in record.client_names() {
            self.foreign_names.entry(ours.clone()).or_default().push(Party::new(&record.id, theirs));
        }
        problems.check(check_introspection(&record, self.issuers.values(), &place));
        self.issuers.insert(record.id.clone(), Arc::new(record));
    }
}

/// Makes the record for the tokens that this layer issued. Mistakes are reported for the record that they are in.
fn issued_record(issuers: &[Issuer], targets: &[Target], names: &Names) -> Option<IssuerRecord> {
    let own = issuers.iter().find(|issuer| names.is_own(issuer.id()) && issuer.excludes_issued_tokens())?;
    let record = accepting_plain_typ(own.of_issued_tokens(), targets);
    Some(record.check(0, names, &[], &mut Problems::default()))
}

/// The record of issued tokens, which have the `typ` that a target asks for.
fn accepting_plain_typ(record: Issuer, targets: &[Target]) -> Issuer {
    if targets.iter().any(Target::has_plain_typ) { record.allow_untyped_access_tokens() } else { record }
}

fn check_own_identifier(own_issuer: &IssuerId) -> Result<(), ConfigError> {
    let id = own_issuer.as_str();
    if id.starts_with("https://") || id.starts_with("http://") {
        return Ok(());
    }
    Err(ConfigError::new("issuer", "not a URL: give the exact `iss` of the tokens that the layer issues"))
}

fn missing(field: &str, help: &str) -> ConfigError {
    ConfigError::new(field, help).of_kind(ConfigErrorKind::Missing)
}

/// Checks the record of our own issuer against the settings and the clients.
fn check_own_issuer(
    clients: &[Client],
    issuers: &[Issuer],
    own_subjects: OwnSubjects,
    names: &Names,
) -> Result<(), ConfigError> {
    let Some(own) = issuers.iter().find(|issuer| names.is_own(issuer.id())) else { return Ok(()) };
    if own_subjects == OwnSubjects::None {
        let help = "our own issuer has a record and therefore subjects: remove the record or this setting";
        return Err(ConfigError::new("federated_subjects_only", help).of_kind(ConfigErrorKind::Conflict));
    }
    let jwt_client = clients.iter().enumerate().find(|(_, client)| client.may_request_jwt());
    match jwt_client {
        Some((position, client)) if own.has_untyped_access_tokens() && !own.excludes_issued_tokens() => {
            let help = "an untyped access token of our own issuer looks like such a JWT: remove this permission, or \
                        remove `allow_untyped_access_tokens` from the record of our own issuer";
            Err(client.place(position).wrong("allow_jwt_output", help).of_kind(ConfigErrorKind::Conflict))
        }
        _ => Ok(()),
    }
}

/// Checks that the `typ` of an issued token shows the type of the token.
fn check_plain_typ(clients: &[Client], targets: &[Target]) -> Result<(), ConfigError> {
    let plain = targets.iter().enumerate().find(|(_, target)| target.has_plain_typ());
    let jwt_client = clients.iter().find(|client| client.may_request_jwt());
    let (Some((position, target)), Some(client)) = (plain, jwt_client) else { return Ok(()) };
    let help = format!(
        "an access token with this `typ` looks like a JWT that client `{}` may request (`allow_jwt_output`): remove one of \
         the two",
        client.id
    );
    Err(target.place(position).wrong("token_typ", help).of_kind(ConfigErrorKind::Conflict))
}

fn given_twice(place: &Place<'_>, id: impl Into<Field>) -> ConfigError {
    place.wrong(id, "a second record with this id: keep one record").of_kind(ConfigErrorKind::Duplicate)
}
