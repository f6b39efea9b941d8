use super::{AuthenticatedClient, AuthenticationMethod, Authenticator, ClaimedClient};
use crate::{
    limits::Budgets,
    protocol::{ClientId, Reason, ReasonClass, Rejection, refuse},
    records::{ClientRecord, Registry},
};
use std::sync::Arc;

/// Authenticates the client of a request. Returns the id of the client and the method that the client used.
pub(crate) async fn authenticate(
    authenticator: &Authenticator,
    limits: &Budgets,
    claimed: &ClaimedClient<'_>,
) -> Result<(ClientId, AuthenticationMethod), Rejection> {
    let (id, method) = match claimed.sender.extension::<AuthenticatedClient>() {
        Some(client) => (client.id().clone(), client.method()),
        None => check_credentials(authenticator, limits, claimed).await?,
    };
    if claimed.client_id.as_ref().is_some_and(|named| id != *named) {
        return Err(refuse(Reason::ClientIdMismatch));
    }
    authenticator.check_method(&id, method)?;
    Ok((id, method))
}

/// Checks the credentials of a request. The credentials are refused without a check if too many wrong credentials came
/// before.
async fn check_credentials(
    authenticator: &Authenticator,
    limits: &Budgets,
    claimed: &ClaimedClient<'_>,
) -> Result<(ClientId, AuthenticationMethod), Rejection> {
    let credentials = claimed.credentials.as_ref().map_err(Rejection::clone)?;
    let login = limits.login(credentials.client_address(), credentials.proofs());
    if let Some(login) = &login {
        login.admit()?;
    }
    match authenticator.check(credentials, claimed.sender.headers).await {
        Ok(found) => {
            if let Some(login) = &login {
                login.succeeded(&found.0);
            }
            Ok(found)
        }
        Err(rejection) => {
            let is_wrong = rejection.reason().class() == ReasonClass::Client;
            if let Some(login) = login.filter(|_| is_wrong) {
                login.failed();
            }
            let by_header = is_wrong && credentials.method() == AuthenticationMethod::ClientSecretBasic;
            Err(if by_header { rejection.with_challenge() } else { rejection })
        }
    }
}

/// Authenticates the client of a token exchange request, and checks that the record of the client allows token
/// exchange.
pub(crate) async fn authenticate_for_exchange(
    authenticator: &Authenticator,
    registry: &Registry,
    limits: &Budgets,
    claimed: &ClaimedClient<'_>,
) -> Result<(Arc<ClientRecord>, AuthenticationMethod), Rejection> {
    let (id, method) = authenticate(authenticator, limits, claimed).await?;
    match registry.client(id.as_str()) {
        Some(client) if client.may_exchange => Ok((Arc::clone(client), method)),
        _ => Err(refuse(Reason::GrantNotAllowed).with_detail(format_args!("client `{id}`"))),
    }
}
