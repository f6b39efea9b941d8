use super::{AuditEvent, Outcome};
use crate::protocol::TargetId;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::Service;

/// The sink that is there without being asked for: a [`tracing`] event with target `token_exchange::audit`, at
/// `INFO` when a token was issued, `WARN` when it was denied and `ERROR` when something failed.
///
/// The names of the fields are stable; a field without a value is left out:
///
/// | field | what it holds |
/// |---|---|
/// | `event_id` | the unique name of the event |
/// | `outcome` | `issued`, `denied` or `error` |
/// | `stage` | the last stage that was reached ([`Stage`](crate::audit::Stage)) |
/// | `error` | the `error` that the client was told |
/// | `reason` | why it was refused: a code of [`reasons`](crate::manual::reasons) |
/// | `detail` | more about why |
/// | `claimed_client_id` | the client that the request says it comes from |
/// | `client_id` | the client that it comes from |
/// | `auth_method` | how the client proved it, such as `client_secret_basic` |
/// | `requested_targets` | the `resource` and `audience` values, with spaces between |
/// | `requested_scope` | the scope that was asked for |
/// | `requested_token_type` | the `requested_token_type` |
/// | `subject_iss` | whose name the subject's is |
/// | `subject_sub` | the subject |
/// | `subject_token_type` | the subject token's declared type |
/// | `subject_token_jti` | its name |
/// | `subject_token_exp` | when it expires, in seconds since 1970 |
/// | `actor_iss` | whose name the actor's is |
/// | `actor_sub` | who acts |
/// | `actor_token_jti` | the actor token's name |
/// | `semantics` | `delegation` or `impersonation` |
/// | `act` | the actors that the issued token names, the current one first, as JSON: `[{"iss":"…","sub":"…"}]` |
/// | `act_depth` | their number |
/// | `policy_id` | what the policy said allowed it |
/// | `shadow` | what the policy would have decided with its rules on trial |
/// | `granted_targets` | the ids of the targets' records, with spaces between |
/// | `granted_sub` | the `sub` of the issued token |
/// | `granted_scope` | its scope |
/// | `granted_token_type` | its type |
/// | `granted_jti` | its name |
/// | `granted_kid` | the key that signed it |
/// | `granted_exp` | when it expires, in seconds since 1970 |
/// | `alarm` | `true` where somebody must look at once ([`Reason::is_alarm`](crate::Reason::is_alarm)) |
/// | `request_id` | the header `X-Request-Id`, see [`AuditEvent::request_id`] |
/// | `trace_id` | the trace id of the header `traceparent`, see [`AuditEvent::trace_id`] |
/// | `duration_us` | how long the attempt took, in microseconds |
///
/// An event that another sink did not take is written with the same fields, after an `ERROR` that says so in
/// `problem`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

impl Service<AuditEvent> for TracingSink {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: AuditEvent) -> Self::Future {
        trace(&event);
        ready(Ok(()))
    }
}

macro_rules! emit {
    ($level:ident, $event:ident) => {
        tracing::$level!(
            target: "token_exchange::audit",
            event_id = $event.event_id,
            outcome = $event.outcome.as_str(),
            stage = $event.stage.as_str(),
            error = $event.error.map(|error| error.as_str()),
            reason = $event.reason.map(|reason| reason.code()),
            detail = $event.detail,
            claimed_client_id = $event.claimed_client_id,
            client_id = $event.client_id.as_ref().map(|client_id| client_id.as_str()),
            auth_method = $event.auth_method.map(|method| method.as_str()),
            requested_targets = (!$event.requested.targets.is_empty()).then(|| $event.requested.targets.join(" ")),
            requested_scope = $event.requested.scope,
            requested_token_type = $event.requested.token_type,
            subject_iss = $event.subject.as_ref().map(|party| party.iss.as_str()),
            subject_sub = $event.subject.as_ref().map(|party| party.sub.as_str()),
            subject_token_type = $event.subject_token.as_ref().map(|token| token.token_type.as_str()),
            subject_token_jti = $event.subject_token.as_ref().and_then(|token| token.jti.as_ref()).map(|jti| jti.as_str()),
            subject_token_exp = $event.subject_token.as_ref().map(|token| token.exp.seconds()),
            actor_iss = $event.actor.as_ref().map(|party| party.iss.as_str()),
            actor_sub = $event.actor.as_ref().map(|party| party.sub.as_str()),
            actor_token_jti = $event.actor_token.as_ref().and_then(|token| token.jti.as_ref()).map(|jti| jti.as_str()),
            semantics = $event.semantics.map(|semantics| semantics.as_str()),
            act = (!$event.act.is_empty()).then(|| serde_json::to_string(&$event.act).unwrap_or_default()),
            act_depth = $event.act_depth,
            policy_id = $event.policy_id,
            shadow = $event.shadow.as_ref().map(ToString::to_string),
            granted_targets = $event.granted.as_ref().map(|granted| joined(&granted.targets)),
            granted_sub = $event.granted.as_ref().map(|granted| granted.sub.as_str()),
            granted_scope = $event.granted.as_ref().map(|granted| granted.scope.to_string()),
            granted_token_type = $event.granted.as_ref().map(|granted| granted.token_type.as_str()),
            granted_jti = $event.granted.as_ref().map(|granted| granted.jti.as_str()),
            granted_kid = $event.granted.as_ref().map(|granted| granted.kid.as_str()),
            granted_exp = $event.granted.as_ref().map(|granted| granted.exp.seconds()),
            alarm = $event.alarm.then_some(true),
            request_id = $event.request_id,
            trace_id = $event.trace_id,
            duration_us = u64::try_from($event.duration.as_micros()).unwrap_or(u64::MAX),
        )
    };
}

fn joined(targets: &[TargetId]) -> String {
    targets.iter().map(TargetId::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn trace(event: &AuditEvent) {
    match event.outcome {
        Outcome::Issued => emit!(info, event),
        Outcome::Denied => emit!(warn, event),
        Outcome::Error => emit!(error, event),
    }
}
