use super::{ErrorCode, ReasonClass, Rejection};
use http::StatusCode;

/// Which `error` and status a client is told, for a layer that takes the place of another server: clients that were
/// written for that one may act upon its answers.
///
/// It maps whole [`ReasonClass`]es, never one reason of a class alone: that would tell an attacker which it was. For
/// the same reason, answer [`Token`](ReasonClass::Token) and [`Denied`](ReasonClass::Denied) alike where you can. Told
/// apart, they say to whoever found or stole a token that it is genuine.
///
/// Only the answer changes. The [`Reason`](crate::Reason) stays the same, the descriptions too; the audit event has the
/// `error` that the client was told. What is wrong with a request or with the client's credentials is told as RFC 6749
/// section 5.2 says, and a failure of this server as a failure: those cannot be mapped.
///
/// ```
/// use tower_token_exchange::error::{ErrorCode, ErrorProfile, ReasonClass};
///
/// // As the actor profile draft (draft-mcguinness-oauth-actor-profile) has it.
/// let drafted = ErrorProfile::rfc8693()
///     .answer_for(ReasonClass::Token, ErrorCode::InvalidGrant)
///     .answer_for(ReasonClass::Denied, ErrorCode::ActorUnauthorized);
/// # let _ = drafted;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "give it to `TokenExchangeBuilder::error_profile`"]
pub struct ErrorProfile {
    preset: &'static [Answer],
    /// Goes before the preset.
    given: Vec<Answer>,
}

type Answer = (ReasonClass, ErrorCode, StatusCode);

const KEYCLOAK: &[Answer] = &[
    (ReasonClass::Grant, ErrorCode::InvalidRequest, StatusCode::BAD_REQUEST),
    (ReasonClass::Target, ErrorCode::InvalidRequest, StatusCode::BAD_REQUEST),
    (ReasonClass::Denied, ErrorCode::AccessDenied, StatusCode::FORBIDDEN),
];
const SPRING: &[Answer] = &[
    (ReasonClass::Token, ErrorCode::InvalidGrant, StatusCode::BAD_REQUEST),
    (ReasonClass::Denied, ErrorCode::InvalidGrant, StatusCode::BAD_REQUEST),
];
const OKTA: &[Answer] = &[
    (ReasonClass::Token, ErrorCode::InvalidGrant, StatusCode::BAD_REQUEST),
    (ReasonClass::Denied, ErrorCode::AccessDenied, StatusCode::BAD_REQUEST),
];

impl ErrorProfile {
    /// The answers of RFC 8693 section 2.2.2, RFC 8707 section 2 and RFC 6749 section 5.2; the default.
    pub fn rfc8693() -> Self {
        Self::default()
    }

    /// The answers of Keycloak's standard token exchange (version 26), where they differ:
    ///
    /// * a client that is not in the token's audience: 403 `access_denied`, here for all of
    ///   [`Denied`](ReasonClass::Denied). It tells that the token is genuine, as Keycloak does;
    /// * a client for which the exchange is not enabled: 400 `invalid_request`;
    /// * an audience that is not available: 400 `invalid_request`. For one that does not exist at all Keycloak says
    ///   `invalid_client`, which is not told apart here.
    ///
    /// As in RFC 8693 there: 400 `invalid_request` for a bad subject token, `invalid_scope`. Taken from
    /// `StandardTokenExchangeProvider` and `AbstractTokenExchangeProvider` of Keycloak's sources.
    pub fn keycloak() -> Self {
        Self { preset: KEYCLOAK, given: Vec::new() }
    }

    /// The answers of Spring Authorization Server (since 1.3, and in Spring Security 7), where they differ: 400
    /// `invalid_grant` for a subject token or an actor token that is unknown or not active, and for a `may_act` that
    /// names somebody else, so here for all of [`Token`](ReasonClass::Token) and [`Denied`](ReasonClass::Denied).
    ///
    /// As in RFC 8693 there: `unauthorized_client` for a client without this grant, `invalid_scope`. Taken from
    /// `OAuth2TokenExchangeAuthenticationProvider` of its sources.
    pub fn spring() -> Self {
        Self { preset: SPRING, given: Vec::new() }
    }

    /// The answers of Okta, where they differ: 400 `invalid_grant` for a token that is not good, as the reference of
    /// its token endpoint has it for every grant, and 400 `access_denied` where an access policy refuses ("Policy
    /// evaluation failed for this request"), here for all of [`Denied`](ReasonClass::Denied).
    ///
    /// A sign-on policy that the subject token does not meet is answered with `invalid_grant` there; that is not told
    /// apart here. What Okta answers to a target or to a client without this grant is as in RFC 8693, as far as it is
    /// documented.
    pub fn okta() -> Self {
        Self { preset: OKTA, given: Vec::new() }
    }

    /// Answers all reasons of a class with this `error`, and 400; in place of what a preset says.
    ///
    /// # Errors
    /// [`build`](crate::TokenExchangeBuilder::build) fails for a class that cannot be mapped, for an `error` that means
    /// something else to a client, such as `server_error`, and for a class that was given two answers.
    pub fn answer_for(self, class: ReasonClass, error: ErrorCode) -> Self {
        self.answer_with(class, error, StatusCode::BAD_REQUEST)
    }

    /// The same with a status of 400, 401 or 403. With 401 comes the challenge that HTTP demands (RFC 9110 section
    /// 15.5.2), after which some client libraries do not show the `error` any more.
    ///
    /// # Errors
    /// As with [`answer_for`](Self::answer_for), and for any other status.
    pub fn answer_with(mut self, class: ReasonClass, error: ErrorCode, status: StatusCode) -> Self {
        self.given.push((class, error, status));
        self
    }

    /// What is wrong with it, as the way out.
    pub(crate) fn problem(&self) -> Option<String> {
        self.given.iter().enumerate().find_map(|(position, (class, error, status))| {
            let before = &self.given[..position];
            if before.iter().any(|answer| answer.0 == *class && *answer != (*class, *error, *status)) {
                return Some(format!("two answers for `{class}`: leave one out"));
            }
            match class {
                ReasonClass::Grant | ReasonClass::Target | ReasonClass::Scope => {}
                ReasonClass::Token | ReasonClass::Denied => {}
                ReasonClass::Request | ReasonClass::Client => {
                    return Some(format!("RFC 6749 section 5.2 says what is answered for `{class}`: leave it out"));
                }
                ReasonClass::StepUp => {
                    return Some("a client finds its way by what RFC 9470 says here: leave it out".to_owned());
                }
                ReasonClass::Failure => return Some("a failure here must be told as one: leave it out".to_owned()),
            }
            if !error.can_stand_for_a_refusal() {
                return Some(format!("`{error}` means something else to a client: give another for `{class}`"));
            }
            let allowed = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
            (!allowed.contains(status))
                .then(|| format!("status {} for `{class}`: give 400, 401 or 403", status.as_u16()))
        })
    }

    /// Has a refusal tell the client what this profile says.
    pub(crate) fn applied_to(&self, rejection: Rejection) -> Rejection {
        let class = rejection.reason().class();
        match self.given.iter().chain(self.preset).find(|answer| answer.0 == class) {
            Some((_, error, status)) => rejection.told(*error, *status),
            None => rejection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_hold_to_the_rules_for_everybody() {
        for preset in [ErrorProfile::rfc8693(), ErrorProfile::keycloak(), ErrorProfile::spring(), ErrorProfile::okta()]
        {
            let given = ErrorProfile { preset: &[], given: preset.preset.to_vec() };
            assert_eq!(given.problem(), None, "{preset:?}");
        }
    }
}
