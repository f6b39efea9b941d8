//! What is known about the methods of the server before any client: whether the server rejects a client that does not exist.

use super::{
    answer::{Answer, NoAnswer},
    attempt::Attempt,
    method::ServerMethod,
    server::{Server, Usable},
};
use crate::{client_auth::AuthenticationMethod, locks, random};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How long the result of a probe counts.
const VALID: Duration = Duration::from_secs(3600);
/// How long the result counts if a method could not be tried.
const VALID_IN_PART: Duration = Duration::from_secs(600);
/// The time between the first two probes that fail. Each further failure doubles the time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LIMITED: &str = "the server limits the questions; wait, or raise the limit of the server for this address";

/// Why no client can be authenticated at the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The server does not tell a client that does not exist from other clients, with any method. Only another configuration
    /// helps. The text has the answers of the server.
    #[error(
        "the server does not tell right secrets from wrong ones: {0}; give each client a `Client::secret_sha256` in its \
         record, or use another method"
    )]
    CannotTell(String),
    /// The server did not answer, or limits the questions. The text has the problem.
    #[error("the server cannot be asked: {0}")]
    Unavailable(String),
}

/// The methods of the server, and the result of the latest probe.
pub(super) struct Probes {
    methods: Vec<(ServerMethod, String)>,
    send_as: Option<AuthenticationMethod>,
    usable: Mutex<Option<(Arc<[Usable]>, Instant)>>,
    /// The latest failure. Held while the server is probed.
    failure: tokio::sync::Mutex<Option<Failure>>,
}

struct Failure {
    error: ProbeError,
    wait: Duration,
    until: Instant,
}

/// What a probe found out about one method.
enum Found {
    Usable(Usable),
    CannotTell(String),
    Unavailable(String),
    /// The server limits the questions; the time until the next one.
    Limited(Duration),
}

impl Probes {
    pub(super) fn new(methods: Vec<(ServerMethod, String)>, send_as: Option<AuthenticationMethod>) -> Self {
        Self { methods, send_as, usable: Mutex::default(), failure: tokio::sync::Mutex::default() }
    }

    pub(super) fn send_as(&self) -> Option<AuthenticationMethod> {
        self.send_as
    }

    /// Every method, with its endpoint.
    pub(super) fn methods(&self) -> &[(ServerMethod, String)] {
        &self.methods
    }

    /// The methods that the latest probe found usable.
    pub(super) fn known(&self) -> Option<Arc<[Usable]>> {
        let usable = locks::lock(&self.usable);
        usable.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(usable, _)| Arc::clone(usable))
    }

    /// The methods that are usable. Probes the server if that is not known; after a failure not at once again.
    pub(super) async fn usable(&self, server: &Server) -> Result<Arc<[Usable]>, ProbeError> {
        if let Some(usable) = self.known() {
            return Ok(usable);
        }
        let mut failure = self.failure.lock().await;
        if let Some(usable) = self.known() {
            return Ok(usable);
        }
        if let Some(failure) = failure.as_ref().filter(|failure| Instant::now() < failure.until) {
            return Err(failure.error.clone());
        }
        match self.probe(server).await {
            Ok((usable, valid)) => {
                *failure = None;
                *locks::lock(&self.usable) = Some((Arc::clone(&usable), Instant::now() + valid));
                Ok(usable)
            }
            Err((error, asked_for)) => {
                tracing::error!(problem = %error, "no client can be authenticated");
                let wait = failure.as_ref().map_or(FIRST_WAIT, |failure| (failure.wait * 2).min(LONGEST_WAIT));
                // Several servers that start together do not ask together.
                let until = Instant::now() + wait.mul_f64(0.75 + random::fraction() / 2.0).max(asked_for);
                *failure = Some(Failure { error: error.clone(), wait, until });
                Err(error)
            }
        }
    }

    /// Tries every method. The error comes with the time for which the server asked to wait.
    async fn probe(&self, server: &Server) -> Result<(Arc<[Usable]>, Duration), (ProbeError, Duration)> {
        let (mut usable, mut cannot_tell, mut unavailable) = (Vec::new(), Vec::new(), Vec::new());
        let mut asked_for = Duration::ZERO;
        for (method, url) in &self.methods {
            match self.probe_method(server, *method, url).await {
                Found::Usable(found) => usable.push(found),
                Found::CannotTell(problem) => cannot_tell.push(format!("{method}: {problem}")),
                Found::Unavailable(problem) => unavailable.push(format!("{method}: {problem}")),
                Found::Limited(wait) => {
                    asked_for = wait;
                    unavailable.push(format!("{method}: {LIMITED}"));
                    // Another method would be one more question.
                    break;
                }
            }
        }
        if usable.is_empty() {
            let error = match unavailable.is_empty() {
                true => ProbeError::CannotTell(cannot_tell.join("; ")),
                false => ProbeError::Unavailable(unavailable.join("; ")),
            };
            return Err((error, asked_for));
        }
        let valid = if unavailable.is_empty() { VALID } else { VALID_IN_PART };
        for problem in cannot_tell.iter().chain(&unavailable) {
            tracing::info!(problem, "a method of client authentication is not used");
        }
        Ok((usable.into(), valid))
    }

    /// Tries a client that does not exist, and a request without credentials.
    async fn probe_method(&self, server: &Server, method: ServerMethod, url: &str) -> Found {
        let (mut made_up, mut problems) = (Vec::new(), Vec::new());
        let sent_as = match &self.send_as {
            Some(method) => std::slice::from_ref(method),
            None => AuthenticationMethod::WITH_SECRET,
        };
        for sent_as in sent_as {
            let attempt = match Attempt::made_up(*sent_as) {
                Ok(attempt) => attempt,
                Err(error) => return Found::Unavailable(error.to_string()),
            };
            match server.ask(method, url, &attempt, None).await {
                Ok(Answer::Success) => {
                    return Found::CannotTell("the server accepts a client that does not exist".into());
                }
                Ok(Answer::Refused(refusal))
                    if method != ServerMethod::Introspection && refusal.follows_authentication() =>
                {
                    problems.push(format!(
                        "the server answers {refusal} to a client that does not exist, as if the client were \
                         authenticated"
                    ));
                }
                Ok(Answer::Refused(refusal)) => made_up.push((*sent_as, refusal)),
                Ok(Answer::Limited(wait)) => return Found::Limited(wait),
                Err(NoAnswer::Unavailable(problem)) => return Found::Unavailable(problem),
                Err(NoAnswer::Unclear(problem)) => problems.push(problem),
            }
        }
        if made_up.is_empty() {
            problems.dedup();
            return Found::CannotTell(problems.join(", "));
        }
        // A request without credentials may be rejected with any error.
        match server.ask(method, url, &Attempt::nobody(), None).await {
            Ok(Answer::Success) => Found::CannotTell("the server accepts a request without credentials".into()),
            Ok(Answer::Limited(wait)) => Found::Limited(wait),
            Err(NoAnswer::Unavailable(problem)) => Found::Unavailable(problem),
            _ => Found::Usable(Usable { method, url: url.to_owned(), made_up }),
        }
    }
}
