use super::DelegationGraph;
use crate::{
    exchange::{
        Authenticated, Bounded, Decided, Exchange, Observer, Presented, Proven, Resolved, StillValid, Validated,
    },
    protocol::{ClientId, GRANT_TYPE, Reason, Scope, TargetId, TokenType},
    records::{Party, SubjectId},
    token::{AssumedToken, Claims},
};
use form_urlencoded::Serializer;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The most tokens that are followed.
const MAX_TOKENS: usize = 1_000;

/// The lifetime of a sample token, in seconds.
const SAMPLE_LIFETIME: u64 = 3_600;

/// The tokens that can be obtained from one token by several exchanges: the answer of
/// [`TokenExchangeLayer::reach`](crate::TokenExchangeLayer::reach).
///
/// `Display` writes one line for each hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reach {
    /// The exchanges that succeed: first those of the first token, then those of the tokens that these exchanges issue, and so
    /// on. Exchanges that issue the same token, apart from its times and its name, are one hop.
    pub hops: Vec<Hop>,
    /// Whether every token was followed. `false` if there are more than 1 000 tokens.
    pub is_complete: bool,
}

/// One exchange of a [`Reach`], and the token that the exchange issues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hop {
    /// The number of exchanges that lead to the token, from 1.
    pub number: usize,
    /// The client that exchanges.
    pub client: ClientId,
    /// The target of the issued token.
    pub target: TargetId,
    /// The `sub` of the issued token.
    pub subject: SubjectId,
    /// The actors in the claim `act` of the issued token, the current actor first. Empty after an impersonation.
    pub actors: Vec<Party>,
    /// The scope of the issued token.
    pub scope: Scope,
    /// The lifetime of the issued token in seconds.
    pub lifetime: u64,
    /// The position of the hop whose token is exchanged. `None` for the first token.
    pub from: Option<usize>,
}

impl Reach {
    /// The shortest way to a token for a target: the hops, the first first. `None` if the target cannot be reached.
    pub fn shortest_way(&self, target: impl AsRef<str>) -> Option<Vec<&Hop>> {
        let mut way = vec![self.hops.iter().find(|hop| *hop.target == *target.as_ref())?];
        while let Some(earlier) = way.last().and_then(|hop| self.hops.get(hop.from?)) {
            way.push(earlier);
        }
        way.reverse();
        Some(way)
    }
}

/// A token that can be exchanged.
struct Held {
    claims: Claims,
    /// The position of the hop that issues the token. `None` for the first token.
    issued_by: Option<usize>,
    hops: usize,
}

/// The claims of an access token that our own issuer could have issued for a target, with every scope of the target.
pub(crate) fn sample_token(exchange: &Exchange, target: &str, sub: &str) -> Option<Claims> {
    let target = exchange.registry.target_by_id(target)?;
    let now = exchange.settings.clock.seconds();
    let mut claims = Claims::new();
    claims.insert("iss", exchange.registry.own_issuer().as_str());
    claims.insert("sub", sub);
    claims.insert("aud", target.aud.as_str());
    claims.insert("scope", target.scopes.to_string());
    claims.insert("iat", now);
    claims.insert("exp", now.saturating_add(SAMPLE_LIFETIME));
    claims.insert("client_id", "a-client-without-a-record");
    Some(claims)
}

/// Follows a token. Each exchange is a dry run of the stages of a real exchange.
pub(crate) async fn reach(exchange: &Exchange, token: Claims, max_hops: usize) -> Reach {
    let questions = questions(exchange);
    let exchange = exchange.for_dry_runs();
    let mut seen = HashSet::new();
    let mut held = vec![Held { claims: token, issued_by: None, hops: 0 }];
    let mut reach = Reach { hops: Vec::new(), is_complete: true };
    let mut next = 0;
    while let Some(Held { claims, issued_by, hops }) = held.get(next) {
        next += 1;
        let (issued_by, number) = (*issued_by, hops + 1);
        if number > max_hops {
            continue;
        }
        let exchange = exchange.assuming(AssumedToken::new(claims.clone(), issued_by.is_some()));
        let mut unrelated: Option<&ClientId> = None;
        for Question { client, target, form } in &questions {
            if unrelated == Some(client) {
                continue;
            }
            let decided = match exchange.dry_run(&mut NobodyListens, client, form.as_bytes()).await {
                Ok(decided) => decided,
                Err(rejection) => {
                    // The client may not present the token, whatever the target is.
                    if rejection.reason() == Reason::PresenterUnrelated {
                        unrelated = Some(client);
                    }
                    continue;
                }
            };
            let claims = decided.claims_to_issue(&exchange.registry, &exchange.settings.clock);
            if !seen.insert(identity(&claims)) {
                continue;
            }
            if held.len() > MAX_TOKENS {
                reach.is_complete = false;
                return reach;
            }
            held.push(Held { claims, issued_by: Some(reach.hops.len()), hops: number });
            reach.hops.push(Hop {
                number,
                client: client.clone(),
                target: target.clone(),
                subject: decided.issued_sub().clone(),
                actors: decided.grant().chain().parties().cloned().collect(),
                scope: decided.grant().scope().clone(),
                lifetime: decided.grant().lifetime().as_secs(),
                from: issued_by,
            });
        }
    }
    reach
}

/// A request of a client.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Question {
    client: ClientId,
    target: TargetId,
    form: String,
}

/// The requests that can lead to different tokens: for each client and each of its targets, a request without a scope, and one
/// with the scope of each rule. A rule that decides a request with any scope also decides the request with its own scope.
fn questions(exchange: &Exchange) -> Vec<Question> {
    let mut scopes = BTreeMap::<_, BTreeSet<_>>::new();
    for edge in DelegationGraph::of(exchange).edges {
        scopes.entry((edge.client, edge.target)).or_default().insert(edge.scopes.join(" "));
    }
    let registry = &exchange.registry;
    let mut questions = Vec::new();
    for target in registry.targets() {
        for client in target.callers().filter_map(|id| registry.client(id)).filter(|client| client.may_exchange) {
            let key = (client.id.clone(), target.id.clone());
            let scopes = scopes.remove(&key).unwrap_or_default();
            let with_scope = scopes.iter().map(|scope| Some(scope.as_str())).filter(|scope| *scope != Some(""));
            for scope in [None].into_iter().chain(with_scope) {
                let (client, target) = key.clone();
                let form = form(&target, scope);
                questions.push(Question { client, target, form });
            }
        }
    }
    // The questions of one client follow each other.
    questions.sort();
    questions
}

fn form(target: &TargetId, scope: Option<&str>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", GRANT_TYPE)
        .append_pair("audience", target)
        .append_pair("subject_token", "a-description")
        .append_pair("subject_token_type", TokenType::ACCESS_TOKEN.as_str());
    scope.map(|scope| form.append_pair("scope", scope));
    form.finish()
}

/// What distinguishes a token from others, apart from its times and its name.
fn identity(claims: &Claims) -> String {
    let members: BTreeMap<_, _> =
        claims.iter().filter(|(name, _)| !["exp", "iat", "jti", "nbf"].contains(name)).collect();
    members.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// An observer that notes nothing.
struct NobodyListens;

impl Observer for NobodyListens {
    fn presented(&mut self, _: &Presented<'_>) {}
    fn authenticated(&mut self, _: &Authenticated) {}
    fn proven(&mut self, _: &Proven) {}
    fn resolved(&mut self, _: &Resolved) {}
    fn validated(&mut self, _: &Validated) {}
    fn bounded(&mut self, _: &Bounded) {}
    fn still_valid(&mut self, _: &StillValid) {}
    fn decided(&mut self, _: &Decided) {}
}
