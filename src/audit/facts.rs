use super::{Attempt, Granted, Requested, Stage, TokenFacts};
use crate::exchange::Observer;
use crate::{
    authority::{Bounded, Decided},
    client_auth::{Authenticated, Credentials, Resolved},
    protocol::{NumericDate, Presented, escaped},
    records::Party,
    signing::Issued,
    status::StillValid,
    token::{Validated, VerifiedToken},
};

impl Observer for Attempt {
    fn presented(&mut self, presented: &Presented) {
        let Presented { identification, requested } = presented;
        let first_reading = Credentials::of(identification)
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
        event.client_id = Some((&authenticated.client.id).into());
        event.auth_method = Some(authenticated.method);
    }

    fn admitted(&mut self, _: &Resolved) {
        self.reached(Stage::Tokens);
    }

    fn validated(&mut self, validated: &Validated) {
        let event = self.reached(Stage::Authority);
        event.subject = Some(party(&validated.subject.party()));
        event.subject_token = Some(token(&validated.subject));
        event.actor = validated.actor.as_ref().map(|actor| party(&actor.party()));
        event.actor_token = validated.actor.as_ref().map(token);
    }

    fn bounded(&mut self, bounded: &Bounded) {
        let event = self.reached(Stage::Status);
        event.actor = Some(party(&bounded.actor));
    }

    fn standing(&mut self, _: &StillValid) {
        self.reached(Stage::Policy);
    }

    fn decided(&mut self, decided: &Decided) {
        let event = self.reached(Stage::Issue);
        event.semantics = Some(decided.semantics);
        event.act = decided.chain.parties().map(party).collect();
        event.act_depth = Some(decided.chain.depth());
        event.policy_id = decided.policy_id.as_deref().map(escaped);
        event.shadow = decided.shadow.as_deref().map(escaped);
    }
}

impl Attempt {
    pub(crate) fn issued(&mut self, issued: &Issued) {
        let bounded = &issued.decided.bounded;
        self.reached(Stage::Answer).granted = Some(Granted {
            targets: bounded.admitted.targets.iter().map(|target| (&target.id).into()).collect(),
            sub: escaped(&bounded.issued_sub),
            scope: issued.decided.within.scope().clone(),
            token_type: bounded.admitted.issue_as.clone(),
            jti: (&issued.jti).into(),
            kid: issued.key_id.clone(),
            exp: NumericDate::from_seconds(issued.expires_at),
        });
    }
}

fn party(party: &Party) -> Party {
    Party::new(escaped(&party.iss), escaped(&party.sub))
}

fn token(token: &VerifiedToken) -> TokenFacts {
    TokenFacts {
        token_type: token.token_type.clone(),
        iss: (&token.issuer.id).into(),
        jti: token.claims.get("jti").and_then(|jti| jti.as_str()).map(|jti| escaped(jti).into()),
        exp: NumericDate::from_seconds(token.expires_at),
    }
}
