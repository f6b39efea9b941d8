use super::{Operation, Outcome, Stage};
use crate::{
    client_auth::AuthenticationMethod,
    policy::{Semantics, ShadowOutcome},
    proof::{Binding, Outcome as BindingOutcome},
    protocol::{ClientId, ErrorCode, IssuerId, KeyId, NumericDate, Reason, Scope, TargetId, TokenId, TokenType},
    records::{Party, SubjectId},
};
use serde::{Serialize, Serializer};
use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The record of one attempt to exchange, introspect or revoke a token, of a refused attempt to use a resource, or of several
/// equal attempts ([`count`](Self::count)).
///
/// An event contains no token and no secret, wherever the client wrote them. A text that the client chose is in clear only if
/// a record has exactly this text and the text has 128 bytes or less. Of every other text, the event has the length and a
/// hash, such as `[12 characters, hash mJpX2kq0Vw7cT3aB]`. Equal texts have equal hashes until the process ends. The key of
/// the hash is random, so the hash does not help to guess the text. A text from a token that was verified is escaped and
/// cut off after 256 characters.
///
/// [`claimed_client_id`](Self::claimed_client_id), [`requested`](Self::requested), [`request_id`](Self::request_id) and
/// [`trace_id`](Self::trace_id) are claims of the sender, without proof. The layer has checked every other field.
///
/// As a line of JSON, an event of a client that was not authenticated has at most 1 KiB, unless a part of the application,
/// such as a client authenticator, adds a long [`detail`](Self::detail).
///
/// A field is `None` if the attempt ended before the layer knew the value, or if the value does not exist.
///
/// With serde, a field without a value is `null`, and an enum is its name. Names and values are stable.
/// [`AuditEvent::example`] returns an event for the unit tests of a sink.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AuditEvent {
    /// The unique id of the event.
    pub event_id: String,
    /// The time at which the attempt began, or the first of several. With serde: seconds since 1970, with fractions.
    #[serde(serialize_with = "seconds_since_1970")]
    pub time: SystemTime,
    /// The duration of the attempt, without the time that the audit sink takes, or the mean of several. With serde:
    /// microseconds, in the field `duration_us`.
    #[serde(rename = "duration_us", serialize_with = "microseconds")]
    pub duration: Duration,
    /// The number of attempts that the event stands for: 1, unless the [`AuditBudget`](super::AuditBudget) was used up. The
    /// sum over all events is the number of attempts.
    ///
    /// An event that the budget left no room for is part of a later event with their number. Such a summary has only the
    /// fields `time`, `duration`, `count`, `operation`, `outcome`, `stage`, `error` and `reason`.
    pub count: u64,
    /// What the request asked for.
    pub operation: Operation,
    /// The network address of the client: [`ClientAddress`](crate::client_auth::ClientAddress) in the extensions of the
    /// request. `None` if no outer layer sets the address.
    pub client_address: Option<IpAddr>,
    /// The result.
    pub outcome: Outcome,
    /// The last stage that the attempt reached.
    pub stage: Stage,
    /// The `error` in the answer to the client. `None` if the request was not refused or the client closed the connection.
    pub error: Option<ErrorCode>,
    /// The reason of the refusal. `None` if the request was not refused.
    pub reason: Option<Reason>,
    /// The particulars of the reason, such as the name of a claim. The text is for a person and may change.
    pub detail: Option<String>,
    /// The client id in the request, without proof.
    pub claimed_client_id: Option<String>,
    /// The authenticated client. For a request to a resource server: the client that the access token was issued to.
    pub client_id: Option<ClientId>,
    /// The method that authenticated the client.
    pub auth_method: Option<AuthenticationMethod>,
    /// What the client proved to possess: the key of a DPoP proof, and the certificate of the client.
    pub proven: Option<Binding>,
    /// The parameters of a token exchange request. Empty until the client is authenticated.
    pub requested: Requested,
    /// The subject: the party on whose behalf the client acts.
    pub subject: Option<Party>,
    /// The subject by the name that its foreign issuer uses, if an earlier exchange gave the subject its name in the subject
    /// token.
    pub subject_origin: Option<Party>,
    /// The subject token. For a request to a resource server: the access token.
    pub subject_token: Option<TokenFacts>,
    /// The actor: the party that acts. Without an actor token, the client is the actor.
    pub actor: Option<Party>,
    /// The actor token.
    pub actor_token: Option<TokenFacts>,
    /// Whether the policy allowed a delegation or an impersonation.
    pub semantics: Option<Semantics>,
    /// The actors in the `act` claim of the token, the current actor first. Empty for an impersonation, and before the
    /// policy has decided.
    pub act: Vec<Party>,
    /// The number of actors in `act`.
    pub act_depth: Option<usize>,
    /// The name that the policy gave for its grant, such as the id of a rule.
    pub policy_id: Option<String>,
    /// The decision that the policy would make if its shadow rules were in force
    /// ([`Rule::shadow`](crate::policy::Rule::shadow)). `None` if that decision is the same decision. With serde: a text
    /// such as `would deny: rule 3`.
    pub shadow: Option<ShadowOutcome>,
    /// What became of the binding of the subject token. `None` until the policy has decided.
    pub binding: Option<BindingOutcome>,
    /// The issued token.
    pub granted: Option<Granted>,
    /// The token that the client introspects or revokes.
    pub issued_token: Option<IssuedTokenFacts>,
    /// The answer to an introspection: whether the token is active and the client may know the token.
    pub active: Option<bool>,
    /// Whether an operator must look at this event at once: a part tried to grant more than the part may
    /// ([`Reason::is_alarm`]), or a bearer token was issued for a bound token ([`BindingOutcome::Released`]).
    pub alarm: bool,
    /// The header `X-Request-Id`, if the request has exactly one such header, of 1 to 128 visible ASCII characters.
    ///
    /// The id is in clear if the id is a UUID or another hexadecimal number of at most 36 characters, and no parameter and
    /// no credentials of the request contain the number. Of every other id, the event has the length and a hash.
    ///
    /// The client may have chosen the value, unless an outer layer or a proxy sets the header.
    pub request_id: Option<String>,
    /// The trace id of the header `traceparent` (W3C Trace Context), if the request has exactly one such header and the
    /// header is well-formed: 32 hexadecimal digits in lower case.
    ///
    /// The client may have chosen the value, unless an outer layer or a proxy sets the header.
    pub trace_id: Option<String>,
}

impl AuditEvent {
    /// Returns the event of an attempt that has just begun.
    pub(super) fn new(event_id: String, time: SystemTime, operation: Operation) -> Self {
        Self {
            event_id,
            time,
            duration: Duration::ZERO,
            count: 1,
            operation,
            client_address: None,
            outcome: Outcome::Error,
            stage: Stage::Request,
            error: None,
            reason: None,
            detail: None,
            claimed_client_id: None,
            client_id: None,
            auth_method: None,
            proven: None,
            requested: Requested::default(),
            subject: None,
            subject_origin: None,
            subject_token: None,
            actor: None,
            actor_token: None,
            semantics: None,
            act: Vec::new(),
            act_depth: None,
            policy_id: None,
            shadow: None,
            binding: None,
            granted: None,
            issued_token: None,
            active: None,
            alarm: false,
            request_id: None,
            trace_id: None,
        }
    }
}

/// The parameters of a token exchange request. A text that no record has is described by its length and a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Requested {
    /// The values of `resource` and `audience` that name a target record, in this order, at most 16. The last element
    /// describes all other values.
    pub targets: Vec<String>,
    /// The tokens of `scope` that a record has, at most 16, and then a description of all other tokens.
    pub scope: Option<String>,
    /// The value of `requested_token_type`.
    pub token_type: Option<String>,
    /// The value of `subject_token_type`.
    pub subject_token_type: Option<String>,
    /// The value of `actor_token_type`.
    pub actor_token_type: Option<String>,
}

/// A subject token or an actor token that the layer has validated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenFacts {
    /// The token type that the client declared.
    pub token_type: TokenType,
    /// The issuer of the token.
    pub iss: IssuerId,
    /// The `jti` of the token, if the token has a `jti`.
    pub jti: Option<TokenId>,
    /// The expiry of the token.
    pub exp: NumericDate,
    /// Whether the token is a subject token that may be exchanged once
    /// ([`Issuer::one_time_subject_tokens`](crate::Issuer::one_time_subject_tokens)). With serde: only if `true`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_time: bool,
    /// What the token is bound to. `None` for a bearer token, and for a `cnf` that the layer cannot check.
    pub binding: Option<Binding>,
}

/// A token of the layer that a client introspects or revokes. Its signature was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IssuedTokenFacts {
    /// The `jti` claim.
    pub jti: Option<TokenId>,
    /// The client that the token was issued to. `None` until the asking client is authenticated.
    pub client_id: Option<ClientId>,
    /// The `sub` claim. `None` until the asking client is authenticated.
    pub sub: Option<String>,
    /// The expiry. `None` until the asking client is authenticated.
    pub exp: Option<NumericDate>,
}

/// The issued token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Granted {
    /// The ids of the target records that the token is for.
    pub targets: Vec<TargetId>,
    /// The `sub` claim of the token.
    pub sub: SubjectId,
    /// The scope of the token.
    pub scope: Scope,
    /// The type of the token.
    pub token_type: TokenType,
    /// The `jti` claim of the token.
    pub jti: TokenId,
    /// The id of the key that signed the token.
    pub kid: KeyId,
    /// The expiry of the token.
    pub exp: NumericDate,
    /// What the token is bound to. `None` for a bearer token.
    pub binding: Option<Binding>,
}

fn seconds_since_1970<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}

fn microseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
