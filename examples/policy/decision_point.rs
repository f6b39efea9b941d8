//! A policy that asks a remote AuthZEN decision point, with a timeout and a limit on open questions.

use bytes::Bytes;
use http::{Request, header};
use serde_json::{Value, json};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_token_exchange::{
    Scope,
    fetch::HttpFetch,
    policy::{Decision, Denial, Grant, Policy, Query, Semantics},
};

/// The longest time for an answer. A later answer counts as a failure.
const TIMEOUT: Duration = Duration::from_millis(500);
/// The most open questions. Another question fails at once instead of waiting.
const MAX_OPEN_QUESTIONS: usize = 64;

/// The policy that asks at this URL. Every failure is an error, and the exchange then fails closed.
pub(crate) fn policy(url: String) -> Result<impl Policy, BoxError> {
    let fetch = HttpFetch::builder().allow_loopback_http().build()?;
    Ok(ServiceBuilder::new().load_shed().concurrency_limit(MAX_OPEN_QUESTIONS).timeout(TIMEOUT).service_fn(
        move |query: Query| {
            let (fetch, url) = (fetch.clone(), url.clone());
            async move {
                let request = Request::post(url)
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Bytes::from(evaluations(&query).to_string()))?;
                let response = fetch.oneshot(request).await?;
                if response.status() != http::StatusCode::OK {
                    return Err(BoxError::from(format!("the decision point answered {}", response.status())));
                }
                decision(&query, &serde_json::from_slice(response.body())?)
            }
        },
    ))
}

/// The questions for each target: whether the subject may get a token, whether the client may, and which scopes.
fn evaluations(query: &Query) -> Value {
    let subject =
        json!({ "type": if query.subject.is_client { "client" } else { "user" }, "id": query.subject.issued_sub });
    let party =
        json!({ "type": if query.actor.is_client { "client" } else { "workload" }, "id": query.actor.party.sub });
    let gate = json!({ "name": "issue:access_token:token_exchange" });
    let mut evaluations = Vec::new();
    for target in &query.targets {
        let resource = json!({ "type": "audience", "id": target });
        for who in [&subject, &party] {
            evaluations.push(json!({ "subject": who, "action": gate, "resource": resource }));
        }
        for scope in query.max_scope.iter() {
            evaluations.push(json!({ "subject": subject, "action": { "name": scope }, "resource": resource }));
        }
    }
    json!({
        "evaluations": evaluations,
        "options": { "evaluations_semantic": "execute_all" },
        "context": {
            "client_id": query.client_id,
            "acr": query.subject.acr,
            "auth_time": query.subject.auth_time,
            "subject_token_type": query.subject.token_type.as_str(),
            "actor_token_type": query.actor.token_type.as_ref().map(|token_type| token_type.as_str()),
        },
    })
}

/// The decision that follows from the answers: both parties must be permitted at every target, and a scope is granted if
/// every target permits the scope.
fn decision(query: &Query, answer: &Value) -> Result<Decision, BoxError> {
    let answers = answer["evaluations"].as_array().ok_or("no `evaluations` in the answer")?;
    let each_target = 2 + query.max_scope.len();
    if answers.len() != query.targets.len() * each_target {
        return Err("the number of answers differs from the number of questions".into());
    }
    let permits = |answer: &Value| answer["decision"].as_bool().ok_or("an answer without `decision`");
    let mut scope = query.max_scope.clone();
    for (target, answers) in query.targets.iter().zip(answers.chunks(each_target)) {
        let (gates, scopes) = answers.split_at(2);
        if !permits(&gates[0])? || !permits(&gates[1])? {
            return Ok(Decision::from(Denial::target(format!("the decision point denies `{target}`"))));
        }
        let mut kept = Vec::new();
        for (name, answer) in query.max_scope.iter().zip(scopes) {
            if permits(answer)? {
                kept.push(name);
            }
        }
        scope = scope.intersection(&Scope::from_tokens(kept)?);
    }
    let mut grant = Grant::new(Semantics::Delegation).scope(scope).policy_id("the decision point");
    for lifetime in answers.iter().filter_map(|answer| answer["context"]["issuance"]["token_lifetime"].as_u64()) {
        grant = grant.max_lifetime(Duration::from_secs(lifetime).min(query.max_lifetime));
    }
    Ok(Decision::Allow(grant))
}
