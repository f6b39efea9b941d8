use super::{Explanation, Fact, RecordTrace, Refusal, StageTrace, SuggestedRule};
use crate::{
    audit::{Outcome, Stage},
    authority::{Bounded, By, Ceiling, Decided, Lowered},
    client_auth::{Authenticated, Resolved},
    exchange::{Exchange, Observer},
    policy::{Query, RuleTrace},
    protocol::{Presented, Reason, Rejection, TargetName, escaped},
    records::Party,
    status::StillValid,
    token::{Validated, VerifiedToken},
};

/// Whoever takes notes of the stages, for an [`Explanation`].
pub(super) struct Notes<'a> {
    exchange: &'a Exchange,
    stages: Vec<StageTrace>,
    /// The one that is not through yet, and what it found.
    stage: Stage,
    facts: Vec<Fact>,
    rules: Vec<RuleTrace>,
    query: Option<Query>,
    records: Vec<RecordTrace>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(exchange: &'a Exchange, client_id: &str) -> Self {
        let client = match exchange.registry.client(client_id) {
            Some(client) => RecordTrace::there("client", client.position, &client.id),
            None => RecordTrace::missing("client", client_id),
        };
        Self {
            exchange,
            stages: Vec::new(),
            stage: Stage::Request,
            facts: Vec::new(),
            rules: Vec::new(),
            query: None,
            records: vec![client],
        }
    }

    pub(super) fn explanation(mut self, rejection: Option<Rejection>) -> Explanation {
        if rejection.is_some() {
            self.end_stage(false);
        }
        let no_rule = rejection.as_ref().is_some_and(|rejection| rejection.reason() == Reason::PolicyNoRule);
        // A policy of the user's own may have words for it, but no rules.
        let query = self.query.filter(|_| no_rule && self.exchange.table.is_some());
        Explanation {
            outcome: Outcome::of(rejection.as_ref()),
            stages: self.stages,
            refusal: rejection.as_ref().map(Refusal::of),
            rules: self.rules,
            suggested_rule: query.as_ref().map(SuggestedRule::of),
            records: self.records,
        }
    }

    fn note_target(&mut self, asked: &str, name: Option<TargetName>) {
        let registry = &self.exchange.registry;
        let found = name.and_then(|name| registry.target_with_position(&name));
        self.records.push(match found {
            Some((position, target)) => RecordTrace::there("target", position, &target.id),
            None => RecordTrace::missing("target", asked),
        });
    }

    fn note(&mut self, about: impl Into<String>, found: impl AsRef<str>) {
        self.facts.push(Fact { about: about.into(), found: escaped(found.as_ref()) });
    }

    fn note_some(&mut self, about: &str, found: Option<impl AsRef<str>>) {
        if let Some(found) = found {
            self.note(about, found);
        }
    }

    fn end_stage(&mut self, passed: bool) {
        self.stages.push(StageTrace { stage: self.stage, passed, facts: std::mem::take(&mut self.facts) });
    }

    /// Everything before this stage went well.
    fn reached(&mut self, stage: Stage) {
        self.end_stage(true);
        self.stage = stage;
    }

    fn note_token(&mut self, whose: &str, token: &VerifiedToken) {
        let now = self.exchange.authority.clock.seconds();
        self.note(whose, named(&token.party()));
        self.note(format!("{whose}'s token is"), token.token_type.as_str());
        self.note_some("issued to", token.presenter.as_deref());
        self.note("meant for", token.audience.join(" "));
        let scope = token.scope.as_ref().map(ToString::to_string);
        self.note("its scope", scope.as_deref().unwrap_or("(it does not say)"));
        self.note("good for", format!("{} s more", token.expires_at.saturating_sub(now)));
    }

    fn note_ceiling(&mut self, validated: &Validated) {
        let Validated { admitted, subject, actor } = validated;
        let mut steps = Vec::new();
        // If there is none, the stage says so itself.
        let _ = Ceiling::noting(&self.exchange.authority, admitted, subject, actor.as_ref(), &mut |lowered| {
            steps.push(match lowered {
                Lowered::Scope(by, scope) => (format!("scope, by {}", cause(by)), shown(&scope.to_string())),
                Lowered::Lifetime(by, longest) => {
                    (format!("lifetime, by {}", cause(by)), format!("{} s", longest.as_secs()))
                }
            });
        });
        steps.into_iter().for_each(|(about, found)| self.note(about, found));
    }
}

impl Observer for Notes<'_> {
    fn presented(&mut self, presented: &Presented) {
        let asked = &presented.requested;
        let names: Vec<&str> = asked.resources.iter().chain(&asked.audiences).map(String::as_str).collect();
        asked.resources.iter().for_each(|name| self.note_target(name, TargetName::resource(name).ok()));
        asked.audiences.iter().for_each(|name| self.note_target(name, TargetName::audience(name).ok()));
        self.note_some("subject_token_type", asked.subject_token_type.as_deref());
        self.note_some("actor_token_type", asked.actor_token_type.as_deref());
        self.note_some("resource or audience", (!names.is_empty()).then(|| names.join(" ")));
        self.note_some("scope", asked.scope.as_deref());
        self.note_some("requested_token_type", asked.requested_token_type.as_deref());
        self.reached(Stage::Client);
    }

    fn authenticated(&mut self, authenticated: &Authenticated) {
        self.note("client", &authenticated.client.id);
        self.reached(Stage::Parameters);
    }

    fn admitted(&mut self, admitted: &Resolved) {
        for target in &admitted.targets {
            self.note("target", format!("{}, with `aud` {}", target.id, target.aud));
        }
        let asked = admitted.scope.as_ref().map(ToString::to_string);
        self.note("scope asked for", asked.as_deref().unwrap_or("(whatever can be had)"));
        self.note("to be issued", admitted.issue_as.as_str());
        self.reached(Stage::Tokens);
    }

    fn validated(&mut self, validated: &Validated) {
        self.note_token("subject", &validated.subject);
        if let Some(actor) = &validated.actor {
            self.note_token("actor", actor);
        }
        self.reached(Stage::Authority);
        self.note_ceiling(validated);
    }

    fn bounded(&mut self, bounded: &Bounded) {
        self.note("subject here", &bounded.issued_sub);
        self.note("who acts", named(&bounded.actor));
        let acted = bounded.prior.parties().map(named).collect::<Vec<_>>().join(", ");
        self.note_some("who acted before", (!acted.is_empty()).then_some(acted));
        self.note("delegation", possible(bounded.delegation.as_ref().err()));
        self.note("impersonation", possible(bounded.impersonation.as_ref().err()));
        self.reached(Stage::Status);
    }

    fn standing(&mut self, standing: &StillValid) {
        let checks = &self.exchange.standing;
        let asked = checks.status.is_some() || checks.revocations.is_some();
        self.note("still good", if asked { "yes" } else { "(nobody is asked: the layer has no status check)" });
        self.reached(Stage::Policy);
        let query = standing.bounded.query();
        self.rules = self.exchange.table.as_ref().map(|table| table.explain(&query)).unwrap_or_default();
        self.query = Some(query);
    }

    fn decided(&mut self, decided: &Decided) {
        self.note("decision", decided.semantics.as_str());
        self.note_some("allowed by", decided.policy_id.as_deref());
        self.note("scope granted", decided.within.scope().to_string());
        self.note("lifetime granted", format!("{} s", decided.within.lifetime().as_secs()));
        self.note_some("on trial", decided.shadow.as_deref());
        self.reached(Stage::Issue);
    }
}

fn named(party: &Party) -> String {
    format!("{} of {}", party.sub, party.iss)
}

fn shown(scope: &str) -> String {
    if scope.is_empty() { "(nothing)".to_owned() } else { scope.to_owned() }
}

fn possible(problem: Option<&Rejection>) -> String {
    problem.map_or_else(|| "possible".to_owned(), |rejection| format!("impossible: {}", rejection.reason()))
}

fn cause(by: By<'_>) -> String {
    match by {
        By::SubjectToken => "the subject token".to_owned(),
        By::ActorToken => "the actor token".to_owned(),
        By::ScopelessSubjects => "the client's `scopes_for_scopeless_subjects`".to_owned(),
        By::Translation(target) => format!("`translate` of target `{}`", target.id),
        By::Target(target) => format!("target `{}`", target.id),
        By::SeveralTargets => "what the targets have in common".to_owned(),
        By::Client => "the client's record".to_owned(),
        By::Layer => "the layer".to_owned(),
    }
}
