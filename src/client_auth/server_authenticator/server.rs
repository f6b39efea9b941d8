//! The questions to the server, and what their answers prove.

use super::{
    answer::{Answer, NoAnswer, Refusal},
    attempt::Attempt,
    limits::Limits,
    memory::{Evidence, Memory},
    method::ServerMethod,
    question::question,
};
use crate::{client_auth::AuthenticationMethod, plug::BoxHttpService, protocol::ClientAddress};
use std::time::Duration;
use tower::{BoxError, ServiceExt};

/// The time within which the server must answer a question.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The server that is asked.
pub(super) struct Server {
    pub(super) service: BoxHttpService,
    pub(super) limits: Limits,
    pub(super) memory: Memory,
}

/// A method by which the server was seen to reject a client that does not exist.
#[derive(Clone, Debug)]
pub(super) struct Usable {
    pub(super) method: ServerMethod,
    pub(super) url: String,
    /// The answers to a client that does not exist, by the method by which the server got the credentials.
    pub(super) made_up: Vec<(AuthenticationMethod, Refusal)>,
}

/// What the server says about an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted(Evidence),
    Rejected {
        /// Whether the server says that the client is not authenticated.
        is_clear: bool,
        /// Whether the server also answers so to a client that does not exist, or says so clearly. Any other refusal can
        /// have another cause, such as a limit of the requests.
        is_usual: bool,
    },
    /// The server gives the same answer to a client that does not exist, but the answer is not a usual rejection.
    Untold(Refusal),
    /// The server accepts any secret for this client.
    AnySecret(Evidence),
    Limited(Duration),
}

impl Usable {
    fn verdict(&self, attempt: &Attempt, answer: Answer) -> Verdict {
        let refusal = match answer {
            Answer::Success => return Verdict::Accepted(Evidence::Success),
            Answer::Limited(wait) => return Verdict::Limited(wait),
            Answer::Refused(refusal) => refusal,
        };
        let is_clear = refusal.rejects_client();
        let is_made_up = self.made_up.iter().any(|(sent_as, known)| *sent_as == attempt.method() && *known == refusal);
        let is_usual = is_clear || is_made_up;
        if self.method == ServerMethod::Introspection {
            return Verdict::Rejected { is_clear, is_usual };
        }
        match refusal {
            refusal if is_made_up && !is_clear => Verdict::Untold(refusal),
            refusal if !is_made_up && refusal.follows_authentication() => Verdict::Accepted(Evidence::Error),
            _ => Verdict::Rejected { is_clear, is_usual },
        }
    }

    /// Whether the server was seen to reject a client that sends its credentials in this way.
    pub(super) fn covers(&self, attempt: &Attempt) -> bool {
        self.made_up.iter().any(|(sent_as, _)| *sent_as == attempt.method())
    }
}

impl Server {
    /// Whether the server accepts an attempt, and was seen to reject a wrong secret of the same client in the same encoding.
    pub(super) async fn judge(
        &self,
        usable: &Usable,
        attempt: &Attempt,
        address: Option<&ClientAddress>,
    ) -> Result<Verdict, BoxError> {
        let verdict = async |attempt: &Attempt| {
            let answer = self.ask(usable.method, &usable.url, attempt, address).await;
            match answer {
                Ok(answer) => Ok(usable.verdict(attempt, answer)),
                Err(NoAnswer::Unavailable(problem) | NoAnswer::Unclear(problem)) => Err(BoxError::from(problem)),
            }
        };
        let first = verdict(attempt).await?;
        let Verdict::Accepted(evidence) = first else { return Ok(first) };
        if self.memory.is_proven(usable.method, attempt, evidence) {
            return Ok(first);
        }
        // A success speaks for itself. An error can have another meaning for a moment, for example while the server locks the
        // client: so the same error must stand between two rejections of a wrong secret.
        let order = match evidence {
            Evidence::Success => &[false][..],
            Evidence::Error => &[false, true, false],
        };
        for is_right in order {
            let next = match is_right {
                true => verdict(attempt).await?,
                false => verdict(&attempt.with_wrong_secret()?).await?,
            };
            match next {
                Verdict::Accepted(_) if *is_right => {}
                Verdict::Rejected { is_usual: true, .. } | Verdict::Untold(_) if !is_right => {}
                Verdict::Limited(wait) => return Ok(Verdict::Limited(wait)),
                Verdict::Rejected { is_usual, .. } => {
                    if !is_usual && !is_right {
                        tracing::warn!(
                            client_id = %attempt.client_id(), method = %usable.method,
                            "the server refuses a wrong secret of this client in another way than a client that does not \
                             exist; the client is rejected"
                        );
                    }
                    return Ok(Verdict::Rejected { is_clear: false, is_usual });
                }
                Verdict::Untold(_) => return Ok(Verdict::Rejected { is_clear: false, is_usual: true }),
                Verdict::Accepted(evidence) | Verdict::AnySecret(evidence) => return Ok(Verdict::AnySecret(evidence)),
            }
        }
        self.memory.note_proof(usable.method, attempt, evidence);
        Ok(Verdict::Accepted(evidence))
    }

    /// Asks the server one question.
    pub(super) async fn ask(
        &self,
        method: ServerMethod,
        url: &str,
        attempt: &Attempt,
        address: Option<&ClientAddress>,
    ) -> Result<Answer, NoAnswer> {
        let unavailable = |problem: BoxError| NoAnswer::Unavailable(problem.to_string());
        let request = question(method, url, attempt, address).map_err(unavailable)?;
        let _permit = self.limits.question().await;
        match tokio::time::timeout(TIMEOUT, self.service.clone().oneshot(request)).await {
            Ok(response) => Answer::read(method, &response.map_err(unavailable)?),
            Err(_elapsed) => {
                Err(NoAnswer::Unavailable(format!("the server did not answer within {} s", TIMEOUT.as_secs())))
            }
        }
    }
}
