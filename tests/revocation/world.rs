//! The layer without a server, two foreign issuers, and a server with the issuer identifier of the layer.

use crate::{
    oracle::{Cut, Node, Oracle, name_here},
    support::{ACCESS_TOKEN, AS, IDP, JWT, Minter, NOW, basic, encode, key_id, secret_of},
};
use axum::body::{Body, to_bytes};
use http::{Request, Response, StatusCode, header};
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Target, TokenExchangeLayer, TokenType,
    audit::{AuditBudget, AuditEvent},
    policy::{Actors, Names, Rule, Subjects},
    records::{Party, SubjectMapping},
    revocation::{AncestryKey, CutOff, MemoryRevocations},
    signing::Algorithm,
    token::NumericDate,
};

pub const AGENTS: &str = "https://agents.example";
/// The clients. Each client serves the target of its name.
pub const CLIENTS: [&str; 3] = ["one", "two", "three"];
/// The keys of the two foreign issuers, of the server and of the layer.
pub const KEYS: [&str; 5] = ["idp-1", "idp-2", "agents-1", "server-1", "layer-1"];

static MINTERS: LazyLock<[Minter; 5]> = LazyLock::new(|| {
    let issuers = [IDP, IDP, AGENTS, AS, AS];
    std::array::from_fn(|index| {
        let Minter { iss, key } = Minter::new(issuers[index], Algorithm::EdDSA);
        Minter { iss, key: key.with_key_id(key_id(KEYS[index])) }
    })
});

/// A token that the layer did not issue.
#[derive(Clone, Debug)]
pub struct Root {
    /// The place of its key in [`KEYS`].
    key: usize,
    sub: &'static str,
    session: Option<&'static str>,
    lifetime: u64,
    /// The target of a token of the server, which is issued to the client before.
    target: usize,
}

pub fn any_root() -> impl Strategy<Value = Root> {
    let names = select(vec![(0, "alice"), (0, "bob"), (1, "alice"), (1, "bob"), (2, "a1"), (2, "a2"), (3, "carol")]);
    (names, option::weighted(0.8, select(vec!["s1", "s2"])), 20..400_u64, 0..CLIENTS.len())
        .prop_map(|((key, sub), session, lifetime, target)| Root { key, sub, session, lifetime, target })
}

impl Root {
    fn client(&self) -> Option<usize> {
        (self.key == 3).then_some((self.target + 2) % CLIENTS.len())
    }

    pub fn node(&self, now: u64) -> Node {
        let iss = MINTERS[self.key].iss;
        Node {
            parents: None,
            iss,
            subject: (iss, self.sub),
            name_here: name_here((iss, self.sub)),
            session: self.session,
            key: KEYS[self.key],
            client: self.client(),
            target: (self.key == 3).then_some(self.target),
            actors: Vec::new(),
            issued_at: now,
            expires_at: now + self.lifetime,
            is_revoked: false,
        }
    }
}

pub struct World {
    layer: TokenExchangeLayer,
    now: Arc<AtomicU64>,
    /// The reason of the last attempt.
    reason: Arc<Mutex<Option<String>>>,
}

impl World {
    pub fn new() -> Self {
        let now = Arc::new(AtomicU64::new(NOW));
        let reason = Arc::new(Mutex::new(None));
        let (clock, log) = (Arc::clone(&now), Arc::clone(&reason));
        let audit = service_fn(move |event: AuditEvent| {
            *log.lock().unwrap() = event.reason.map(|reason| reason.code().to_owned());
            async { Ok::<_, Infallible>(()) }
        });
        let agents = ["a1", "a2"].map(|sub| [Party::new(AGENTS, sub), Party::new(AS, format!("agents|{sub}"))]);
        let client = |id: &&str| {
            let client = Client::new(*id).secret(secret_of(id)).allow_repeated_actors().allow_self_exchange();
            agents.iter().flatten().cloned().fold(client, Client::allow_actor)
        };
        let target = |id: &&str| {
            let others = CLIENTS.into_iter().filter(|other| other != id);
            Target::new(*id)
                .audience_claim(format!("https://{id}.example"))
                .served_by(*id)
                .allow_clients(others)
                .scopes(["read"])
        };
        let impersonation = |agents| Rule::allow(Names::any(), agents, Names::any()).scopes(["read"]).impersonation();
        let [idp, idp_too, agents_key, server, layer] = &*MINTERS;
        let keys = idp.key.published_keys().and(idp_too.key.published_keys()).key_set();
        let layer = TokenExchangeLayer::builder(AS)
            .clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed)))
            .introspection_endpoint("/introspect")
            .revocations(MemoryRevocations::new(1000))
            .ancestry_key(AncestryKey::new([7; 32]).unwrap())
            .max_ancestors(64)
            .max_chain_depth(64)
            .clients(CLIENTS.iter().map(client))
            .targets(CLIENTS.iter().map(target))
            .issuers([
                Issuer::new(IDP)
                    .keys(keys)
                    .map_subjects(SubjectMapping::Prefix("idp|".into()))
                    .allow_presenters(CLIENTS),
                Issuer::new(AGENTS)
                    .keys(agents_key.keys())
                    .map_subjects(SubjectMapping::Prefix("agents|".into()))
                    .accept_types([TokenType::JWT])
                    .allow_presenters(CLIENTS)
                    .allow_actor_tokens(),
                Issuer::new(AS).keys(server.keys()).of_another_server(),
            ])
            .rules([
                impersonation(Subjects::of_issuer(AGENTS)),
                impersonation(Subjects::of_issuer(AS).named(["agents|a1", "agents|a2"])),
                Rule::allow(Names::any(), Subjects::any(), Names::any()).actors(Actors::any()).scopes(["read"]),
            ])
            .audit(audit)
            .audit_budget(AuditBudget::unlimited())
            .signer(layer.key.clone())
            .build()
            .unwrap();
        Self { layer, now, reason }
    }

    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub fn wait(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn mint(&mut self, root: &Root, number: usize) -> String {
        let minter = &MINTERS[root.key];
        let mut claims = json!({
            "iss": minter.iss, "sub": root.sub, "aud": AS, "iat": self.now(), "exp": self.now() + root.lifetime,
            "jti": format!("root-{number}"), "scope": "read",
        });
        if let Some(sid) = root.session {
            claims["sid"] = sid.into();
        }
        if let Some(client) = root.client() {
            claims["client_id"] = CLIENTS[client].into();
            claims["aud"] = format!("https://{}.example", CLIENTS[root.target]).into();
        }
        minter.sign(&minter.header(if root.key == 3 { "at+jwt" } else { "JWT" }), &claims)
    }

    /// Exchanges a token. Returns the issued token and its expiry time, or the reason of the refusal.
    pub async fn exchange(
        &self,
        client: usize,
        target: usize,
        tokens: &[String],
        oracle: &Oracle,
        subject: usize,
        actor: Option<usize>,
    ) -> Result<(String, u64), String> {
        let type_of = |number: usize| if oracle.nodes[number].iss == AS { ACCESS_TOKEN } else { JWT };
        let mut form = vec![
            ("grant_type", GRANT_TYPE),
            ("subject_token", &tokens[subject]),
            ("subject_token_type", type_of(subject)),
            ("audience", CLIENTS[target]),
        ];
        if let Some(actor) = actor {
            form.extend([("actor_token", tokens[actor].as_str()), ("actor_token_type", type_of(actor))]);
        }
        let (status, body) = self.post("/token", client, &form).await;
        if status != StatusCode::OK {
            return Err(self.reason.lock().unwrap().clone().unwrap());
        }
        let expires_at = self.now() + body["expires_in"].as_u64().unwrap();
        Ok((body["access_token"].as_str().unwrap().to_owned(), expires_at))
    }

    pub async fn is_active(&self, token: &str, node: &Node) -> bool {
        let (status, body) = self.post("/introspect", node.client.unwrap(), &[("token", token)]).await;
        assert_eq!(status, StatusCode::OK);
        body["active"].as_bool().unwrap()
    }

    async fn post(&self, path: &str, client: usize, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::AUTHORIZATION, basic(CLIENTS[client], &secret_of(CLIENTS[client])))
            .body(Body::from(encode(form)))
            .unwrap();
        let wrapped = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
        let response = self.layer.layer(wrapped).oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    pub async fn revoke(&self, token: &str) {
        self.layer.revoker().unwrap().revoke_token(token).await.unwrap();
    }

    pub async fn cut_off(&self, cut: &Cut, moment: u64) {
        let cut_off = match cut {
            Cut::Subject((iss, sub)) => CutOff::subject(*iss, *sub),
            Cut::SubjectHere(name) => CutOff::subject(AS, name),
            Cut::Session((iss, sid)) => CutOff::session(*iss, *sid),
            Cut::Client(client) => CutOff::client(CLIENTS[*client]),
            Cut::Actor(name) => CutOff::actor(AS, name),
            Cut::Issuer(iss) => CutOff::issuer(*iss),
            Cut::Key((iss, kid)) => CutOff::signing_key(*iss, *kid),
        };
        self.layer.revoker().unwrap().cut_off(&cut_off, NumericDate::from_seconds(moment)).await.unwrap();
    }
}
