use crate::{policy::Query, protocol::TargetId};
use serde::Serialize;
use std::fmt::Write;

/// The rule that a request lacks, for all subjects of the issuer, and else no wider than the request; as a text, both
/// ways to write it. Whether it should be allowed is not for a program to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SuggestedRule {
    /// What it would allow, in words.
    pub meaning: String,
    /// With the builder: an expression that makes a [`Rule`](crate::policy::Rule).
    pub code: String,
    /// In a [`Document`](crate::Document), as TOML.
    pub toml: String,
}

impl SuggestedRule {
    pub(super) fn of(query: &Query) -> Self {
        let Query { client_id, subject, actor, targets, .. } = query;
        let iss = &subject.party.iss;
        // What was asked for and is under the ceiling, else everything under it.
        let scope = query
            .requested_scope
            .as_ref()
            .map_or(query.max_scope.clone(), |requested| requested.intersection(&query.max_scope));
        let scopes: Vec<&str> = scope.iter().collect();
        let impersonates = !query.delegation_possible;

        let mut code = format!("Rule::allow({client_id:?}, Subjects::of_issuer({iss:?})");
        let mut toml = format!(
            "[[rule]]\nclients = {}\nsubjects = {{ issuer = {}",
            quoted(client_id.as_str()),
            quoted(iss.as_str())
        );
        if subject.is_client {
            code.push_str(".or_clients()");
            toml.push_str(", or_clients = true");
        }
        match &targets[..] {
            [one] => _ = write!(code, ", {one:?})"),
            several => _ = write!(code, ", {several:?})"),
        }
        _ = write!(code, ".scopes({scopes:?})");
        _ = write!(toml, " }}\ntargets = {}\nscopes = {}", list(targets), list(&scopes));
        if !actor.is_client {
            let (iss, sub) = (&actor.party.iss, &actor.party.sub);
            _ = write!(code, ".actors(Actors::parties([Party::new({iss:?}, {sub:?})]))");
            _ = write!(toml, "\nactors = [{{ iss = {}, sub = {} }}]", quoted(iss.as_str()), quoted(sub));
        }
        if impersonates {
            code.push_str(".impersonation()");
            toml.push_str("\ngrant = [\"impersonation\"]");
        }
        let acting = match (impersonates, actor.is_client) {
            (true, _) => "impersonating them".to_owned(),
            (false, true) => "acting for them".to_owned(),
            (false, false) => format!("with `{}` acting for them", actor.party.sub),
        };
        let meaning = format!(
            "client `{client_id}` may exchange tokens of the subjects of `{iss}` for one at `{}`, {acting}, with `{scope}` at most",
            targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join("` and `"),
        );
        Self { meaning, code, toml }
    }
}

/// As a basic string of TOML, whose escapes JSON shares.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}
