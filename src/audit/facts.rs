use super::{Attempt, Granted, Requested, Stage, TokenFacts};
use crate::{
    client_auth::Credentials,
    exchange::{Authenticated, Bounded, Decided, Issued, Observer, Presented, Resolved, StillValid, Validated},
    policy::ShadowOutcome,
    protocol::escaped,
    records::Party,
    token::VerifiedToken,
};

impl Observer for Attempt {
    fn presented(&mut self, presented: &Presented) {
        let (identification, requested) = (presented.identification(), presented.requested());
        let first_reading = Credentials::read(identification)
            .ok()
            .and_then(|credentials| credentials.readings().next().map(|(id, _)| escaped(id)));
        let text = |text: &Option<String>| text.as_deref().map(escaped);
        let event = self.reached(Stage::Client);
        event.claimed_client_id = first_reading.or_else(|| text(&identification.client_id));
        event.requested = Requested {
            targets: requested.resources.iter().chain(&requested.audiences).map(|name| escaped(name)).collect(),
            scope: text(&requested.scope),
            token_type: text(&requested.requested_token_type),
            subject_token_type: text(&requested.subject_token_type),
            actor_token_type: text(&requested.actor_token_type),
        };
    }

    fn authenticated(&mut self, authenticated: &Authenticated) {
        let event = self.reached(Stage::Parameters);
        event.client_id = Some(authenticated.client().id.clone());
        event.auth_method = Some(authenticated.method());
    }

    fn resolved(&mut self, _: &Resolved) {
        self.reached(Stage::Tokens);
    }

    fn validated(&mut self, validated: &Validated) {
        let event = self.reached(Stage::Authority);
        event.subject = Some(party(&validated.subject().party()));
        event.subject_token = Some(token(validated.subject()));
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
    }

    fn issued(&mut self, issued: &Issued) {
        self.reached(Stage::Answer).granted = Some(Granted {
            targets: issued.targets().iter().map(|target| target.id.clone()).collect(),
            sub: escaped(issued.issued_sub()),
            scope: issued.grant().scope().clone(),
            token_type: issued.issued_token_type().clone(),
            jti: issued.jti().clone(),
            kid: issued.key_id().clone(),
            exp: issued.expires_at(),
        });
    }
}

fn party(party: &Party) -> Party {
    Party::new(escaped(party.iss.as_str()), escaped(&party.sub))
}

fn token(token: &VerifiedToken) -> TokenFacts {
    TokenFacts {
        token_type: token.token_type.clone(),
        iss: token.issuer.id.clone(),
        jti: token.claims.get("jti").and_then(|jti| jti.as_str()).map(|jti| escaped(jti).into()),
        exp: token.expires_at,
    }
}
