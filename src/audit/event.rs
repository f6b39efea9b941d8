use super::{Outcome, Stage, request_ids::RequestIds};
use crate::{
    client_auth::AuthenticationMethod,
    policy::{Semantics, ShadowOutcome},
    protocol::{ClientId, ErrorCode, IssuerId, NumericDate, Reason, Scope, TargetId, TokenId, TokenType},
    records::Party,
};
use serde::{Serialize, Serializer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What happened at one attempt to exchange a token.
///
/// No token and no secret is in it. Texts from outside are escaped and cut off after 256 characters. What was
/// only claimed and what was verified stand in different fields: `claimed_client_id` and `requested` are the
/// client's words, everything else was checked.
///
/// As JSON, with serde, a field without a value is `null`; codes and names are their texts. To test a sink of your own,
/// begin with [`AuditEvent::example`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The name of this event, unique.
    pub event_id: String,
    /// When the attempt began, in seconds since 1970.
    #[serde(serialize_with = "seconds_since_1970")]
    pub time: SystemTime,
    /// How long it took, in microseconds.
    #[serde(rename = "duration_us", serialize_with = "microseconds")]
    pub duration: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// The last stage that it reached.
    pub stage: Stage,
    /// The `error` that the client was told.
    pub error: Option<ErrorCode>,
    /// Why it was refused: a code of [`Reason`].
    pub reason: Option<Reason>,
    /// More about why.
    pub detail: Option<String>,
    /// The client that the request says it comes from.
    pub claimed_client_id: Option<String>,
    /// The client that it comes from.
    pub client_id: Option<ClientId>,
    /// How the client proved it.
    pub auth_method: Option<AuthenticationMethod>,
    /// What was asked for.
    pub requested: Requested,
    /// The subject.
    pub subject: Option<Party>,
    /// The subject token.
    pub subject_token: Option<TokenFacts>,
    /// Who acts.
    pub actor: Option<Party>,
    /// The actor token.
    pub actor_token: Option<TokenFacts>,
    /// Whether it is a delegation or an impersonation.
    pub semantics: Option<Semantics>,
    /// The actors that the token names, or would have named, the current one first; none in an impersonation, and none
    /// before that was decided.
    pub act: Vec<Party>,
    /// The number of these actors.
    pub act_depth: Option<usize>,
    /// What the policy said allowed it.
    pub policy_id: Option<String>,
    /// What the policy would have decided with its rules on trial
    /// ([`Rule::shadow`](crate::policy::Rule::shadow)), if that is something else: such as `would deny: rule 3`.
    pub shadow: Option<ShadowOutcome>,
    /// What was issued.
    pub granted: Option<Granted>,
    /// Whether somebody must look at once: a part tried to grant more than it may ([`Reason::is_alarm`]).
    pub alarm: bool,
    /// The value of the header `X-Request-Id`, if the request has exactly one, of 1 to 128 visible ASCII characters.
    ///
    /// The client may have chosen the value, unless an outer layer or a proxy sets the header.
    pub request_id: Option<String>,
    /// The trace id of the header `traceparent` (W3C Trace Context), if the request has exactly one that is well-formed:
    /// 32 hexadecimal digits in lower case.
    ///
    /// The client may have chosen the value, unless an outer layer or a proxy sets the header.
    pub trace_id: Option<String>,
}

impl AuditEvent {
    /// Of an attempt that begins: nothing is known yet.
    pub(super) fn new(event_id: String, time: SystemTime, ids: RequestIds) -> Self {
        Self {
            event_id,
            time,
            duration: Duration::ZERO,
            outcome: Outcome::Error,
            stage: Stage::Request,
            error: None,
            reason: None,
            detail: None,
            claimed_client_id: None,
            client_id: None,
            auth_method: None,
            requested: Requested::default(),
            subject: None,
            subject_token: None,
            actor: None,
            actor_token: None,
            semantics: None,
            act: Vec::new(),
            act_depth: None,
            policy_id: None,
            shadow: None,
            granted: None,
            alarm: false,
            request_id: ids.request_id,
            trace_id: ids.trace_id,
        }
    }
}

/// The client's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Requested {
    /// `resource` and `audience` values.
    pub targets: Vec<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `requested_token_type`.
    pub token_type: Option<String>,
    /// `subject_token_type`.
    pub subject_token_type: Option<String>,
    /// `actor_token_type`.
    pub actor_token_type: Option<String>,
}

/// A token that was handed in and found good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenFacts {
    /// The declared type.
    pub token_type: TokenType,
    /// Its issuer.
    pub iss: IssuerId,
    /// Its name, if it has one.
    pub jti: Option<TokenId>,
    /// When it expires.
    pub exp: NumericDate,
}

/// What was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Granted {
    /// The ids of the targets' records.
    pub targets: Vec<TargetId>,
    /// The `sub` of the issued token.
    pub sub: String,
    /// The scope.
    pub scope: Scope,
    /// The type.
    pub token_type: TokenType,
    /// The name of the issued token.
    pub jti: TokenId,
    /// The key that signed it.
    pub kid: String,
    /// When it expires.
    pub exp: NumericDate,
}

fn seconds_since_1970<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}

fn microseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
