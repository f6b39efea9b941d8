use super::{ErrorCode, ReasonClass, Rejection};
use http::StatusCode;

/// The `error` codes and statuses of refusals, for a layer that replaces another server whose clients depend on that
/// server's answers.
///
/// A profile maps whole [`ReasonClass`]es and never a single reason: a code for a single reason would tell an attacker
/// which check failed. For the same reason, answer [`Token`](ReasonClass::Token) and [`Denied`](ReasonClass::Denied) with
/// the same code if your clients permit. Different codes tell the holder of a stolen token that the token is genuine.
///
/// A profile changes only the `error` and the status. The [`Reason`](crate::Reason) and the description stay. The audit
/// event has the `error` of the answer. The classes [`Request`](ReasonClass::Request), [`Client`](ReasonClass::Client),
/// [`StepUp`](ReasonClass::StepUp) and [`Failure`](ReasonClass::Failure) cannot be mapped.
///
/// ```
/// use tower_token_exchange::error::{ErrorCode, ErrorProfile, ReasonClass};
///
/// // The codes of draft-mcguinness-oauth-actor-profile.
/// let profile = ErrorProfile::rfc8693()
///     .answer_for(ReasonClass::Token, ErrorCode::InvalidGrant)
///     .answer_for(ReasonClass::Denied, ErrorCode::ActorUnauthorized);
/// # let _ = profile;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "give it to `TokenExchangeBuilder::error_profile`"]
pub struct ErrorProfile {
    preset: &'static [Mapping],
    /// Mappings that take precedence over the preset.
    given: Vec<Mapping>,
}

type Mapping = (ReasonClass, ErrorCode, StatusCode);

const KEYCLOAK: &[Mapping] = &[
    (ReasonClass::Grant, ErrorCode::InvalidRequest, StatusCode::BAD_REQUEST),
    (ReasonClass::Target, ErrorCode::InvalidRequest, StatusCode::BAD_REQUEST),
    (ReasonClass::Denied, ErrorCode::AccessDenied, StatusCode::FORBIDDEN),
];
const SPRING: &[Mapping] = &[
    (ReasonClass::Token, ErrorCode::InvalidGrant, StatusCode::BAD_REQUEST),
    (ReasonClass::Denied, ErrorCode::InvalidGrant, StatusCode::BAD_REQUEST),
];
const OKTA: &[Mapping] = &[
    (ReasonClass::Token, ErrorCode::InvalidGrant, StatusCode::BAD_REQUEST),
    (ReasonClass::Denied, ErrorCode::AccessDenied, StatusCode::BAD_REQUEST),
];

impl ErrorProfile {
    /// The default profile: the answers of RFC 8693 section 2.2.2, RFC 8707 section 2 and RFC 6749 section 5.2.
    pub fn rfc8693() -> Self {
        Self::default()
    }

    /// The answers of Keycloak's standard token exchange (version 26).
    ///
    /// This profile differs from the default in three classes:
    ///
    /// * [`Denied`](ReasonClass::Denied): 403 `access_denied`, as Keycloak answers if the client is not in the token's
    ///   audience. This answer tells the client that the token is genuine.
    /// * [`Grant`](ReasonClass::Grant): 400 `invalid_request`, as Keycloak answers if the exchange is not enabled for the
    ///   client.
    /// * [`Target`](ReasonClass::Target): 400 `invalid_request`, as Keycloak answers if the audience is not available. For
    ///   an audience that does not exist, Keycloak answers `invalid_client`; this profile does not make that difference.
    ///
    /// The source is `StandardTokenExchangeProvider` and `AbstractTokenExchangeProvider` in the code of Keycloak.
    pub fn keycloak() -> Self {
        Self { preset: KEYCLOAK, given: Vec::new() }
    }

    /// The answers of Spring Authorization Server (since version 1.3, and in Spring Security 7).
    ///
    /// This profile differs from the default in two classes: [`Token`](ReasonClass::Token) and
    /// [`Denied`](ReasonClass::Denied) are answered with 400 `invalid_grant`, as Spring answers if a token is unknown or
    /// not active, or if `may_act` names another party.
    ///
    /// The source is `OAuth2TokenExchangeAuthenticationProvider` in the code of Spring.
    pub fn spring() -> Self {
        Self { preset: SPRING, given: Vec::new() }
    }

    /// The answers of Okta.
    ///
    /// This profile differs from the default in two classes: [`Token`](ReasonClass::Token) is answered with 400
    /// `invalid_grant`, and [`Denied`](ReasonClass::Denied) with 400 `access_denied`, as Okta answers if an access policy
    /// refuses. If the subject token does not meet a sign-on policy, Okta answers `invalid_grant`; this profile does not
    /// make that difference.
    ///
    /// The source is the documentation of Okta's token endpoint.
    pub fn okta() -> Self {
        Self { preset: OKTA, given: Vec::new() }
    }

    /// Answers all reasons of a class with this `error` and the status 400. The answer replaces the answer of a preset.
    ///
    /// # Errors
    /// [`build`](crate::TokenExchangeBuilder::build) fails if the class cannot be mapped, if the `error` means something
    /// else to a client, such as `server_error`, or if a class gets two different answers.
    pub fn answer_for(self, class: ReasonClass, error: ErrorCode) -> Self {
        self.answer_with(class, error, StatusCode::BAD_REQUEST)
    }

    /// Answers all reasons of a class with this `error` and a status of 400, 401 or 403.
    ///
    /// The status 401 comes with a challenge, as HTTP demands (RFC 9110 section 15.5.2). Some client libraries do not show
    /// the `error` of an answer with a challenge.
    ///
    /// # Errors
    /// [`build`](crate::TokenExchangeBuilder::build) fails for the reasons given at [`answer_for`](Self::answer_for), and
    /// for any other status.
    pub fn answer_with(mut self, class: ReasonClass, error: ErrorCode, status: StatusCode) -> Self {
        self.given.push((class, error, status));
        self
    }

    /// The first mistake in the profile, as *what is wrong; what to do*.
    pub(crate) fn problem(&self) -> Option<String> {
        self.given.iter().enumerate().find_map(|(position, (class, error, status))| {
            let before = &self.given[..position];
            if before.iter().any(|answer| answer.0 == *class && *answer != (*class, *error, *status)) {
                return Some(format!("the class `{class}` has two answers; remove one"));
            }
            match class {
                ReasonClass::Grant | ReasonClass::Target | ReasonClass::Scope => {}
                ReasonClass::Token | ReasonClass::Denied => {}
                ReasonClass::Request | ReasonClass::Client => {
                    return Some(format!("RFC 6749 section 5.2 fixes the answer for the class `{class}`; remove this answer"));
                }
                ReasonClass::StepUp => {
                    return Some("RFC 9470 section 3 fixes the answer for the class `step_up`; remove this answer".to_owned());
                }
                ReasonClass::Access => {
                    return Some("RFC 6750 section 3 fixes the answer for the class `access`; remove this answer".to_owned());
                }
                ReasonClass::Failure => return Some("a failure of the server cannot be answered as a refusal; remove the answer for the class `failure`".to_owned()),
            }
            if !error.is_for_profiles() {
                return Some(format!("the error `{error}` means something else to a client; choose another error for the class `{class}`"));
            }
            let allowed = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
            (!allowed.contains(status))
                .then(|| format!("the status {} is not allowed for the class `{class}`; use 400, 401 or 403", status.as_u16()))
        })
    }

    /// Sets the answer of a refusal to the answer of this profile.
    pub(crate) fn applied_to(&self, rejection: Rejection) -> Rejection {
        let class = rejection.reason().class();
        match self.given.iter().chain(self.preset).find(|answer| answer.0 == class) {
            Some((_, error, status)) => rejection.with_answer(*error, *status),
            None => rejection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_obeys_the_rules_for_profiles() {
        for preset in [ErrorProfile::rfc8693(), ErrorProfile::keycloak(), ErrorProfile::spring(), ErrorProfile::okta()]
        {
            let given = ErrorProfile { preset: &[], given: preset.preset.to_vec() };
            assert_eq!(given.problem(), None, "{preset:?}");
        }
    }
}
