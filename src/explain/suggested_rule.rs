use crate::{
    policy::Query,
    protocol::{Scope, TargetId},
    records::Wording,
};
use serde::Serialize;
use std::fmt::{self, Write};

/// The rule that a request lacks.
///
/// The rule applies to all subjects of the issuer, and otherwise allows no more than the request needs. A person must
/// decide whether the exchange should be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SuggestedRule {
    /// The effect of the rule, in a sentence.
    pub meaning: String,
    /// The rule in Rust: an expression that returns a [`Rule`](crate::policy::Rule).
    pub code: String,
    /// The rule in TOML, for a [`Document`](crate::Document).
    pub toml: String,
    #[serde(skip)]
    wording: Wording,
}

impl SuggestedRule {
    /// Returns the rule that would allow the query. `wording` is the form in which the user wrote the records.
    pub(super) fn from_query(query: &Query, wording: Wording) -> Self {
        let ceiling = &query.max_scope;
        let scope = query.requested_scope.as_ref().map_or(ceiling.clone(), |scope| scope.intersection(ceiling));
        Self { meaning: meaning(query, &scope), code: code(query, &scope), toml: toml(query, &scope), wording }
    }
}

fn meaning(query: &Query, scope: &Scope) -> String {
    let Query { client_id, subject, actor, targets, .. } = query;
    let (issuer, targets) = (&subject.party.iss, targets.iter().map(TargetId::as_str).collect::<Vec<_>>());
    let how = match (query.delegation_possible, actor.is_client) {
        (false, _) => "by impersonation".to_owned(),
        (true, true) => "by delegation".to_owned(),
        (true, false) => format!("by delegation to the actor `{}`", actor.party.sub),
    };
    format!(
        "client `{client_id}` may exchange tokens of the subjects of `{issuer}` for a token for `{}`, {how}, with at most \
         the scope `{scope}`",
        targets.join("` and `")
    )
}

fn code(query: &Query, scope: &Scope) -> String {
    let Query { client_id, subject, actor, targets, .. } = query;
    let mut code = format!("Rule::allow({client_id:?}, Subjects::of_issuer({:?})", subject.party.iss);
    if subject.is_client {
        code.push_str(".or_clients()");
    }
    match &targets[..] {
        [target] => _ = write!(code, ", {target:?})"),
        several => _ = write!(code, ", {several:?})"),
    }
    _ = write!(code, ".scopes({:?})", scope.iter().collect::<Vec<_>>());
    if !actor.is_client {
        let (iss, sub) = (&actor.party.iss, &actor.party.sub);
        _ = write!(code, ".actors(Actors::parties([Party::new({iss:?}, {sub:?})]))");
    }
    if !query.delegation_possible {
        code.push_str(".impersonation()");
    }
    code
}

fn toml(query: &Query, scope: &Scope) -> String {
    let Query { client_id, subject, actor, targets, .. } = query;
    let or_clients = if subject.is_client { ", or_clients = true" } else { "" };
    let mut toml = format!(
        "[[rule]]\nclients = {}\nsubjects = {{ issuer = {}{or_clients} }}\ntargets = {}\nscopes = {}",
        quoted(client_id),
        quoted(&subject.party.iss),
        list(targets),
        list(scope.iter())
    );
    if !actor.is_client {
        let (iss, sub) = (&actor.party.iss, &actor.party.sub);
        _ = write!(toml, "\nactors = [{{ iss = {}, sub = {} }}]", quoted(iss), quoted(sub));
    }
    if !query.delegation_possible {
        toml.push_str("\ngrant = [\"impersonation\"]");
    }
    toml
}

/// Returns a basic string of TOML. JSON has the same escapes.
fn quoted(text: impl AsRef<str>) -> String {
    serde_json::Value::from(text.as_ref()).to_string()
}

fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

/// Writes the rule in the form in which the user wrote the records: TOML or Rust.
impl fmt::Display for SuggestedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { meaning, code, toml, wording } = self;
        let (rule, names) = match wording {
            Wording::Keys => (toml, "`names` in `subjects`"),
            Wording::Methods => (code, "`Subjects::named`"),
        };
        writeln!(f, "If the exchange should be allowed, add this rule:\n")?;
        rule.lines().try_for_each(|line| writeln!(f, "    {line}"))?;
        writeln!(
            f,
            "\nWith this rule, {meaning}.\nThe rule applies to all subjects of the issuer; {names} selects some."
        )
    }
}
