use http::StatusCode;
use std::fmt;

/// The `error` of a token endpoint's answer (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `invalid_request`: malformed, or a token that is not good (RFC 8693 section 2.2.2).
    InvalidRequest,
    /// `invalid_client`: the client is not who it says.
    InvalidClient,
    /// `unauthorized_client`: the client may not use this grant.
    UnauthorizedClient,
    /// `unsupported_grant_type`.
    UnsupportedGrantType,
    /// `invalid_scope`: malformed, too much, or nothing left.
    InvalidScope,
    /// `invalid_target`: malformed, unknown, not allowed or missing (RFC 8707 section 2).
    InvalidTarget,
    /// `invalid_dpop_proof` (RFC 9449 section 5).
    InvalidDpopProof,
    /// `server_error`: something here is broken.
    ServerError,
    /// `temporarily_unavailable`: something here cannot be asked now.
    TemporarilyUnavailable,
}

impl ErrorCode {
    /// The code as it stands in the answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// One wording for all refusals between which an outsider must not be able to tell.
const BAD_FORM: &str = "the request is malformed";
const BAD_CLIENT: &str = "client authentication failed";
const BAD_SUBJECT_OR_ACTOR: &str = "the subject token or the actor token is not acceptable";
const BAD_TARGET: &str = "the target is not acceptable";
const BAD_SCOPE: &str = "the scope is not acceptable";
const BROKEN: &str = "the server could not complete the request";
const UNAVAILABLE: &str = "the server cannot answer now; try again later";

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $error:ident, $description:expr $(, $status:ident)?;)+) => {
        /// Why an attempt was refused: for audit, metrics and outer layers, never for the client.
        ///
        /// The layer puts it into the extensions of every error response that it makes. The codes are stable.
        ///
        /// ```
        /// use tower_token_exchange::{ErrorCode, Reason};
        ///
        /// assert_eq!(Reason::TokenExpired.code(), "token_expired");
        /// assert_eq!(Reason::TokenExpired.error(), ErrorCode::InvalidRequest);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code, in `snake_case`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The `error` that the client is told.
            pub const fn error(self) -> ErrorCode {
                match self { $(Self::$name => ErrorCode::$error,)+ }
            }

            /// The `error_description` that the client is told: one fixed text for each class.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $description,)+ }
            }

            /// The status of the answer. A refused client that tried an `Authorization` header gets 401 instead.
            pub const fn status(self) -> StatusCode {
                match self {
                    $($(Self::$name => StatusCode::$status,)?)+
                    other => other.error().status(),
                }
            }
        }
    };
}

reasons! {
    /// The exchange grant stood in the query string (RFC 6749 section 3.2 wants it in the body).
    GrantInQuery = "grant_in_query", InvalidRequest, "token parameters belong in the body of a POST request";
    /// Guard mode: the exchange grant stood in a form that did not come with `POST`.
    GrantInOtherMethod = "grant_in_other_method", InvalidRequest, "token parameters belong in the body of a POST request";
    /// Guard mode: the exchange grant came to another spelling of the endpoint's path.
    GrantAtOtherPath = "grant_at_other_path", InvalidRequest, "token requests belong at the token endpoint";
    /// Guard mode: the exchange grant stood in a JSON body.
    GrantInJson = "grant_in_json", InvalidRequest, "token parameters belong in a form";
    /// Guard mode: a body that cannot be read as a form or as JSON.
    BodyUnreadable = "body_unreadable", InvalidRequest, "the body must be a form", UNSUPPORTED_MEDIA_TYPE;
    /// The body is larger than the limit.
    BodyTooLarge = "body_too_large", InvalidRequest, "the request is too large", PAYLOAD_TOO_LARGE;
    /// The body came in more pieces than the limit.
    TooManyFrames = "too_many_frames", InvalidRequest, "the request is too large", PAYLOAD_TOO_LARGE;
    /// The body did not come within the deadline.
    BodyTooSlow = "body_too_slow", InvalidRequest, "the request came too slowly", REQUEST_TIMEOUT;
    /// A broken escape, not UTF-8, or a control character.
    MalformedForm = "malformed_form", InvalidRequest, BAD_FORM;
    /// More than 64 parameters.
    TooManyParameters = "too_many_parameters", InvalidRequest, "too many parameters";
    /// A parameter other than `resource` and `audience` came twice.
    RepeatedParameter = "repeated_parameter", InvalidRequest, "a parameter is repeated";
    /// No `grant_type` under its exact name.
    GrantTypeMissing = "grant_type_missing", InvalidRequest, "grant_type is missing";
    /// The `grant_type` only resembles token exchange.
    UnsupportedGrantType = "unsupported_grant_type", UnsupportedGrantType, "the grant type is not supported";
    /// No `subject_token`.
    SubjectTokenMissing = "subject_token_missing", InvalidRequest, "subject_token and subject_token_type are required";
    /// No `subject_token_type`.
    SubjectTokenTypeMissing = "subject_token_type_missing", InvalidRequest, "subject_token and subject_token_type are required";
    /// One of `actor_token` and `actor_token_type` without the other.
    ActorParametersUnpaired = "actor_parameters_unpaired", InvalidRequest, "actor_token and actor_token_type come only together";
    /// A token of more than 64 KiB.
    TokenTooLarge = "token_too_large", InvalidRequest, BAD_SUBJECT_OR_ACTOR;

    /// The client said nothing about who it is.
    ClientCredentialsMissing = "client_credentials_missing", InvalidClient, BAD_CLIENT;
    /// The `Authorization` header cannot be read.
    ClientCredentialsMalformed = "client_credentials_malformed", InvalidClient, BAD_CLIENT;
    /// More than one way of client authentication.
    SeveralClientCredentials = "several_client_credentials", InvalidRequest, "more than one client authentication method";
    /// The `Authorization` scheme is not Basic.
    ClientSchemeUnsupported = "client_scheme_unsupported", InvalidClient, BAD_CLIENT;
    /// A `client_assertion`, which is not supported.
    ClientAssertionUnsupported = "client_assertion_unsupported", InvalidClient, BAD_CLIENT;
    /// No such client, or not its secret.
    ClientRejected = "client_rejected", InvalidClient, BAD_CLIENT;
    /// `client_id` in the body names another client than the one that authenticated.
    ClientIdMismatch = "client_id_mismatch", InvalidRequest, "client_id does not match the authenticated client";
    /// The client is known, but not for this grant.
    GrantNotAllowed = "grant_not_allowed", UnauthorizedClient, "the client may not use this grant";
    /// A `DPoP` proof, which is not supported.
    DpopUnsupported = "dpop_unsupported", InvalidDpopProof, "DPoP is not supported";

    /// A `subject_token_type` that this client or server does not take.
    SubjectTokenTypeUnsupported = "subject_token_type_unsupported", InvalidRequest, "the token type is not supported";
    /// An `actor_token_type` that this server does not take.
    ActorTokenTypeUnsupported = "actor_token_type_unsupported", InvalidRequest, "the token type is not supported";
    /// A `requested_token_type` that this client cannot have.
    RequestedTokenTypeUnsupported = "requested_token_type_unsupported", InvalidRequest, "the requested token type is not supported";
    /// A `resource` or `audience` that cannot be a name.
    TargetMalformed = "target_malformed", InvalidTarget, BAD_TARGET;
    /// No target record has this name.
    TargetUnknown = "target_unknown", InvalidTarget, BAD_TARGET;
    /// The target's record does not list this client, or the client's record not this target.
    TargetNotAllowed = "target_not_allowed", InvalidTarget, BAD_TARGET;
    /// No target, and the client has no default.
    TargetMissing = "target_missing", InvalidTarget, BAD_TARGET;
    /// More targets than the limit.
    TooManyTargets = "too_many_targets", InvalidTarget, BAD_TARGET;
    /// `scope` is not a scope list.
    ScopeMalformed = "scope_malformed", InvalidScope, BAD_SCOPE;
    /// Strict mode: more was asked than can be granted.
    ScopeExceeded = "scope_exceeded", InvalidScope, BAD_SCOPE;
    /// Nothing of what was asked can be granted.
    ScopeEmpty = "scope_empty", InvalidScope, BAD_SCOPE;

    /// Not a compact JWS whose header is one JSON object, and no issuer can be asked what else it is.
    TokenMalformed = "token_malformed", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A header without `alg`, of more than 8 KiB, or with a member of the wrong type or length.
    TokenHeaderMalformed = "token_header_malformed", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A header with `crit` or `b64`: something that must be understood and is not.
    TokenHeaderCritical = "token_header_critical", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// An encrypted token (`enc`, `zip`).
    TokenEncrypted = "token_encrypted", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A token that holds another (`cty`).
    TokenNested = "token_nested", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The claims are not one JSON object, without duplicate members and at most 16 levels deep.
    TokenClaimsMalformed = "token_claims_malformed", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// An algorithm outside the issuer's list.
    TokenAlgorithmRefused = "token_algorithm_refused", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The token does not say who issued it.
    TokenIssuerMissing = "token_issuer_missing", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// No record for the token's issuer.
    TokenIssuerUnknown = "token_issuer_unknown", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The issuer has no key that fits.
    TokenKeyUnknown = "token_key_unknown", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The signature does not verify.
    TokenSignatureInvalid = "token_signature_invalid", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// No `sub`, or one that is no name: empty, not text, over 1024 bytes, or with characters that cannot be read.
    TokenSubjectInvalid = "token_subject_invalid", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// No `exp`.
    TokenExpiryMissing = "token_expiry_missing", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A claim of the wrong type or out of its range.
    TokenClaimsInvalid = "token_claims_invalid", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `exp` has passed.
    TokenExpired = "token_expired", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `nbf` is still to come.
    TokenNotYetValid = "token_not_yet_valid", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `iat` is in the future.
    TokenIssuedInFuture = "token_issued_in_future", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `iat` is longer ago than the issuer's record allows, or missing where it must not be.
    TokenTooOld = "token_too_old", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The issuer's record does not take tokens of the declared type from it.
    TokenTypeNotAccepted = "token_type_not_accepted", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The header's `typ` is none of those that the issuer's record demands.
    TokenTypRefused = "token_typ_refused", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A claim that the issuer's record demands is missing or has another value.
    TokenClaimRequired = "token_claim_required", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A claim that the issuer's record forbids.
    TokenClaimForbidden = "token_claim_forbidden", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// No tenant, or one that the issuer's record does not list.
    TokenTenantRefused = "token_tenant_refused", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The issuer says that the token is not active (RFC 7662 section 2.2).
    TokenInactive = "token_inactive", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The token verifier says that the token is not genuine.
    TokenVerifierRejected = "token_verifier_rejected", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The token is of another kind than was declared.
    TokenTypeConfused = "token_type_confused", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A foreign issuer's token whose `aud` does not name us.
    TokenNotForUs = "token_not_for_us", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A sender-constrained token (`cnf`), which is not supported.
    TokenSenderConstrained = "token_sender_constrained", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A token with `authorization_details`, which are not supported.
    AuthorizationDetailsUnsupported = "authorization_details_unsupported", InvalidRequest, BAD_SUBJECT_OR_ACTOR;

    /// The token names no audience.
    PresenterUnknown = "presenter_unknown", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A token of a tenant that the client does not work for.
    TenantMismatch = "tenant_mismatch", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The client has no relation to the subject token.
    PresenterUnrelated = "presenter_unrelated", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// A subject token with several audiences, which the client's record does not allow.
    SeveralAudiences = "several_audiences", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The foreign `sub` cannot become one of ours.
    SubjectNotMapped = "subject_not_mapped", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The issuer's record does not let it say who acts.
    ActorIssuerNotTrusted = "actor_issuer_not_trusted", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The actor is neither the client nor one that it carries.
    ActorNotCarried = "actor_not_carried", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The actor token is itself a delegated one.
    ActorDelegated = "actor_delegated", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// Actor and subject are the same party.
    ActorIsSubject = "actor_is_subject", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The actor already stands deeper in the chain.
    ActorRepeated = "actor_repeated", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `act` is not a chain of objects that name parties.
    ChainMalformed = "chain_malformed", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `act` from an issuer whose record does not let it assert one.
    ChainNotTrusted = "chain_not_trusted", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The chain would be deeper or larger than the limit.
    ChainTooDeep = "chain_too_deep", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `may_act` is not an object that names a party.
    MayActMalformed = "may_act_malformed", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// `may_act` names somebody else.
    MayActMismatch = "may_act_mismatch", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// Impersonation of a subject whose token, or request, names an actor.
    ImpersonationImpossible = "impersonation_impossible", InvalidRequest, BAD_SUBJECT_OR_ACTOR;

    /// The status check says that one of the parties is not good any more.
    StatusRefused = "status_refused", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The status check could not be asked.
    StatusUnavailable = "status_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The status check panicked.
    StatusPanicked = "status_panicked", ServerError, BROKEN;
    /// No rule of the policy allows it.
    PolicyNoRule = "policy_no_rule", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The policy refused.
    PolicyDenied = "policy_denied", InvalidRequest, BAD_SUBJECT_OR_ACTOR;
    /// The policy granted more than the ceiling: a defect of the policy.
    PolicyWidened = "policy_widened", ServerError, BROKEN;
    /// The policy could not be asked.
    PolicyUnavailable = "policy_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The policy panicked.
    PolicyPanicked = "policy_panicked", ServerError, BROKEN;
    /// The client authenticator could not be asked.
    AuthenticatorUnavailable = "authenticator_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The client authenticator panicked.
    AuthenticatorPanicked = "authenticator_panicked", ServerError, BROKEN;
    /// The issuer's keys could not be had.
    IssuerKeysUnavailable = "issuer_keys_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The issuer could not be asked what a token means.
    IntrospectionUnavailable = "introspection_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The token verifier could not be asked.
    TokenVerifierUnavailable = "token_verifier_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The token verifier panicked.
    TokenVerifierPanicked = "token_verifier_panicked", ServerError, BROKEN;
    /// The signer could not be asked.
    SignerUnavailable = "signer_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The signer panicked.
    SignerPanicked = "signer_panicked", ServerError, BROKEN;
    /// The signer's answer is not a signature of its key.
    SignatureRefused = "signature_refused", ServerError, BROKEN;
    /// The audit sink did not take the event of an issued token, so the token was withheld.
    AuditUnavailable = "audit_unavailable", TemporarilyUnavailable, UNAVAILABLE;
    /// The whole exchange took longer than its deadline.
    DeadlineExceeded = "deadline_exceeded", TemporarilyUnavailable, UNAVAILABLE;
    /// A defect of this crate.
    Internal = "internal", ServerError, BROKEN;
    /// The client went away before it had an answer.
    ClientGone = "client_gone", TemporarilyUnavailable, UNAVAILABLE;
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A refusal on its way out: the reason, and for the operator's eyes what exactly was found.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    reason: Reason,
    detail: Option<String>,
    challenge: bool,
}

/// The short way to a [`Rejection`].
pub(crate) fn refuse(reason: Reason) -> Rejection {
    Rejection { reason, detail: None, challenge: false }
}

impl Rejection {
    /// Says more, to the audit only. Never give it a token or a secret.
    pub(crate) fn because(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(escaped(&detail.to_string()));
        self
    }

    /// The client tried an `Authorization` header, so HTTP wants 401 and a challenge (RFC 6749 section 5.2).
    pub(crate) fn challenged(mut self) -> Self {
        self.challenge = true;
        self
    }

    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    pub(crate) fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    pub(crate) fn challenges(&self) -> bool {
        self.challenge && matches!(self.reason.error(), ErrorCode::InvalidClient)
    }
}

/// Makes a text from outside fit for a log line: escaped, and at most 256 characters.
pub(crate) fn escaped(text: &str) -> String {
    const MAX: usize = 256;
    let plain = |c: char| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric();
    let mut safe = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX {
            safe.push('…');
            break;
        }
        if plain(c) { safe.push(c) } else { safe.extend(c.escape_unicode()) }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_in_snake_case() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
    }

    #[test]
    fn what_the_client_is_told_fits_the_grammar_of_rfc_6749_section_5_2() {
        for reason in Reason::ALL {
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(reason.description().bytes().all(allowed), "{reason}");
            assert!(reason.error().as_str().bytes().all(allowed), "{reason}");
        }
    }

    #[test]
    fn log_lines_cannot_be_forged() {
        assert_eq!(escaped("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
        assert_eq!(escaped(&"x".repeat(1000)).chars().count(), 257);
    }
}
