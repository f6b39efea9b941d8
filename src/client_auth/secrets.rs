use super::{Authentication, Authenticator, Credentials};
use crate::{
    plug::boxed,
    records::{Registry, SecretHash},
};
use std::{convert::Infallible, sync::Arc};

/// The default authenticator, which compares secrets with the records of the clients.
pub(crate) fn secrets_of_records(registry: Arc<Registry>) -> Authenticator {
    boxed(tower::service_fn(move |credentials: Credentials| {
        let answer = authenticate(&registry, &credentials);
        std::future::ready(Ok::<_, Infallible>(answer))
    }))
}

fn authenticate(registry: &Registry, credentials: &Credentials) -> Authentication {
    // An unknown client takes as much time as a known client with a wrong secret: one hash and one comparison.
    let no_secrets = [SecretHash::new("")];
    credentials.authenticate(|client_id, secret| {
        let client = registry.client(client_id).filter(|client| !client.secrets.is_empty());
        let secrets = client.map_or(&no_secrets[..], |client| &client.secrets);
        SecretHash::new(secret).is_one_of(secrets) && client.is_some()
    })
}
