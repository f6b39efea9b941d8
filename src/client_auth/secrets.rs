use super::Credentials;
use crate::{
    protocol::ClientId,
    records::{ClientRecord, Registry, SecretHash},
};
#[cfg(feature = "argon2")]
use crate::{protocol::Sensitive, records::ChosenSecret};
use std::sync::Arc;
#[cfg(feature = "argon2")]
use tokio::{sync::Semaphore, task::spawn_blocking};

/// The most checks of chosen secrets at a time. Each takes much memory.
#[cfg(feature = "argon2")]
const CHECKS: usize = 4;

/// Compares secrets with the records of the clients.
#[derive(Clone)]
pub(crate) struct Secrets {
    registry: Arc<Registry>,
    #[cfg(feature = "argon2")]
    chosen: ChosenSecrets,
}

/// The secrets that persons chose. They are checked outside of the runtime, because a check takes long.
#[cfg(feature = "argon2")]
#[derive(Clone)]
struct ChosenSecrets {
    /// The secret of any client, which is checked for a client that has none, so that the time says nothing about the client.
    sample: Option<Arc<ChosenSecret>>,
    checks: Arc<Semaphore>,
}

impl Secrets {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            registry: Arc::clone(registry),
            #[cfg(feature = "argon2")]
            chosen: ChosenSecrets {
                sample: registry.clients().find_map(|client| client.methods.chosen_secrets.first().cloned()),
                checks: Arc::new(Semaphore::new(CHECKS)),
            },
        }
    }

    /// Returns the client whose record has the secret of the credentials.
    pub(super) async fn check(&self, credentials: &Credentials) -> Option<ClientId> {
        let found = self.check_generated(credentials);
        #[cfg(feature = "argon2")]
        if found.is_none() {
            return self.check_chosen(credentials).await;
        }
        found
    }

    fn client(&self, id: &str) -> Option<&Arc<ClientRecord>> {
        self.registry.client(id)
    }

    fn check_generated(&self, credentials: &Credentials) -> Option<ClientId> {
        // An unknown client takes as much time as a known client with a wrong secret: one hash and one comparison.
        let no_secrets = [SecretHash::OF_NO_SECRET];
        let mut found = None;
        for (id, secret) in credentials.readings() {
            let client = self.client(id).filter(|client| !client.methods.secrets.is_empty());
            let secrets = client.map_or(&no_secrets[..], |client| &client.methods.secrets);
            let is_right = SecretHash::new(secret).is_one_of(secrets);
            found = found.or(client.filter(|_| is_right));
        }
        found.map(|client| client.id.clone())
    }

    #[cfg(feature = "argon2")]
    async fn check_chosen(&self, credentials: &Credentials) -> Option<ClientId> {
        let ChosenSecrets { sample, checks } = &self.chosen;
        let sample = sample.as_ref()?;
        let mut found = None;
        for (id, secret) in credentials.readings() {
            let client = self.client(id);
            let known = client.map_or(&[][..], |client| &client.methods.chosen_secrets);
            let to_check = if known.is_empty() { vec![Arc::clone(sample)] } else { known.to_vec() };
            let permit = Arc::clone(checks).acquire_owned().await.ok()?;
            let secret = Sensitive::new(secret.to_owned());
            let check = spawn_blocking(move || {
                let _permit = permit;
                to_check.iter().fold(false, |is_right, known| is_right | known.is(secret.expose()))
            });
            let is_right = check.await.unwrap_or(false);
            found = found.or(client.filter(|_| is_right && !known.is_empty()));
        }
        found.map(|client| client.id.clone())
    }
}
