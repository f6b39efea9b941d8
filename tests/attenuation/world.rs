//! The plain values of a case, and the conversion of a case into records, tokens and requests.
//!
//! This module does not decide what may be granted.

use crate::support::{ACCESS_TOKEN, AS, ID_TOKEN, IDP, JWT, Minter, NOW, basic, secret_of, segment};
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Scope, Target, TokenExchangeLayer, TokenType,
    audit::{AuditBudget, AuditEvent, Outcome as Ended},
    jwks::KeySet,
    policy::{Actors, Decision, Grant, Names, Query, Rule, Semantics, Subjects, Table},
    proof::{Dpop, Permission},
    records::{Party, SubjectMapping},
    signing::Algorithm,
};

pub const CLIENTS: [&str; 3] = ["orders", "billing", "web"];
/// The foreign names of the clients, if the record of the foreign issuer maps names.
pub const NAMES_THERE: [&str; 3] = ["orders-there", "billing-there", "web-there"];
pub const TARGETS: [&str; 3] = ["shop", "ledger", "stock"];
/// The tenants of the foreign issuer, if its record has tenants.
pub const TENANTS: [&str; 2] = ["red", "blue"];
/// The prefix of foreign subjects in issued tokens.
pub const PREFIX: &str = "idp|";
/// Claims that records can list to be copied.
pub const EXTRA: [&str; 3] = ["tenant", "groups", "roles"];
/// The local value of the foreign `acr`, if the record of the foreign issuer maps it.
pub const ACR: (&str, &str) = ("high", "mapped-high");
/// No record has the last scope.
pub const SCOPES: [&str; 6] = ["read", "write", "pay", "ship", "audit", "admin"];
const TOKEN_ENDPOINT: &str = "https://as.example/token";
pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";

static OWN: LazyLock<Minter> = LazyLock::new(|| Minter::new(AS, Algorithm::ES256));
static FOREIGN: LazyLock<(Minter, KeySet)> = LazyLock::new(|| {
    let minter = Minter::new(IDP, Algorithm::ES256);
    let keys = minter.keys();
    (minter, keys)
});

/// The keys of DPoP proofs.
static PROVERS: LazyLock<[Minter; 2]> = LazyLock::new(|| [(); 2].map(|()| Minter::new(AS, Algorithm::ES256)));

/// The public key of a prover.
fn jwk(key: usize) -> Value {
    let keys: Value = serde_json::from_str(&PROVERS[key].key.published_keys().to_json()).unwrap();
    keys["keys"][0].clone()
}

/// The thumbprint of a prover, which is the default id of a key.
pub fn jkt(key: usize) -> String {
    jwk(key)["kid"].as_str().unwrap().to_owned()
}

/// A DPoP proof that no other request has.
fn proof(key: usize) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let prover = &PROVERS[key];
    let header = json!({ "typ": "dpop+jwt", "alg": prover.key.algorithm().as_str(), "jwk": jwk(key) });
    let jti = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    prover.sign(&header, &json!({ "jti": jti, "htm": "POST", "htu": TOKEN_ENDPOINT, "iat": NOW }))
}

/// A set of scopes, one bit for each of [`SCOPES`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(pub u8);

impl Scopes {
    pub fn names(self) -> Vec<&'static str> {
        SCOPES.into_iter().enumerate().filter(|(bit, _)| self.0 & 1 << bit != 0).map(|(_, name)| name).collect()
    }

    pub fn of(text: &str) -> Self {
        let bit = |name| SCOPES.iter().position(|scope| *scope == name).expect("a scope of this world");
        Self(text.split(' ').filter(|name| !name.is_empty()).fold(0, |set, name| set | 1 << bit(name)))
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn is_within(self, other: Self) -> bool {
        self.without(other).is_empty()
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn to_scope(self) -> Scope {
        if self.is_empty() { Scope::empty() } else { self.names().join(" ").parse().unwrap() }
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.names().join(" "))
    }
}

/// A name, and the issuer whose name it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    pub iss: String,
    pub sub: String,
}

pub fn who(iss: &str, sub: &str) -> Who {
    Who { iss: iss.to_owned(), sub: sub.to_owned() }
}

impl Who {
    fn party(&self) -> Party {
        Party::new(&self.iss, &self.sub)
    }
}

/// Some of the three clients, targets or claims.
pub type Some3 = [bool; 3];

pub fn named(some: &Some3, names: [&'static str; 3]) -> Vec<&'static str> {
    names.into_iter().zip(some).filter(|(_, is_in)| **is_in).map(|(name, _)| name).collect()
}

#[derive(Clone, Debug)]
pub struct ClientSpec {
    pub may_exchange: bool,
    pub targets: Option<Some3>,
    pub scopes: Option<Scopes>,
    /// For own access tokens, for foreign JWTs and for ID tokens.
    pub scopes_for_scopeless: [Scopes; 3],
    pub ignored: Scopes,
    pub default_target: Option<usize>,
    pub max_lifetime: Option<u64>,
    pub self_exchange: bool,
    pub several_audiences: bool,
    pub repeated_actors: bool,
    pub jwt_output: bool,
    /// Whether the client serves each of [`TENANTS`].
    pub tenants: [bool; 2],
    /// Issuers and names.
    pub carries: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Debug)]
pub struct TargetSpec {
    pub owner: Option<usize>,
    pub callers: Some3,
    pub scopes: Scopes,
    /// The meaning of each scope of the subject, by its bit.
    pub translation: Option<Vec<(usize, Scopes)>>,
    pub claims: Some3,
    pub max_lifetime: Option<u64>,
}

pub fn aud_of(target: usize) -> String {
    format!("https://{}.example", TARGETS[target])
}

#[derive(Clone, Debug)]
pub struct IssuerSpec {
    pub client_names: Some3,
    pub presenters: Some3,
    pub tenants: bool,
    pub id_tokens: bool,
    pub actor_tokens: bool,
    pub act: bool,
    pub may_act: bool,
    pub acr: bool,
    pub claims: Some3,
}

#[derive(Clone, Debug)]
pub struct ServerSpec {
    pub max_lifetime: u64,
    pub max_targets: usize,
    pub max_depth: usize,
    pub strict: bool,
}

#[derive(Clone, Debug)]
pub enum PolicySpec {
    Rules(Vec<RuleSpec>),
    Service(Said),
}

#[derive(Clone, Debug)]
pub struct RuleSpec {
    pub allows: bool,
    pub clients: Option<Some3>,
    pub issuer: Option<&'static str>,
    pub subs: Option<Vec<&'static str>>,
    pub or_clients: bool,
    pub token_type: Option<&'static str>,
    pub claim: Option<(&'static str, &'static str)>,
    pub targets: Option<Some3>,
    pub actors: ActorsSpec,
    /// `None` means any.
    pub scopes: Option<Scopes>,
    pub delegation: bool,
    pub impersonation: bool,
    pub max_lifetime: Option<u64>,
    pub max_depth: Option<usize>,
    pub binding: Permission,
}

#[derive(Clone, Debug)]
pub enum ActorsSpec {
    Client,
    Any,
    Parties(Vec<Who>),
}

/// The fixed answer of a policy service.
#[derive(Clone, Debug)]
pub enum Said {
    Grant {
        impersonation: bool,
        scope: SaidScope,
        lifetime: SaidLifetime,
        max_depth: Option<usize>,
        binding: Permission,
    },
    Deny,
    CannotBeAsked,
}

#[derive(Clone, Debug)]
pub enum SaidScope {
    Nothing,
    AsTheCeiling,
    TheCeilingAnd(Scopes),
    Exactly(Scopes),
}

#[derive(Clone, Debug)]
pub enum SaidLifetime {
    Nothing,
    AsTheCeiling,
    /// Exceeds the ceiling by this number of milliseconds.
    Longer(u64),
    Milliseconds(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An own access token.
    Own,
    /// A JWT of the foreign issuer.
    Foreign,
    /// An ID token of the foreign issuer.
    IdToken,
}

#[derive(Clone, Debug)]
pub struct TokenSpec {
    pub kind: Kind,
    pub sub: &'static str,
    /// The tenant in a foreign token.
    pub tenant: &'static str,
    /// The claim `exchanged_from`, which counts in own tokens only.
    pub origin: Option<OriginSpec>,
    pub aud: Vec<String>,
    /// The remaining lifetime in milliseconds.
    pub left: u64,
    pub client_id: Option<&'static str>,
    pub azp: Option<&'static str>,
    pub scope: Option<Scopes>,
    pub act: Option<ActSpec>,
    pub may_act: Option<MayActSpec>,
    /// `acr`, `amr` and `auth_time`.
    pub login: [Option<Value>; 3],
    pub extra: Some3,
    pub cnf: Cnf,
    pub authorization_details: bool,
}

/// What a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cnf {
    Nothing,
    /// One of the two keys.
    Key(usize),
    Unknown,
}

/// What an own token was exchanged from.
#[derive(Clone, Debug)]
pub struct OriginSpec {
    /// Whether the subject is a subject of the foreign issuer.
    pub foreign: bool,
    pub types: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub enum ActSpec {
    /// The actors, the current actor first.
    Chain(Vec<Hop>),
    Broken(Value),
}

#[derive(Clone, Debug)]
pub struct Hop {
    pub iss: Option<&'static str>,
    pub sub: &'static str,
    pub name: bool,
}

#[derive(Clone, Debug)]
pub enum MayActSpec {
    Party { iss: Option<&'static str>, sub: Option<&'static str>, client_id: Option<&'static str>, email: bool },
    Broken(Value),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    pub client: usize,
    pub subject: TokenSpec,
    pub actor: Option<TokenSpec>,
    /// Whether the parameter is `resource` or `audience`, and the target. `None` is an unknown target.
    pub targets: Vec<(bool, Option<usize>)>,
    pub scope: Option<Scopes>,
    pub requested_type: Option<&'static str>,
    /// The key that signs a DPoP proof. `None` for a request without a proof.
    pub proof: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub server: ServerSpec,
    pub clients: [ClientSpec; 3],
    pub targets: [TargetSpec; 3],
    pub issuer: IssuerSpec,
    pub policy: PolicySpec,
    pub ask: Ask,
}

// The request.

pub const LOGIN: [&str; 3] = ["acr", "amr", "auth_time"];

impl TokenSpec {
    pub fn issuer(&self) -> &'static str {
        if self.kind == Kind::Own { AS } else { IDP }
    }

    pub fn token_type(&self) -> &'static str {
        match self.kind {
            Kind::Own => ACCESS_TOKEN,
            Kind::Foreign => JWT,
            Kind::IdToken => ID_TOKEN,
        }
    }

    pub fn claims(&self) -> Value {
        let exp = match self.left % 1000 {
            0 => json!(NOW + self.left / 1000),
            _ => json!(NOW as f64 + self.left as f64 / 1000.0),
        };
        // A claim that no record lists is never copied.
        let mut claims = json!({ "iss": self.issuer(), "sub": self.sub, "exp": exp, "iat": NOW, "internal": "x" });
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims[name] = value;
            }
        };
        put(
            "aud",
            match &self.aud[..] {
                [] => None,
                [one] => Some(json!(one)),
                many => Some(json!(many)),
            },
        );
        put("tid", (self.kind != Kind::Own).then(|| self.tenant.into()));
        put("exchanged_from", self.origin.as_ref().map(OriginSpec::to_json));
        put("client_id", self.client_id.map(Value::from));
        put("azp", self.azp.map(Value::from));
        put("scope", self.scope.map(|scope| scope.names().join(" ").into()));
        put("act", self.act.as_ref().map(ActSpec::to_json));
        put("may_act", self.may_act.as_ref().map(MayActSpec::to_json));
        for (name, value) in LOGIN.into_iter().zip(&self.login) {
            put(name, value.clone());
        }
        for name in named(&self.extra, EXTRA) {
            put(name, Some(extra_value(name)));
        }
        put("email", Some(json!("somebody@example.org")));
        put(
            "cnf",
            match self.cnf {
                Cnf::Nothing => None,
                Cnf::Key(key) => Some(json!({ "jkt": jkt(key) })),
                Cnf::Unknown => Some(json!({ "kid": "x" })),
            },
        );
        put("authorization_details", self.authorization_details.then(|| json!([{ "type": "payment" }])));
        claims
    }

    fn minted(&self) -> String {
        let (minter, typ) = match self.kind {
            Kind::Own => (&*OWN, "at+jwt"),
            Kind::Foreign | Kind::IdToken => (&FOREIGN.0, "JWT"),
        };
        minter.sign(&minter.header(typ), &self.claims())
    }
}

pub fn extra_value(name: &str) -> Value {
    match name {
        "groups" => json!(["staff", "auditors"]),
        name => json!(format!("the-{name}")),
    }
}

impl OriginSpec {
    pub fn to_json(&self) -> Value {
        match self.foreign {
            true => json!({ "iss": IDP, "token_types": self.types }),
            false => json!({ "token_types": self.types }),
        }
    }
}

impl ActSpec {
    fn to_json(&self) -> Value {
        match self {
            Self::Broken(value) => value.clone(),
            Self::Chain(hops) => hops.iter().rev().fold(Value::Null, |inner, hop| {
                let mut act = json!({ "sub": hop.sub });
                if let Some(iss) = hop.iss {
                    act["iss"] = iss.into();
                }
                if hop.name {
                    act["name"] = "Somebody".into();
                }
                if !inner.is_null() {
                    act["act"] = inner;
                }
                act
            }),
        }
    }
}

impl MayActSpec {
    fn to_json(&self) -> Value {
        match self {
            Self::Broken(value) => value.clone(),
            Self::Party { iss, sub, client_id, email } => {
                let email = email.then_some("somebody@example.org");
                let members = [("iss", *iss), ("sub", *sub), ("client_id", *client_id), ("email", email)];
                members.into_iter().filter_map(|(name, value)| Some((name, json!(value?)))).collect()
            }
        }
    }
}

impl Ask {
    fn form(&self, subject_token: String, subject_token_type: &'static str) -> String {
        let mut form = vec![
            ("grant_type", GRANT_TYPE.to_owned()),
            ("subject_token", subject_token),
            ("subject_token_type", subject_token_type.to_owned()),
        ];
        if let Some(actor) = &self.actor {
            form.extend([("actor_token", actor.minted()), ("actor_token_type", actor.token_type().to_owned())]);
        }
        form.extend(self.targets.iter().map(|(resource, target)| match (resource, target) {
            (true, Some(target)) => ("resource", format!("{}/api", aud_of(*target))),
            (false, Some(target)) => ("audience", TARGETS[*target].to_owned()),
            (true, None) => ("resource", "https://nowhere.example".to_owned()),
            (false, None) => ("audience", "nowhere".to_owned()),
        }));
        form.extend(self.scope.map(|scope| ("scope", scope.names().join(" "))));
        form.extend(self.requested_type.map(|requested| ("requested_token_type", requested.to_owned())));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
    }
}

// The records.

/// The forms of a setting in a record.
type Switch<T> = (bool, fn(T) -> T);

impl ClientSpec {
    fn record(&self, id: &str) -> Client {
        let mut client = Client::new(id)
            .secret(secret_of(id))
            .scopes_for_scopeless_subjects(TokenType::ACCESS_TOKEN, self.scopes_for_scopeless[0].names())
            .scopes_for_scopeless_subjects(TokenType::JWT, self.scopes_for_scopeless[1].names())
            .scopes_for_scopeless_subjects(TokenType::ID_TOKEN, self.scopes_for_scopeless[2].names())
            .ignored_scopes(self.ignored.names());
        if let Some(targets) = &self.targets {
            client = client.targets(named(targets, TARGETS));
        }
        if let Some(scopes) = self.scopes {
            client = client.scopes(scopes.names());
        }
        if let Some(target) = self.default_target {
            client = client.default_target(TARGETS[target]);
        }
        if let Some(lifetime) = self.max_lifetime {
            client = client.max_lifetime(Duration::from_secs(lifetime));
        }
        let tenants = TENANTS.into_iter().zip(self.tenants).filter(|(_, serves)| *serves).map(|(tenant, _)| tenant);
        client = client.allow_tenants(tenants);
        let switches: [Switch<Client>; 5] = [
            (!self.may_exchange, Client::deny_exchange),
            (self.self_exchange, Client::allow_self_exchange),
            (self.several_audiences, Client::allow_several_audiences),
            (self.repeated_actors, Client::allow_repeated_actors),
            (self.jwt_output, Client::allow_jwt_output),
        ];
        let client = switches.into_iter().filter(|(on, _)| *on).fold(client, |client, (_, switch)| switch(client));
        self.carries.iter().fold(client, |client, (iss, sub)| client.allow_actor(Party::new(*iss, *sub)))
    }
}

impl TargetSpec {
    fn record(&self, index: usize) -> Target {
        let mut target = Target::new(TARGETS[index])
            .audience_claim(aud_of(index))
            .resource(format!("{}/api", aud_of(index)))
            .allow_clients(named(&self.callers, CLIENTS))
            .scopes(self.scopes.names())
            .claims(named(&self.claims, EXTRA));
        if let Some(owner) = self.owner {
            target = target.served_by(CLIENTS[owner]);
        }
        for (upstream, here) in self.translation.iter().flatten() {
            target = target.translate(SCOPES[*upstream], here.names());
        }
        match self.max_lifetime {
            Some(lifetime) => target.max_lifetime(Duration::from_secs(lifetime)),
            None => target,
        }
    }
}

impl IssuerSpec {
    fn record(&self) -> Issuer {
        let mut issuer = Issuer::new(IDP)
            .keys(FOREIGN.1.clone())
            .map_subjects(SubjectMapping::Prefix(PREFIX.into()))
            .accept_types([TokenType::JWT])
            .allow_presenters(named(&self.presenters, CLIENTS))
            .claims(named(&self.claims, EXTRA));
        for (index, _) in self.client_names.iter().enumerate().filter(|(_, is_in)| **is_in) {
            issuer = issuer.map_client(NAMES_THERE[index], CLIENTS[index]);
        }
        if self.tenants {
            issuer = issuer.accept_tenants("tid", TENANTS);
        }
        if self.id_tokens {
            issuer = issuer.accept_types([TokenType::ID_TOKEN]);
        }
        if self.acr {
            issuer = issuer.map_acr(ACR.0, ACR.1);
        }
        let switches: [Switch<Issuer>; 3] = [
            (self.actor_tokens, Issuer::allow_actor_tokens),
            (self.act, Issuer::trust_act),
            (self.may_act, Issuer::trust_may_act),
        ];
        switches.into_iter().filter(|(on, _)| *on).fold(issuer, |issuer, (_, switch)| switch(issuer))
    }
}

impl RuleSpec {
    fn rule(&self) -> Rule {
        let list = |some: Option<Vec<&str>>| match some {
            Some(names) => Names::from(names.into_iter().map(str::to_owned).collect::<Vec<_>>()),
            None => Names::any(),
        };
        let mut subjects = self.issuer.map_or_else(Subjects::any, Subjects::of_issuer);
        if let Some(subs) = &self.subs {
            subjects = subjects.named(subs.iter().copied());
        }
        if self.or_clients {
            subjects = subjects.or_clients();
        }
        if let Some(token_type) = self.token_type {
            subjects = subjects.of_type(TokenType::from_static(token_type));
        }
        if let Some((name, value)) = self.claim {
            subjects = subjects.with_claim(name, value);
        }
        let clients = list(self.clients.map(|some| named(&some, CLIENTS)));
        let targets = list(self.targets.map(|some| named(&some, TARGETS)));
        let actors = match &self.actors {
            ActorsSpec::Client => Actors::client(),
            ActorsSpec::Any => Actors::any(),
            ActorsSpec::Parties(parties) => Actors::parties(parties.iter().map(Who::party)),
        };
        if !self.allows {
            return Rule::deny(clients, subjects, targets).actors(actors);
        }
        let mut rule =
            Rule::allow(clients, subjects, targets).actors(actors).scopes(list(self.scopes.map(Scopes::names)));
        if self.delegation {
            rule = rule.delegation();
        }
        if self.impersonation {
            rule = rule.impersonation();
        }
        if let Some(lifetime) = self.max_lifetime {
            rule = rule.max_lifetime(Duration::from_secs(lifetime));
        }
        if let Some(depth) = self.max_depth {
            rule = rule.max_depth(depth);
        }
        match self.binding {
            Permission::Rebind => rule.rebind(),
            Permission::Release => rule.release(),
            _ => rule,
        }
    }
}

impl Said {
    fn answer(&self, query: &Query) -> Result<Decision, &'static str> {
        let (impersonation, scope, lifetime, max_depth, binding) = match self {
            Self::Grant { impersonation, scope, lifetime, max_depth, binding } => {
                (*impersonation, scope, lifetime, *max_depth, *binding)
            }
            Self::Deny => return Ok(Decision::deny("no")),
            Self::CannotBeAsked => return Err("not now"),
        };
        let semantics = if impersonation { Semantics::Impersonation } else { Semantics::Delegation };
        let ceiling = || query.max_scope.iter().map(str::to_owned);
        let more = |scopes: Scopes| scopes.names().into_iter().map(str::to_owned);
        let mut grant = Grant::new(semantics);
        grant = match scope {
            SaidScope::Nothing => grant,
            SaidScope::AsTheCeiling => grant.scope(query.max_scope.clone()),
            SaidScope::TheCeilingAnd(scopes) => {
                grant.scope(Scope::from_tokens(ceiling().chain(more(*scopes))).unwrap())
            }
            SaidScope::Exactly(scopes) => grant.scope(scopes.to_scope()),
        };
        grant = match lifetime {
            SaidLifetime::Nothing => grant,
            SaidLifetime::AsTheCeiling => grant.max_lifetime(query.max_lifetime),
            SaidLifetime::Longer(by) => grant.max_lifetime(query.max_lifetime + Duration::from_millis(*by)),
            SaidLifetime::Milliseconds(lifetime) => grant.max_lifetime(Duration::from_millis(*lifetime)),
        };
        grant = match binding {
            Permission::Rebind => grant.rebind(),
            Permission::Release => grant.release(),
            _ => grant,
        };
        Ok(Decision::Allow(match max_depth {
            Some(depth) => grant.max_depth(depth),
            None => grant,
        }))
    }
}

// The exchange.

/// The layer for a case, and its audit events.
pub struct World {
    layer: TokenExchangeLayer,
    events: Arc<Mutex<Vec<AuditEvent>>>,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    Issued(Box<Issued>),
    Refused(Reason),
}

#[derive(Clone, Debug)]
pub struct Issued {
    pub token: String,
    pub typ: Value,
    pub claims: Map<String, Value>,
    /// The other members of the answer.
    pub answer: Value,
    pub semantics: Option<&'static str>,
}

impl Issued {
    pub fn scope(&self) -> Scopes {
        Scopes::of(self.claims["scope"].as_str().unwrap())
    }

    pub fn exp(&self) -> u64 {
        self.claims["exp"].as_u64().unwrap()
    }

    pub fn aud(&self) -> BTreeSet<String> {
        match &self.claims["aud"] {
            Value::Array(many) => many.iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
            one => [one.as_str().unwrap().to_owned()].into(),
        }
    }
}

impl Outcome {
    pub fn issued(&self) -> Option<&Issued> {
        match self {
            Self::Issued(issued) => Some(issued),
            Self::Refused(_) => None,
        }
    }

    pub fn refused(&self) -> Option<Reason> {
        match self {
            Self::Issued(_) => None,
            Self::Refused(reason) => Some(*reason),
        }
    }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Runs a case on a layer of its own.
pub async fn put(case: &Case) -> Outcome {
    World::of(case).exchange(&case.ask).await
}

impl World {
    pub fn of(case: &Case) -> Self {
        let Case { server, clients, targets, issuer, policy, .. } = case;
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&events);
        let audit = service_fn(move |event: AuditEvent| {
            log.lock().unwrap().push(event);
            async { Ok::<_, Infallible>(()) }
        });
        // The default HTTP client reads a certificate store, which takes longer than all other steps.
        let fetch = service_fn(|_: Request<Bytes>| async { Err::<Response<Bytes>, _>("nobody is asked anything") });
        let builder = TokenExchangeLayer::builder(AS)
            .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
            .clients(clients.iter().zip(CLIENTS).map(|(client, id)| client.record(id)))
            .targets(targets.iter().enumerate().map(|(index, target)| target.record(index)))
            .issuers([issuer.record()])
            .max_lifetime(Duration::from_secs(server.max_lifetime))
            .max_targets(server.max_targets)
            .max_chain_depth(server.max_depth)
            .dpop(Dpop::new(TOKEN_ENDPOINT))
            .signer(OWN.key.clone())
            .audit(audit)
            .audit_budget(AuditBudget::unlimited())
            .http(fetch);
        let builder = if server.strict { builder.strict_scope() } else { builder };
        let builder = match policy {
            // The table is passed as a policy, because `rules` refuses rules that no record of the case allows.
            PolicySpec::Rules(rules) => builder.policy(Table::new(rules.iter().map(RuleSpec::rule)).unwrap()),
            PolicySpec::Service(said) => {
                let said = said.clone();
                builder.policy(service_fn(move |query: Query| {
                    let answer = said.answer(&query);
                    async move { answer }
                }))
            }
        };
        Self { layer: builder.build().unwrap(), events }
    }

    pub async fn exchange(&self, ask: &Ask) -> Outcome {
        self.exchange_token(ask, ask.subject.minted(), ask.subject.token_type()).await
    }

    /// Exchanges another subject token.
    pub async fn exchange_token(&self, ask: &Ask, token: String, token_type: &'static str) -> Outcome {
        let client = CLIENTS[ask.client];
        let mut request = Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic(client, &secret_of(client)));
        if let Some(key) = ask.proof {
            request = request.header("DPoP", proof(key));
        }
        let request = request.body(Body::from(ask.form(token, token_type))).unwrap();
        let wrapped = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("passed"))) });
        let response = self.layer.layer(wrapped).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        let event = {
            let mut events = self.events.lock().unwrap();
            assert_eq!(events.len(), 1, "one event for one attempt: {events:?}");
            events.remove(0)
        };
        let Some(reason) = parts.extensions.get::<Reason>() else {
            assert_eq!((parts.status, event.outcome, event.reason), (StatusCode::OK, Ended::Issued, None));
            let token = answer["access_token"].take().as_str().unwrap().to_owned();
            let Value::Object(claims) = segment(&token, 1) else { panic!("claims that are no object") };
            let issued = Issued {
                typ: segment(&token, 0)["typ"].take(),
                claims,
                token,
                answer,
                semantics: event.semantics.map(Semantics::as_str),
            };
            let granted = event.granted.unwrap();
            assert_eq!(
                (granted.sub, granted.exp.seconds()),
                (issued.claims["sub"].as_str().unwrap().into(), issued.exp())
            );
            assert_eq!(
                (granted.scope.to_string(), granted.jti.to_string()),
                (text(&issued, "scope"), text(&issued, "jti"))
            );
            return Outcome::Issued(Box::new(issued));
        };
        let told = json!({ "error": reason.error().as_str(), "error_description": reason.description() });
        assert_eq!((parts.status, answer), (reason.status(), told), "{reason}");
        assert_eq!((event.reason, event.granted.is_none()), (Some(*reason), true));
        assert_ne!(event.outcome, Ended::Issued);
        Outcome::Refused(*reason)
    }
}

fn text(issued: &Issued, claim: &str) -> String {
    issued.claims[claim].as_str().unwrap().to_owned()
}
