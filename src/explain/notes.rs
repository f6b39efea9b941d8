use super::{Explanation, Fact, RecordTrace, Refusal, StageTrace, SuggestedRule};
use crate::{
    audit::{Outcome, Stage},
    authority::{Ceiling, CeilingStep, LimitSource},
    exchange::{
        Authenticated, Bounded, Decided, Exchange, Observer, Presented, Proven, Resolved, StillValid, Validated,
    },
    policy::{Query, RuleTrace, ShadowOutcome},
    proof::Outcome as BindingOutcome,
    protocol::{Reason, Rejection, TargetName, TokenType, escaped},
    records::Party,
    token::{Binding, Confirmation, VerifiedToken},
};

/// An observer that collects the findings of the stages for an [`Explanation`].
pub(super) struct Notes<'a> {
    exchange: &'a Exchange,
    stages: Vec<StageTrace>,
    /// The current stage, and the findings of this stage.
    stage: Stage,
    facts: Vec<Fact>,
    rules: Vec<RuleTrace>,
    query: Option<Query>,
    shadow: Option<String>,
    records: Vec<RecordTrace>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(exchange: &'a Exchange, client_id: &str) -> Self {
        let client = match exchange.registry.client(client_id) {
            Some(client) => RecordTrace::found("client", client.position, client.id.as_str()),
            None => RecordTrace::missing("client", exchange.registry.unknown_client(escaped(client_id))),
        };
        Self {
            exchange,
            stages: Vec::new(),
            stage: Stage::Request,
            facts: Vec::new(),
            rules: Vec::new(),
            query: None,
            shadow: None,
            records: vec![client],
        }
    }

    pub(super) fn explanation(mut self, rejection: Option<Rejection>) -> Explanation {
        if rejection.is_some() {
            self.end_stage(false);
        }
        let wording = self.exchange.registry.wording();
        let no_rule = rejection.as_ref().is_some_and(|rejection| rejection.reason() == Reason::PolicyNoRule);
        // A policy that is not a table of rules cannot use another rule.
        let query = self.query.filter(|_| no_rule && self.exchange.table.is_some());
        let table = self.exchange.table.as_ref();
        let advice = query.as_ref().and_then(|query| table?.advice_on_actor(query));
        let query = query.filter(|_| advice.is_none());
        Explanation {
            outcome: rejection.as_ref().map_or(Outcome::Issued, Outcome::of_refusal),
            stages: self.stages,
            refusal: rejection.map(|rejection| Refusal::from_rejection(&rejection, wording)),
            rules: self.rules,
            advice,
            suggested_rule: query.map(|query| SuggestedRule::from_query(&query, wording)),
            records: self.records,
        }
    }

    fn note_target(&mut self, requested: &str, name: Option<TargetName<'_>>) {
        let registry = &self.exchange.registry;
        let found = name.and_then(|name| registry.target_with_position(&name));
        self.records.push(match found {
            Some((position, target)) => RecordTrace::found("target", position, target.id.as_str()),
            None => RecordTrace::missing("target", registry.unknown_target(escaped(requested))),
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

    /// Notes that the request passed every stage before this one.
    fn reached(&mut self, stage: Stage) {
        self.end_stage(true);
        self.stage = stage;
    }

    fn note_token(&mut self, role: &str, token: &VerifiedToken) {
        let mut note = |what: &str, found: &str| self.note(format!("{role} token {what}"), found);
        note("type", token.token_type.as_str());
        if let Some(presenter) = &token.presenter {
            note("presenter", presenter);
        }
        if let Confirmation::Bound(Binding { key, certificate }) = token.confirmation {
            key.iter().for_each(|key| note("is bound to the key", &key.to_string()));
            certificate.iter().for_each(|certificate| note("is bound to the certificate", &certificate.to_string()));
        }
        note("audience", &token.audience.join(" "));
        let scope = token.scope.as_ref().map(ToString::to_string);
        note("scope", scope.as_deref().unwrap_or("(the token does not say)"));
        for assumption in &token.assumptions {
            note("by the record", assumption);
        }
        let now = self.exchange.settings.now();
        self.note(
            format!("{role} token expires in"),
            format!("{} s", token.expires_at.saturating_since(now).as_secs()),
        );
    }

    /// Notes each step that lowers the ceiling, even if another check of the same stage refuses the request.
    fn note_ceiling(&mut self, validated: &Validated) {
        let Exchange { registry, settings, .. } = self.exchange;
        let now = settings.now();
        // The stage itself reports a ceiling that cannot be computed.
        let _ = Ceiling::compute(&validated.facts(registry), settings.max_lifetime, now, |step| match step {
            CeilingStep::Scope(source, scope) => {
                self.note(format!("max scope, limited by {}", limit_source(source)), scope_text(&scope.to_string()));
            }
            CeilingStep::Lifetime(source, longest) => {
                self.note(
                    format!("max lifetime, limited by {}", limit_source(source)),
                    format!("{} s", longest.as_secs()),
                );
            }
        });
    }
}

impl Observer for Notes<'_> {
    fn presented(&mut self, presented: &Presented<'_>) {
        let requested = presented.requested();
        let names: Vec<&str> = requested.resources.iter().chain(&requested.audiences).map(String::as_str).collect();
        requested.resources.iter().for_each(|name| self.note_target(name, TargetName::resource(name).ok()));
        requested.audiences.iter().for_each(|name| self.note_target(name, TargetName::audience(name).ok()));
        self.note_some("subject_token_type", requested.subject_token_type.as_deref());
        self.note_some("actor_token_type", requested.actor_token_type.as_deref());
        self.note_some("resource or audience", (!names.is_empty()).then(|| names.join(" ")));
        self.note_some("scope", requested.scope.as_deref());
        self.note_some("requested_token_type", requested.requested_token_type.as_deref());
        self.reached(Stage::Client);
    }

    fn authenticated(&mut self, authenticated: &Authenticated) {
        self.note("client", &authenticated.client().id);
        self.reached(Stage::Proof);
    }

    fn proven(&mut self, _: &Proven) {
        if self.exchange.proofs.dpop.is_some() {
            self.note("proof of possession", "(not checked: the client counts as the owner of the keys of its tokens)");
        }
        self.reached(Stage::Parameters);
    }

    fn resolved(&mut self, resolved: &Resolved) {
        for target in resolved.targets() {
            self.note("target", format!("{} (`aud`: {})", target.id, target.aud));
        }
        let requested = resolved.requested_scope().map(ToString::to_string);
        self.note("requested scope", requested.as_deref().unwrap_or("(everything within the ceiling)"));
        self.note("issued token type", resolved.issued_token_type().as_str());
        self.reached(Stage::Tokens);
    }

    fn validated(&mut self, validated: &Validated) {
        self.note("subject", named(&validated.subject().party()));
        self.note_token("subject", validated.subject());
        if validated.subject_is_one_time() {
            self.note("subject token", "may be exchanged once (this dry run does not know whether it was)");
        }
        if let Some(actor) = validated.actor_token() {
            self.note("actor", named(&actor.party()));
            self.note_token("actor", actor);
        }
        self.reached(Stage::Authority);
        self.note_ceiling(validated);
    }

    fn bounded(&mut self, bounded: &Bounded) {
        self.note("issued token `sub`", bounded.issued_sub());
        let other_names = bounded.subject_other_names().iter().map(named).collect::<Vec<_>>().join(", ");
        self.note_some("other names of the subject", (!other_names.is_empty()).then_some(other_names));
        let earlier = bounded.subject().origin.token_types.iter().map(TokenType::as_str).collect::<Vec<_>>().join(", ");
        self.note_some("types of earlier subject tokens", (!earlier.is_empty()).then_some(earlier));
        self.note("actor", named(&bounded.actor().party));
        let prior_actors = bounded.prior_actors().parties().map(named).collect::<Vec<_>>().join(", ");
        self.note_some("prior actors", (!prior_actors.is_empty()).then_some(prior_actors));
        self.note("delegation", possibility(bounded.delegation_problem()));
        self.note("impersonation", possibility(bounded.impersonation_problem()));
        self.note_some("binding", bounded.binding_outcomes());
        self.reached(Stage::Status);
    }

    fn still_valid(&mut self, still_valid: &StillValid) {
        let is_checked = self.exchange.status.are_configured();
        self.note("status", if is_checked { "good" } else { "(not checked: the layer has no status check)" });
        self.reached(Stage::Policy);
        let query = still_valid.policy_query();
        self.rules = self.exchange.table.as_ref().map(|table| table.explain(&query)).unwrap_or_default();
        self.query = Some(query);
    }

    fn shadow(&mut self, outcome: &ShadowOutcome) {
        self.shadow = Some(outcome.to_string());
    }

    fn decided(&mut self, decided: &Decided) {
        let grant = decided.grant();
        self.note("decision", grant.semantics().as_str());
        self.note_some("allowed by", grant.policy_id());
        self.note("granted scope", grant.scope().to_string());
        let binding = grant.binding().outcome();
        self.note_some("binding", (binding != BindingOutcome::Bearer).then_some(binding.as_str()));
        self.note("granted lifetime", format!("{} s", grant.lifetime().as_secs()));
        let shadow = self.shadow.take();
        self.note_some("shadow rules", shadow);
        self.reached(Stage::Issue);
    }
}

fn named(party: &Party) -> String {
    format!("{} of {}", party.sub, party.iss)
}

fn scope_text(scope: &str) -> String {
    if scope.is_empty() { "(empty)".to_owned() } else { scope.to_owned() }
}

fn possibility(problem: Option<&Rejection>) -> String {
    problem.map_or_else(|| "possible".to_owned(), |rejection| format!("not possible: {}", rejection.reason()))
}

fn limit_source(source: LimitSource<'_>) -> String {
    match source {
        LimitSource::SubjectToken => "the subject token".to_owned(),
        LimitSource::ActorToken => "the actor token".to_owned(),
        LimitSource::ScopelessSubjects => "`scopes_for_scopeless_subjects` of the client".to_owned(),
        LimitSource::Translation(target) => format!("`translate` of target `{}`", target.id),
        LimitSource::Target(target) => format!("target `{}`", target.id),
        LimitSource::SeveralTargets => "the scopes that all targets have".to_owned(),
        LimitSource::Client => "the record of the client".to_owned(),
        LimitSource::Layer => "the layer".to_owned(),
    }
}
