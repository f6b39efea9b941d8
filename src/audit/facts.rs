use super::{
    Attempt, Granted, IssuedTokenFacts, Requested, Stage, TokenFacts,
    texts::{known_and_others, known_or_described},
};
use crate::{
    client_auth::{AuthenticationMethod, ClaimedClient},
    exchange::{Authenticated, Bounded, Decided, Issued, Observer, Presented, Proven, Resolved, StillValid, Validated},
    policy::ShadowOutcome,
    proof::{Binding, Outcome as BindingOutcome},
    protocol::{ClientId, NumericDate, escaped, escaped_as, escaped_id},
    records::Party,
    token::{Confirmation, VerifiedToken},
};

impl Observer for Attempt {
    fn presented(&mut self, presented: &Presented<'_>) {
        self.claimed(presented.client());
    }

    fn authenticated(&mut self, authenticated: &Authenticated) {
        // The parameters can be large, so an unknown client leaves no trace of them.
        let (registry, requested) = (&self.registry, authenticated.requested());
        let targets = requested.resources.iter().chain(&requested.audiences).map(String::as_str);
        let scope = requested.scope.iter().flat_map(|scope| scope.split(' ')).filter(|token| !token.is_empty());
        let scope = known_and_others(scope, |token| registry.has_scope_token(token)).join(" ");
        let token_type =
            |text: &Option<String>| text.as_deref().map(|text| known_or_described(text, registry.has_token_type(text)));
        let requested = Requested {
            targets: known_and_others(targets, |name| registry.has_target_name(name)),
            scope: (!scope.is_empty()).then_some(scope),
            token_type: token_type(&requested.requested_token_type),
            subject_token_type: token_type(&requested.subject_token_type),
            actor_token_type: token_type(&requested.actor_token_type),
        };
        self.event_mut().requested = requested;
        self.client_is(&authenticated.client().id, authenticated.method());
        self.reached(Stage::Proof);
    }

    fn proven(&mut self, proven: &Proven) {
        let event = self.reached(Stage::Parameters);
        event.proven = stated(proven.possession().proven());
    }

    fn resolved(&mut self, _: &Resolved) {
        self.reached(Stage::Tokens);
    }

    fn validated(&mut self, validated: &Validated) {
        let event = self.reached(Stage::Authority);
        event.subject = Some(party(&validated.subject().party()));
        event.subject_origin = validated.subject().origin.party.as_ref().map(party);
        event.subject_token =
            Some(TokenFacts { one_time: validated.subject_is_one_time(), ..token(validated.subject()) });
        event.actor = validated.actor_token().map(|actor| party(&actor.party()));
        event.actor_token = validated.actor_token().map(token);
    }

    fn bounded(&mut self, bounded: &Bounded) {
        let event = self.reached(Stage::Status);
        event.actor = Some(party(&bounded.actor().party));
    }

    fn still_valid(&mut self, _: &StillValid) {
        self.reached(Stage::Policy);
    }

    fn shadow(&mut self, outcome: &ShadowOutcome) {
        self.event_mut().shadow = Some(outcome.clone().map_rule(|rule| escaped(&rule)));
    }

    fn decided(&mut self, decided: &Decided) {
        let grant = decided.grant();
        let event = self.reached(Stage::Issue);
        event.semantics = Some(grant.semantics());
        event.act = grant.chain().parties().map(party).collect();
        event.act_depth = Some(grant.chain().depth());
        event.policy_id = grant.policy_id().map(escaped);
        let binding = grant.binding().outcome();
        event.binding = Some(binding);
        event.alarm = binding == BindingOutcome::Released;
    }

    fn issued(&mut self, issued: &Issued) {
        self.reached(Stage::Answer).granted = Some(Granted {
            targets: issued.targets().iter().map(|target| target.id.clone()).collect(),
            sub: escaped_id(issued.issued_sub()),
            scope: issued.grant().scope().clone(),
            token_type: issued.issued_token_type().clone(),
            jti: issued.jti().clone(),
            kid: issued.key_id().clone(),
            exp: issued.expires_at(),
            binding: stated(issued.grant().binding().binding()),
        });
    }
}

/// What is known about a request to a resource server.
#[cfg(feature = "resource-server")]
pub(crate) struct AccessFacts {
    pub(crate) stage: Stage,
    pub(crate) proven: Binding,
    pub(crate) client: Option<ClientId>,
    pub(crate) subject: Option<Party>,
    pub(crate) actors: Vec<Party>,
    pub(crate) token: Option<TokenFacts>,
}

#[cfg(feature = "resource-server")]
impl Attempt {
    /// Notes what is known about a request to a resource server.
    pub(crate) fn access(&mut self, facts: AccessFacts) {
        let event = self.reached(facts.stage);
        event.proven = stated(facts.proven);
        event.client_id = facts.client.map(|client| escaped_as(client.as_str()));
        event.subject = facts.subject.as_ref().map(party);
        event.actor = facts.actors.first().map(party);
        event.act = facts.actors.iter().map(party).collect();
        event.act_depth = facts.token.is_some().then_some(event.act.len());
        event.subject_token =
            facts.token.map(|token| TokenFacts { jti: token.jti.map(|jti| escaped_as(jti.as_str())), ..token });
    }
}

impl Attempt {
    /// Notes the client id that the request claims.
    pub(crate) fn claimed(&mut self, client: &ClaimedClient<'_>) {
        let claimed = client.id().map(|id| known_or_described(id, self.registry.client(id).is_some()));
        self.reached(Stage::Client).claimed_client_id = claimed;
    }

    /// Notes the authenticated client.
    pub(crate) fn client_is(&mut self, client_id: &ClientId, method: AuthenticationMethod) {
        let event = self.event_mut();
        event.client_id = Some(client_id.clone());
        event.auth_method = Some(method);
    }

    /// Notes the `jti` of the token that the client asks about.
    pub(crate) fn asked_about(&mut self, jti: Option<&str>) {
        let jti = jti.map(|jti| escaped(jti).into());
        self.event_mut().issued_token = Some(IssuedTokenFacts { jti, client_id: None, sub: None, exp: None });
    }

    /// Notes whose token the client asks about, after the client was authenticated.
    pub(crate) fn token_belongs_to(&mut self, client_id: Option<&str>, sub: Option<&str>, exp: NumericDate) {
        if let Some(token) = &mut self.reached(Stage::Answer).issued_token {
            token.client_id = client_id.map(|id| escaped(id).into());
            token.sub = sub.map(escaped);
            token.exp = Some(exp);
        }
    }

    /// Notes what the application or an operator revokes.
    pub(crate) fn revokes(&mut self, described: String) {
        self.reached(Stage::Answer).detail = Some(described);
    }

    /// Notes the answer to an introspection. `problem` says why the token is not active.
    pub(crate) fn introspected(&mut self, problem: Option<&str>) {
        let event = self.event_mut();
        event.active = Some(problem.is_none());
        event.detail = problem.map(str::to_owned);
    }
}

fn party(party: &Party) -> Party {
    Party { iss: escaped_id(&party.iss), sub: escaped_id(&party.sub) }
}

/// A binding that names something.
fn stated(binding: Binding) -> Option<Binding> {
    (!binding.is_none()).then_some(binding)
}

fn token(token: &VerifiedToken) -> TokenFacts {
    TokenFacts {
        token_type: token.token_type.clone(),
        iss: token.issuer.id.clone(),
        jti: token.claims.string("jti").map(escaped_as),
        exp: token.expires_at,
        one_time: false,
        binding: match token.confirmation {
            Confirmation::Bound(binding) => Some(binding),
            Confirmation::Free | Confirmation::Unknown => None,
        },
    }
}
