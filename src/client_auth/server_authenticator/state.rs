use super::{
    attempt::Attempt,
    limits::Asker,
    memory::Evidence,
    method::ServerMethod,
    probe::{ProbeError, Probes},
    server::{Server, Usable, Verdict},
};
use crate::{
    client_auth::{Authentication, AuthenticationMethod, Credentials},
    flights::Flights,
    protocol::ClientAddress,
};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};
use tower::BoxError;

/// The state that all clones of an authenticator share.
pub(super) struct State {
    server: Server,
    probes: Probes,
    flights: Flights<Result<Authentication, Arc<str>>>,
    /// The first method that authenticated a client.
    first: OnceLock<ServerMethod>,
    /// Whether the method at the same place in [`ServerMethod::ALL`] authenticated a client.
    proven: [AtomicBool; ServerMethod::ALL.len()],
}

impl State {
    pub(super) fn new(server: Server, probes: Probes) -> Self {
        Self { server, probes, flights: Flights::default(), first: OnceLock::new(), proven: Default::default() }
    }

    /// Every method, with its endpoint.
    pub(super) fn methods(&self) -> &[(ServerMethod, String)] {
        self.probes.methods()
    }

    pub(super) async fn probe(&self) -> Result<(), ProbeError> {
        self.probes.usable(&self.server).await.map(drop)
    }

    pub(super) fn chosen_method(&self) -> Option<ServerMethod> {
        let first_usable = || self.probes.known()?.first().map(|usable| usable.method);
        self.first.get().copied().or_else(first_usable)
    }

    pub(super) async fn authenticate(&self, credentials: Credentials) -> Result<Authentication, BoxError> {
        let attempts = Attempt::all(&credentials, self.probes.send_as());
        let Some(first) = attempts.first() else { return Ok(Authentication::Rejected) };
        if let Some(client_id) = self.server.memory.accepted(&attempts) {
            return Ok(Authentication::Client(client_id));
        }
        // The future of a question is large. Most clients are remembered, and need none.
        Box::pin(self.ask(&credentials, &attempts, first)).await
    }

    /// Asks the server. Equal questions at the same time are one question.
    async fn ask(
        &self,
        credentials: &Credentials,
        attempts: &[Attempt],
        first: &Attempt,
    ) -> Result<Authentication, BoxError> {
        let address = credentials.client_address();
        let asker = Asker::new(first.client_id(), address);
        let name = self.server.memory.name_of(attempts, address);
        let outcome = self.flights.join(name, async {
            let answer = self.decide(attempts, &asker, address).await;
            answer.map_err(|error| Arc::<str>::from(error.to_string()))
        });
        outcome.await.map_err(|problem| BoxError::from(problem.to_string()))
    }

    /// Asks the server, within the limits.
    async fn decide(
        &self,
        attempts: &[Attempt],
        asker: &Asker,
        address: Option<&ClientAddress>,
    ) -> Result<Authentication, BoxError> {
        let limits = &self.server.limits;
        let _entry = match limits.enter(asker) {
            Ok(entry) => entry,
            Err(retry_after) => return Ok(Authentication::TooManyAttempts { retry_after }),
        };
        let usable = match self.probes.usable(&self.server).await {
            Ok(usable) => usable,
            Err(error @ ProbeError::CannotTell(_)) => {
                return Ok(Authentication::Misconfigured { problem: error.to_string() });
            }
            Err(error) => return Err(error.into()),
        };
        let (mut is_rejected, mut untold) = (false, Vec::new());
        // The attempts that the token endpoint rejected clearly. Another grant would be one more failed login.
        let mut done: Vec<&Attempt> = Vec::new();
        for (usable, attempt) in self.questions(&usable, attempts) {
            let (client_id, method) = (attempt.client_id(), usable.method);
            let is_at_token_endpoint = method != ServerMethod::Introspection;
            if is_at_token_endpoint && done.iter().any(|done| std::ptr::eq(*done, attempt)) {
                continue;
            }
            match self.server.judge(usable, attempt, address).await? {
                Verdict::Accepted(_) => {
                    self.note_success(method);
                    self.server.memory.accept(method, attempt);
                    return Ok(Authentication::Client(client_id.clone()));
                }
                Verdict::Limited(retry_after) => {
                    limits.note_wait(asker, retry_after);
                    return Ok(Authentication::TooManyAttempts { retry_after });
                }
                Verdict::AnySecret(evidence) => {
                    tracing::error!(
                        %client_id, %method,
                        "the server accepts any secret for this client; the client is rejected"
                    );
                    if evidence == Evidence::Success {
                        return Ok(Authentication::Rejected);
                    }
                    is_rejected = true;
                }
                Verdict::Untold(refusal) if !self.proven[method as usize].load(Ordering::Relaxed) => {
                    untold.push(format!(
                        "{method}: the server answers {refusal} to this client and to a client that does not exist"
                    ));
                }
                Verdict::Rejected { is_clear, .. } => {
                    is_rejected = true;
                    done.extend((is_clear && is_at_token_endpoint).then_some(attempt));
                }
                Verdict::Untold(_) => is_rejected = true,
            }
        }
        if is_rejected {
            return Ok(Authentication::Rejected);
        }
        if untold.is_empty() {
            let sent_as = attempts.first().map(Attempt::method).unwrap_or(AuthenticationMethod::ClientSecretPost);
            untold.push(format!("with {sent_as}, the server gives no clear answer to a client that does not exist"));
        }
        Ok(Authentication::Misconfigured { problem: ProbeError::CannotTell(untold.join("; ")).to_string() })
    }

    /// The questions about a client: the method that authenticated the client before, or else every method, with the first
    /// method that authenticated any client at the front.
    fn questions<'a>(&self, usable: &'a [Usable], attempts: &'a [Attempt]) -> Vec<(&'a Usable, &'a Attempt)> {
        let first = self.first.get();
        let mut order: Vec<&Usable> = usable.iter().collect();
        order.sort_by_key(|usable| Some(&usable.method) != first);
        let of_client = |attempt: &Attempt| {
            let known = self.server.memory.method_of(attempt);
            known.filter(|known| usable.iter().any(|usable| usable.method == *known))
        };
        let pairs = order.into_iter().flat_map(|usable| attempts.iter().map(move |attempt| (usable, attempt)));
        pairs
            .filter(|(usable, attempt)| usable.covers(attempt))
            .filter(|(usable, attempt)| of_client(attempt).is_none_or(|known| known == usable.method))
            .collect()
    }

    fn note_success(&self, method: ServerMethod) {
        if !self.proven[method as usize].swap(true, Ordering::Relaxed) {
            tracing::info!(%method, "the authorization server authenticates clients by this method");
        }
        self.first.get_or_init(|| method);
    }
}
