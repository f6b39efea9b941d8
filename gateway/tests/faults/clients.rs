//! The clients: honest ones, intruders, and clients that vanish.

use super::{
    history::{Ending, Fault},
    http::{self, Answer, request},
    tokens::{Expected, Issued},
    world::{World, basic},
};
use serde_json::{Value, json};
use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinHandle};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A client with an address of its own.
pub(crate) struct Client<'a> {
    world: &'a World,
    address: Ipv4Addr,
}

/// Starts all clients. They stop when the world has ended.
pub(crate) fn start(runtime: &Runtime, world: &Arc<World>) -> Vec<JoinHandle<()>> {
    let kinds = [Kind::Exchange, Kind::Exchange, Kind::Exchange, Kind::Reports, Kind::Pass, Kind::Pass]
        .into_iter()
        .chain([Kind::Intrude, Kind::Vanish, Kind::CheckRevoked]);
    let clients = kinds.zip(1..).map(|(kind, number)| {
        let world = Arc::clone(world);
        runtime.spawn(async move {
            let client = Client::new(&world, number);
            let mut round = 0;
            while !world.ended.load(Ordering::Relaxed) {
                client.act(kind, number, round).await;
                round += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    });
    clients.collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Exchange,
    Reports,
    Pass,
    Intrude,
    Vanish,
    CheckRevoked,
}

fn exchange_request(authorization: &str, subject: &str, target: &str) -> Vec<u8> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", tower_token_exchange::GRANT_TYPE)
        .append_pair("subject_token", subject)
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("audience", target)
        .finish();
    request("POST", "/token", &[FORM, ("Authorization", authorization)], &form)
}

impl<'a> Client<'a> {
    pub(crate) fn new(world: &'a World, number: u8) -> Self {
        Self { world, address: Ipv4Addr::new(127, 0, 1, number) }
    }

    async fn send(&self, request: &[u8]) -> Result<Answer, Ending> {
        http::send(self.address, self.world.port, request).await
    }

    pub(crate) async fn exchange(&self, client: &str, subject: &str) -> Result<Answer, Ending> {
        self.send(&exchange_request(&basic(client), subject, "billing")).await
    }

    pub(crate) async fn introspect(&self, client: &str, token: &str) -> Result<Answer, Ending> {
        let form = format!("token={token}");
        self.send(&request("POST", "/introspect", &[FORM, ("Authorization", &basic(client))], &form)).await
    }

    async fn act(&self, kind: Kind, number: u8, round: usize) {
        match kind {
            Kind::Exchange => self.exchange_and_use(number, round).await,
            Kind::Reports => self.exchange_for_reports(round).await,
            Kind::Pass => self.pass(number, round).await,
            Kind::Intrude => self.intrude(round).await,
            Kind::Vanish => self.vanish(round).await,
            Kind::CheckRevoked => self.check_revoked(round).await,
        }
    }

    /// Sends a request, and takes the answer if it is a usual one. Notes every other ending that no fault explains.
    async fn ask(&self, what: &str, request: &[u8]) -> Option<Answer> {
        let started = Instant::now();
        let answer = self.send(request).await;
        let ending = match &answer {
            Ok(answer) if answer.is_unavailable() => Ending::Unavailable,
            Ok(answer) if matches!(answer.status, 502..=504) => Ending::ServerFailed,
            // A request that passes gets what the server answered.
            Ok(answer) if answer.status == 500 && what != "passed" => Ending::ServerUseless,
            Ok(answer) if answer.status == 401 => Ending::Unauthorized,
            Ok(answer) if answer.status == 400 => Ending::Refused,
            Ok(_) => {
                self.world.ledger.count(format!("{what}: answered"));
                return answer.ok();
            }
            Err(ending) => *ending,
        };
        self.world.ledger.count(format!("{what}: {ending:?}"));
        if !self.world.history.explains(ending, started, Instant::now()) {
            self.wrong(&format!("{what}: {ending:?} without a fault, {answer:?}"));
        }
        None
    }

    fn wrong(&self, what: &str) {
        self.world.ledger.wrong(format!("{what}; faults: {}", self.world.history.latest()));
    }

    /// Asks for a token, and checks the token.
    async fn token(&self, what: &str, request: &[u8], expected: &Expected<'_>) -> Option<Issued> {
        let clock = self.world.clock();
        let answer = self.ask(what, request).await?;
        let clock = clock.filter(|clock| self.world.clock() == Some(*clock));
        if answer.status != 200 {
            self.wrong(&format!("{what}: {answer:?}"));
            return None;
        }
        self.note(self.world.keys.check(&answer.body, expected, clock))
    }

    /// Notes a token that a client received.
    fn note(&self, checked: Result<Issued, String>) -> Option<Issued> {
        match checked {
            Ok(issued) => {
                self.world.ledger.issued(&issued);
                Some(issued)
            }
            Err(problem) => {
                self.wrong(&format!("a wrong token: {problem}"));
                None
            }
        }
    }

    /// Whether the clock of the gateway has not jumped since the token was issued.
    fn is_current(&self, token: &Issued) -> bool {
        token.clock.is_some() && token.clock == self.world.clock()
    }

    async fn exchange_and_use(&self, number: u8, round: usize) {
        let sub = format!("user-{number}-{round}");
        let subject = self.world.subject_token(&sub);
        let act = json!({ "sub": "orders" });
        let expected = Expected { sub: &sub, client: "orders", target: "billing", act };
        let request_of_orders = exchange_request(&basic("orders"), &subject, "billing");
        let Some(issued) = self.token("exchange", &request_of_orders, &expected).await else { return };
        let form = format!("token={}", issued.token);
        let orders = basic("orders");
        let form_of = |path| request("POST", path, &[FORM, ("Authorization", &orders)], &form);
        match round % 3 {
            0 if self.is_current(&issued) => {
                let answer = self.ask("introspection", &form_of("/introspect")).await;
                let is_right = |answer: &Answer| {
                    serde_json::from_str::<Value>(&answer.body)
                        .is_ok_and(|body| body["active"] == true && body["sub"] == sub.as_str())
                };
                if answer.as_ref().is_some_and(|answer| !is_right(answer)) && self.is_current(&issued) {
                    self.wrong(&format!("introspection of a valid token: {answer:?}"));
                }
            }
            1 if self.is_current(&issued) => {
                let act = json!({ "sub": "billing", "act": { "sub": "orders" } });
                let expected = Expected { sub: &sub, client: "billing", target: "ledger", act };
                let next = exchange_request(&basic("billing"), &issued.token, "ledger");
                self.token("second exchange", &next, &expected).await;
            }
            _ => {
                let answer = self.ask("revocation", &form_of("/revoke")).await;
                if answer.is_some_and(|answer| answer.status == 200) {
                    self.world.ledger.revoked(issued);
                }
            }
        }
    }

    /// The client `reports` gets tokens only while its rule is in force.
    async fn exchange_for_reports(&self, round: usize) {
        let sub = format!("report-{round}");
        let subject = self.world.subject_token(&sub);
        let started = Instant::now();
        let Ok(answer) = self.send(&exchange_request(&basic("reports"), &subject, "billing")).await else { return };
        let history = &self.world.history;
        match answer.status {
            200 if history.lasted(Fault::RuleOff, started, Instant::now()) => {
                self.wrong(&format!("a token that no rule allows: {answer:?}"));
            }
            200 => {
                self.world.ledger.count("reports: allowed");
                let act = json!({ "sub": "reports" });
                let expected = Expected { sub: &sub, client: "reports", target: "billing", act };
                self.note(self.world.keys.check(&answer.body, &expected, None));
            }
            400 if history.had(Fault::RuleOff, started, Instant::now()) => self.world.ledger.count("reports: refused"),
            400 if history.explains(Ending::Refused, started, Instant::now()) => {}
            400 => self.wrong(&format!("a refusal that the rule allows: {answer:?}")),
            _ => {}
        }
    }

    /// A request that the gateway passes to the server.
    async fn pass(&self, number: u8, round: usize) {
        let target = format!("/echo?client={number}&round={round}");
        let body = if round.is_multiple_of(2) { String::new() } else { format!("body-{number}-{round}") };
        let method = if body.is_empty() { "GET" } else { "POST" };
        let Some(answer) = self.ask("passed", &request(method, &target, &[], &body)).await else { return };
        let is_lie = answer.status == 500 || answer.body.starts_with("<html>");
        if answer.body != format!("{target} {body}") && !is_lie {
            self.wrong(&format!("passed: {answer:?} in place of {target} {body}"));
        }
    }

    async fn intrude(&self, round: usize) {
        let subject = self.world.subject_token("alice");
        let revoked = self.world.ledger.some_revoked(round);
        let (what, authorization, token) = match (round % 3, &revoked) {
            (0, _) => ("a wrong secret", "Basic b3JkZXJzOmEtbG9uZy1hbmQtd3Jvbmctc2VjcmV0".to_owned(), &subject),
            // The token is for `orders`, and `billing` has no relation to it.
            (1, _) | (_, None) => ("a token for another client", basic("billing"), &subject),
            (_, Some(revoked)) => ("a revoked token", basic("billing"), &revoked.token),
        };
        let started = Instant::now();
        let answer = self.send(&exchange_request(&authorization, token, "ledger")).await;
        // A server that accepts every secret decides so.
        let server_accepts =
            what == "a wrong secret" && self.world.history.had(Fault::ServerAcceptsAll, started, Instant::now());
        self.world.ledger.count(format!("{what}: refused"));
        if answer.as_ref().is_ok_and(|answer| answer.status == 200 || answer.body.contains("access_token"))
            && !server_accepts
        {
            self.wrong(&format!("a token for {what}: {answer:?}"));
        }
    }

    /// A client that stops in the middle of its request, or in the middle of the answer.
    async fn vanish(&self, round: usize) {
        let request = match round % 2 {
            0 => exchange_request(&basic("orders"), &self.world.subject_token("ghost"), "billing"),
            _ => request("POST", "/echo?ghost", &[], "body"),
        };
        let (sent, read) = if round % 4 < 2 { (round % request.len(), 0) } else { (request.len(), round % 1200) };
        http::vanish(self.address, self.world.port, &request, sent, read).await;
        self.world.ledger.count("clients that vanished");
    }

    async fn check_revoked(&self, round: usize) {
        // The oldest ones, and the newest ones.
        let number = if round.is_multiple_of(2) { round / 2 } else { usize::MAX - round / 2 };
        let Some(revoked) = self.world.ledger.some_revoked(number) else { return };
        if let Ok(answer) = self.introspect("orders", &revoked.token).await {
            self.world.ledger.count("revoked tokens introspected");
            if answer.status == 200 && !answer.body.contains("\"active\":false") && !answer.body.contains("<html>") {
                self.wrong(&format!("a revoked token is active: {} {answer:?}", revoked.jti));
            }
        }
    }
}
