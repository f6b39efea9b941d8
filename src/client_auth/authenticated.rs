use super::{Authentication, AuthenticationMethod, Authenticator, Credentials};
use crate::{
    plug::{Failing, ask},
    protocol::{Identification, Presented, Reason, Rejection, Requested, refuse},
    records::{ClientRecord, Registry},
};
use std::sync::Arc;

const FAILING: Failing =
    Failing { unavailable: Reason::AuthenticatorUnavailable, panicked: Reason::AuthenticatorPanicked };

/// The second stage: a request of a client that is who it says. Before it, nothing is fetched or decoded.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) client: Arc<ClientRecord>,
    pub(crate) method: AuthenticationMethod,
    pub(crate) requested: Requested,
}

impl Authenticated {
    pub(crate) async fn by(
        authenticator: &Authenticator,
        registry: &Registry,
        presented: Presented,
    ) -> Result<Self, Rejection> {
        let Presented { identification, requested } = presented;
        let (id, method) = authenticate(authenticator, &identification).await?;
        if identification.dpop {
            return Err(refuse(Reason::DpopUnsupported));
        }
        match registry.client(&id) {
            Some(client) if client.may_exchange => Ok(Self { client: Arc::clone(client), method, requested }),
            _ => Err(refuse(Reason::GrantNotAllowed).because(format_args!("client `{id}`"))),
        }
    }
}

/// Finds out which client it is, and how it proved that.
pub(crate) async fn authenticate(
    authenticator: &Authenticator,
    identification: &Identification,
) -> Result<(String, AuthenticationMethod), Rejection> {
    let credentials = Credentials::of(identification)?;
    let method = credentials.method();
    let challenged = |rejection: Rejection| match method {
        AuthenticationMethod::ClientSecretBasic => rejection.with_challenge(),
        AuthenticationMethod::ClientSecretPost => rejection,
    };
    let Authentication::Client(id) = ask(authenticator, credentials, FAILING).await? else {
        return Err(challenged(refuse(Reason::ClientRejected)));
    };
    if identification.client_id.as_ref().is_some_and(|claimed| *claimed != id) {
        return Err(refuse(Reason::ClientIdMismatch));
    }
    Ok((id, method))
}
