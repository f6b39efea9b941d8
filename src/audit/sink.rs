use super::{AuditEvent, Outcome};
use crate::protocol::TargetId;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tower::Service;

/// The default sink: writes each event as a [`tracing`] event with the target `token_exchange::audit`.
///
/// The level is `WARN` if the request was denied, `ERROR` if the request failed, and `INFO` otherwise. The
/// event is in the span that was current when the layer received the request. If
/// [tower-http's `TraceLayer`](https://docs.rs/tower-http/latest/tower_http/trace/) is around the layer, the event
/// therefore has the fields of the span of `TraceLayer` too.
///
/// The names of the fields are stable. A field without a value is left out.
///
/// | field | meaning |
/// |---|---|
/// | `event_id` | the unique id of the event |
/// | `count` | the number of attempts that the event stands for ([`AuditEvent::count`]) |
/// | `operation` | `exchange`, `introspection` or `revocation` ([`Operation`](super::Operation)) |
/// | `client_address` | the network address of the client |
/// | `outcome` | `issued`, `introspected`, `revoked`, `denied` or `error` ([`Outcome`]) |
/// | `stage` | the last stage that the attempt reached ([`Stage`](super::Stage)) |
/// | `error` | the `error` in the answer to the client |
/// | `reason` | the reason of the refusal: a code in [`reasons`](crate::manual::reasons) |
/// | `detail` | the particulars of the reason |
/// | `claimed_client_id` | the client id in the request, without proof |
/// | `client_id` | the authenticated client |
/// | `auth_method` | the method that authenticated the client, such as `client_secret_basic` |
/// | `requested_targets` | the known values of `resource` and `audience`, and a description of the others, separated by spaces |
/// | `requested_scope` | the known tokens of `scope`, and a description of the others |
/// | `requested_token_type` | the value of `requested_token_type` |
/// | `subject_iss` | the issuer of the subject |
/// | `subject_sub` | the subject |
/// | `subject_token_type` | the declared type of the subject token |
/// | `subject_token_jti` | the `jti` of the subject token |
/// | `subject_token_exp` | the expiry of the subject token, in seconds since 1970 |
/// | `actor_iss` | the issuer of the actor |
/// | `actor_sub` | the actor |
/// | `actor_token_jti` | the `jti` of the actor token |
/// | `semantics` | `delegation` or `impersonation` |
/// | `act` | the actors in the `act` claim, the current actor first, as JSON: `[{"iss":"…","sub":"…"}]` |
/// | `act_depth` | the number of actors in `act` |
/// | `policy_id` | the name that the policy gave for its grant |
/// | `shadow` | the decision that the policy would make with its shadow rules |
/// | `granted_targets` | the ids of the target records, separated by spaces |
/// | `granted_sub` | the `sub` claim of the issued token |
/// | `granted_scope` | the scope of the issued token |
/// | `granted_token_type` | the type of the issued token |
/// | `granted_jti` | the `jti` claim of the issued token |
/// | `granted_kid` | the id of the key that signed the issued token |
/// | `granted_exp` | the expiry of the issued token, in seconds since 1970 |
/// | `issued_token_jti` | the `jti` claim of the token that the client introspects or revokes |
/// | `issued_token_client_id` | the client that this token was issued to |
/// | `issued_token_sub` | the `sub` claim of this token |
/// | `issued_token_exp` | the expiry of this token, in seconds since 1970 |
/// | `active` | the answer to an introspection |
/// | `alarm` | `true` if an operator must look at once ([`Reason::is_alarm`](crate::Reason::is_alarm)) |
/// | `request_id` | the header `X-Request-Id` ([`AuditEvent::request_id`]) |
/// | `trace_id` | the trace id of the header `traceparent` ([`AuditEvent::trace_id`]) |
/// | `duration_us` | the duration of the attempt, in microseconds |
///
/// If another sink does not take an event, the layer logs the event with the same fields. One log line before that event,
/// at the level `ERROR`, has the cause in the field `problem`.
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
            count = $event.count,
            operation = $event.operation.as_str(),
            client_address = $event.client_address.map(tracing::field::display),
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
            issued_token_jti = $event.issued_token.as_ref().and_then(|token| token.jti.as_ref()).map(|jti| jti.as_str()),
            issued_token_client_id =
                $event.issued_token.as_ref().and_then(|token| token.client_id.as_ref()).map(|client_id| client_id.as_str()),
            issued_token_sub = $event.issued_token.as_ref().and_then(|token| token.sub.as_deref()),
            issued_token_exp = $event.issued_token.as_ref().and_then(|token| token.exp).map(|exp| exp.seconds()),
            active = $event.active,
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
        Outcome::Issued | Outcome::Introspected | Outcome::Revoked | Outcome::Allowed => emit!(info, event),
        Outcome::Denied => emit!(warn, event),
        Outcome::Error => emit!(error, event),
    }
}
