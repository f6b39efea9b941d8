use super::{Authentication, AuthenticationMethod, Authenticator, Credentials};
use crate::{
    limits::Budgets,
    plug::{Failing, ask},
    protocol::{ClientId, Identification, Reason, Rejection, refuse},
    records::{ClientRecord, Registry},
};
use std::sync::Arc;

const FAILING: Failing =
    Failing { unavailable: Reason::AuthenticatorUnavailable, panicked: Reason::AuthenticatorPanicked };

/// Authenticates the client of a request. Returns the id of the client and the method that the client used.
///
/// The credentials are refused without a check if too many wrong credentials came before.
pub(crate) async fn authenticate(
    authenticator: &Authenticator,
    limits: &Budgets,
    identification: &Identification,
) -> Result<(ClientId, AuthenticationMethod), Rejection> {
    let credentials = Credentials::read(identification)?;
    let method = credentials.method();
    let login = limits.login(credentials.client_address(), credentials.readings());
    if let Some(login) = &login {
        login.admit()?;
    }
    let challenged = |rejection: Rejection| match method {
        AuthenticationMethod::ClientSecretBasic => rejection.with_challenge(),
        AuthenticationMethod::ClientSecretPost => rejection,
    };
    let id = match ask(authenticator, credentials, FAILING).await? {
        Authentication::Client(id) => id,
        Authentication::Rejected => {
            if let Some(login) = &login {
                login.failed();
            }
            return Err(challenged(refuse(Reason::ClientRejected)));
        }
        Authentication::TooManyAttempts { retry_after } => {
            return Err(refuse(Reason::TooManyClientAttempts).with_retry_after(retry_after));
        }
        Authentication::Misconfigured { problem } => {
            return Err(refuse(Reason::AuthenticatorMisconfigured).with_detail(problem));
        }
    };
    if let Some(login) = &login {
        login.succeeded(&id);
    }
    if identification.client_id.as_ref().is_some_and(|claimed| id != *claimed) {
        return Err(refuse(Reason::ClientIdMismatch));
    }
    Ok((id, method))
}

/// Authenticates the client of a token exchange request, and checks that the record of the client allows token
/// exchange.
pub(crate) async fn authenticate_for_exchange(
    authenticator: &Authenticator,
    registry: &Registry,
    limits: &Budgets,
    identification: &Identification,
) -> Result<(Arc<ClientRecord>, AuthenticationMethod), Rejection> {
    let (id, method) = authenticate(authenticator, limits, identification).await?;
    if identification.dpop {
        return Err(refuse(Reason::DpopUnsupported));
    }
    match registry.client(id.as_str()) {
        Some(client) if client.may_exchange => Ok((Arc::clone(client), method)),
        _ => Err(refuse(Reason::GrantNotAllowed).with_detail(format_args!("client `{id}`"))),
    }
}
