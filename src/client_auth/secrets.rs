use super::{Authentication, Authenticator, Credentials};
use crate::{
    plug::boxed,
    records::{Registry, SecretHash},
};
use std::{convert::Infallible, sync::Arc};
use tower::{BoxError, ServiceExt};

/// The default authenticator, which compares secrets with the records of the clients.
pub(crate) fn secrets_of_records(registry: Arc<Registry>) -> Authenticator {
    boxed(tower::service_fn(move |credentials: Credentials| {
        let answer = authenticate(&registry, &credentials);
        std::future::ready(Ok::<_, Infallible>(answer))
    }))
}

/// The authenticator for a layer that has another authenticator and prefers the records. A client whose record has a secret is authenticated by
/// that secret alone; the other authenticator is asked about every other client.
pub(crate) fn secrets_of_records_or(registry: Arc<Registry>, other: Authenticator) -> Authenticator {
    boxed(tower::service_fn(move |credentials: Credentials| {
        let has_secret = |id| registry.client(id).is_some_and(|client| !client.secrets.is_empty());
        // One reading is enough: the other authenticator could accept a client that the record rejects.
        let by_record = credentials.readings().any(|(client_id, _)| has_secret(client_id));
        let answer = by_record.then(|| authenticate(&registry, &credentials));
        let other = other.clone();
        async move {
            match answer {
                Some(answer) => Ok::<_, BoxError>(answer),
                None => other.oneshot(credentials).await,
            }
        }
    }))
}

fn authenticate(registry: &Registry, credentials: &Credentials) -> Authentication {
    // An unknown client takes as much time as a known client with a wrong secret: one hash and one comparison.
    let no_secrets = [SecretHash::OF_NO_SECRET];
    credentials.authenticate(|client_id, secret| {
        let client = registry.client(client_id).filter(|client| !client.secrets.is_empty());
        let secrets = client.map_or(&no_secrets[..], |client| &client.secrets);
        SecretHash::new(secret).is_one_of(secrets) && client.is_some()
    })
}
