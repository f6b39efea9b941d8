//! The layer of a world: its records, real exchanges, and the questions that its policy gets.

use crate::{
    model::{CLIENTS, HUB_AT_F, Name, Rule},
    support::{ACCESS_TOKEN, AS, ID_TOKEN, JWT, Minter, NOW, basic, secret_of, segment},
    world::{First, Iss, Mapping, Own, Records, Type, login_of},
};
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{Request, Response, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, UNIX_EPOCH},
};
use tower::{Layer as _, ServiceExt, service_fn};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason, Target, TokenExchangeBuilder, TokenExchangeLayer, TokenType,
    audit::AuditEvent,
    policy::{self, Actors, Decision, Grant, Names, Query, Semantics, Subjects, Table},
    proof::Dpop,
    records::{ConfigError, Party, SubjectMapping},
    signing::Algorithm,
};

const F: &str = "https://f.example";
const G: &str = "https://g.example";

struct Minters {
    layer: Minter,
    server: Minter,
    f: Minter,
    g: Minter,
}

static MINTERS: LazyLock<Minters> = LazyLock::new(|| {
    let minter = |iss| Minter::new(iss, Algorithm::ES256);
    Minters { layer: minter(AS), server: minter(AS), f: minter(F), g: minter(G) }
});

fn uri(iss: Iss) -> &'static str {
    match iss {
        Iss::Ours => AS,
        Iss::F => F,
        Iss::G => G,
    }
}

pub fn iss_of(party: &Party) -> Option<Iss> {
    [Iss::Ours, Iss::F, Iss::G].into_iter().find(|iss| party.iss == *uri(*iss))
}

pub fn name_of(party: &Party) -> Name {
    (iss_of(party).expect("an issuer of this world"), party.sub.to_string())
}

fn party(name: &Name) -> Party {
    Party::new(uri(name.0), name.1.clone())
}

fn type_uri(token_type: Type) -> &'static str {
    match token_type {
        Type::Access => ACCESS_TOKEN,
        Type::Jwt => JWT,
        Type::Id => ID_TOKEN,
    }
}

fn mapping(mapping: Mapping) -> SubjectMapping {
    match mapping {
        Mapping::Prefix(prefix) => SubjectMapping::Prefix(prefix.to_owned()),
        Mapping::Keep => SubjectMapping::Keep,
        Mapping::Claim => SubjectMapping::Claim("login".to_owned()),
    }
}

impl Rule {
    /// The rule as a table. A deny rule stands before a rule that allows everything.
    pub fn table(&self) -> Table {
        Table::new(self.rules()).expect("a table of correct rules")
    }

    fn rules(&self) -> Vec<policy::Rule> {
        let any = || (Names::any(), Names::any());
        let named = |(iss, sub): &Name| Subjects::of_issuer(uri(*iss)).named([sub.clone()]);
        let of_type = |token_type: &Type| TokenType::from_static(type_uri(*token_type));
        let deny = |subjects| {
            let (clients, targets) = any();
            policy::Rule::deny(clients, subjects, targets)
        };
        let allow = |subjects: Subjects| {
            let (clients, targets) = any();
            policy::Rule::allow(clients, subjects.or_clients(), targets).actors(Actors::any()).scopes(Names::any())
        };
        let rule = match self {
            Self::DenySubject(name) => deny(named(name)),
            Self::DenySubjectAnywhere(sub) => deny(Subjects::any().named([sub.clone()])),
            Self::DenyIssuer(iss) => deny(Subjects::of_issuer(uri(*iss))),
            Self::DenyType(token_type) => deny(Subjects::any().of_type(of_type(token_type))),
            Self::DenySubjectOfType(name, token_type) => deny(named(name).of_type(of_type(token_type))),
            Self::DenyActor(name) => deny(Subjects::any()).actors(Actors::parties([party(name)])),
            Self::AllowActor(name) => allow(Subjects::any()).actors(Actors::parties([party(name)])),
            Self::AllowSubject(name) => allow(named(name)),
            Self::AllowIssuer(iss) => allow(Subjects::of_issuer(uri(*iss))),
            Self::AllowType(token_type) => allow(Subjects::any().of_type(of_type(token_type))),
        };
        if self.is_deny() { vec![rule, allow(Subjects::any())] } else { vec![rule] }
    }
}

/// A token with its type.
#[derive(Clone)]
pub struct Token {
    pub text: String,
    pub token_type: Type,
}

/// The first token of a party.
pub fn first_token(records: &Records, first: &First) -> Token {
    first_token_with(records, first, &Value::Null)
}

/// The first token of a party, with further claims.
pub fn first_token_with(records: &Records, first: &First, further: &Value) -> Token {
    let First { holder, token_type, forged } = *first;
    let minter = match holder.iss {
        Iss::Ours if records.own == Own::OtherKey => &MINTERS.server,
        Iss::Ours => &MINTERS.layer,
        Iss::F => &MINTERS.f,
        Iss::G => &MINTERS.g,
    };
    let mut claims = json!({
        "iss": minter.iss, "sub": holder.sub, "exp": NOW + 600, "iat": NOW, "login": login_of(holder.sub),
        "aud": match (holder.iss, token_type) {
            (Iss::Ours, _) => "hub",
            (_, Type::Id) => HUB_AT_F,
            _ => AS,
        },
    });
    if holder.iss == Iss::Ours {
        claims["client_id"] = if records.is_client(holder.sub) { holder.sub } else { "web" }.into();
    }
    if token_type != Type::Id {
        claims["scope"] = "s".into();
    }
    if let Some(tenant) = holder.tenant {
        claims["tid"] = tenant.into();
    }
    if forged {
        // What the layer would write for a subject of F, and a type that no token had.
        claims["exchanged_from"] = json!({ "iss": F, "token_types": [ID_TOKEN] });
    }
    for (name, value) in further.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        claims[name] = value.clone();
    }
    let typ = if token_type == Type::Access { "at+jwt" } else { "JWT" };
    Token { text: minter.sign(&minter.header(typ), &claims), token_type }
}

/// The layer, and the last question to its policy.
pub struct World {
    layer: TokenExchangeLayer,
    asked: Arc<Mutex<Option<Query>>>,
    /// The answer of the policy, if there is no table.
    grant: Arc<Mutex<Grant>>,
}

/// What an exchange led to.
pub struct Exchanged {
    pub token: Token,
    pub sub: String,
    /// The claim `cnf`, or null.
    pub cnf: Value,
    /// The question to the policy.
    pub query: Query,
}

impl World {
    /// Builds the layer. A table decides if there is one. Otherwise everything is allowed.
    pub fn build(records: &Records, table: Option<Table>) -> Result<Self, ConfigError> {
        let asked = Arc::new(Mutex::new(None));
        let log = Arc::clone(&asked);
        let grant = Arc::new(Mutex::new(Grant::new(Semantics::Delegation)));
        let granted = Arc::clone(&grant);
        let policy = service_fn(move |query: Query| {
            let decision = match &table {
                Some(table) => table.decide(&query),
                None => Decision::Allow(granted.lock().unwrap().clone()),
            };
            *log.lock().unwrap() = Some(query);
            async move { Ok::<_, Infallible>(decision) }
        });
        let builder = builder(records).policy(policy);
        Ok(Self { layer: builder.build()?, asked, grant })
    }

    /// Exchanges a first token for a token without `act`.
    pub async fn impersonate(&self, subject: &Token) -> Result<Exchanged, Reason> {
        self.grants(Grant::new(Semantics::Impersonation));
        let exchanged = self.exchange(0, subject, None, Type::Access).await;
        self.grants(Grant::new(Semantics::Delegation));
        exchanged
    }

    /// Sets what the policy grants to each exchange, if there is no table.
    pub fn grants(&self, grant: Grant) {
        *self.grant.lock().unwrap() = grant;
    }

    /// Exchanges a token at one of the three hops.
    pub async fn exchange(
        &self,
        hop: usize,
        subject: &Token,
        actor: Option<&Token>,
        issued_type: Type,
    ) -> Result<Exchanged, Reason> {
        self.exchange_with(hop, subject, actor, issued_type, None).await
    }

    /// Exchanges a token in a request with a DPoP proof.
    pub async fn exchange_with(
        &self,
        hop: usize,
        subject: &Token,
        actor: Option<&Token>,
        issued_type: Type,
        proof: Option<&str>,
    ) -> Result<Exchanged, Reason> {
        let client = CLIENTS[hop];
        let mut form = vec![
            ("grant_type", GRANT_TYPE),
            ("subject_token", &*subject.text),
            ("subject_token_type", type_uri(subject.token_type)),
            ("audience", ["one", "two", "three"][hop]),
            ("requested_token_type", type_uri(issued_type)),
        ];
        if let Some(actor) = actor {
            form.extend([("actor_token", &*actor.text), ("actor_token_type", type_uri(actor.token_type))]);
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic(client, &secret_of(client)));
        if let Some(proof) = proof {
            request = request.header("DPoP", proof);
        }
        let request = request.body(Body::from(body)).unwrap();
        let wrapped = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let response = self.layer.layer(wrapped).oneshot(request).await.unwrap();
        if let Some(reason) = response.extensions().get::<Reason>() {
            return Err(*reason);
        }
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let text = answer["access_token"].as_str().unwrap().to_owned();
        let claims = segment(&text, 1);
        assert_eq!(claims["iss"], AS);
        let query = self.asked.lock().unwrap().take().expect("the policy was asked");
        let sub = claims["sub"].as_str().unwrap().to_owned();
        let cnf = claims["cnf"].clone();
        Ok(Exchanged { token: Token { text, token_type: issued_type }, sub, cnf, query })
    }
}

/// The layer without a policy.
fn builder(records: &Records) -> TokenExchangeBuilder {
    // The default HTTP client reads a certificate store, which takes longer than all other steps.
    let fetch = service_fn(|_: Request<Bytes>| async { Err::<Response<Bytes>, _>("nobody is asked anything") });
    let ids = CLIENTS.into_iter().chain(["app"]).chain(records.lookalike);
    let targets = ["one", "two", "three"].into_iter().enumerate().map(|(at, id)| {
        let target = Target::new(id).allow_clients([CLIENTS[at]]).scopes(["s"]);
        CLIENTS.get(at + 1).map_or(target.clone(), |owner| target.served_by(*owner))
    });
    let builder = TokenExchangeLayer::builder(AS)
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .clients(ids.map(|id| client(records, id)))
        .targets(targets)
        .issuers(issuers(records))
        .signer(MINTERS.layer.key.clone())
        .dpop(Dpop::new(format!("{AS}/token")))
        .audit(service_fn(|_: AuditEvent| async { Ok::<_, Infallible>(()) }))
        .http(fetch);
    if records.own == Own::NoUsers { builder.federated_subjects_only() } else { builder }
}

/// Why the builder refuses a rule.
pub fn refusal(records: &Records, rule: &Rule) -> Option<String> {
    builder(records).rules(rule.rules()).build().err().map(|error| error.to_string())
}

fn client(records: &Records, id: &str) -> Client {
    let types = [TokenType::ACCESS_TOKEN, TokenType::JWT, TokenType::ID_TOKEN].into_iter();
    let client = types.fold(Client::new(id).secret(secret_of(id)).allow_jwt_output(), |client, token_type| {
        client.scopes_for_scopeless_subjects(token_type, ["s"])
    });
    let client =
        if records.tenants.is_empty() { client } else { client.allow_tenants(records.tenants.iter().copied()) };
    if id != "hub" {
        return client;
    }
    // `hub` may present every actor of the world.
    let tenant = records.tenants.first().filter(|_| records.tenants.len() > 1);
    let there = ["alice", "bot"].map(|sub| tenant.map_or(sub.to_owned(), |tenant| format!("{tenant}|{sub}")));
    let here = ["alice", "app", "f:alice", "falice", "f:t|alice", "ft|alice", "bot", "t|alice", "t|bot"];
    let client = there.into_iter().fold(client, |client, sub| client.allow_actor(Party::new(F, sub)));
    here.into_iter().fold(client, |client, sub| client.allow_actor(Party::new(AS, sub)))
}

fn issuers(records: &Records) -> Vec<Issuer> {
    let own = Issuer::new(AS).accept_types([TokenType::ACCESS_TOKEN, TokenType::JWT]);
    let own = match records.own {
        Own::SameKey => Some(own),
        Own::OtherKey => Some(own.keys(MINTERS.server.keys())),
        Own::NoUsers => None,
    };
    let mut f = Issuer::new(F)
        .keys(MINTERS.f.keys())
        .map_subjects(mapping(records.f))
        .map_client(HUB_AT_F, "hub")
        .accept_types([TokenType::JWT, TokenType::ID_TOKEN])
        .allow_presenters(["hub"])
        .allow_actor_tokens();
    if !records.tenants.is_empty() {
        f = f.accept_tenants("tid", records.tenants.iter().copied());
    }
    if let Some(there) = records.app_there() {
        f = f.map_client(there, "app");
    }
    let g = records.g.map(|g| Issuer::new(G).keys(MINTERS.g.keys()).map_subjects(mapping(g)).allow_presenters(["hub"]));
    own.into_iter().chain([f]).chain(g).collect()
}
