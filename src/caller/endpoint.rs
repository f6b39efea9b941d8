use super::{
    ClientAuthentication, ExchangeError,
    answer::{self, Expected, IssuedType},
    dpop::Prover,
    error::Unavailable,
    exchanged::ExchangedToken,
    form::Form,
    retry,
};
use crate::{
    clock::Clock,
    plug::{BoxHttpService, catch_panic},
    protocol::SensitiveBytes,
    random,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use std::time::Duration;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt};

/// The token endpoint of the authorization server, and what a request to the endpoint needs.
pub(super) struct Endpoint {
    pub(super) url: Uri,
    pub(super) http: BoxHttpService,
    pub(super) authentication: ClientAuthentication,
    pub(super) prover: Option<Prover>,
    pub(super) clock: Clock,
    /// The longest time for one token, with all repetitions.
    pub(super) deadline: Duration,
    /// How often a request is repeated at most.
    pub(super) retries: u32,
}

impl Endpoint {
    /// Asks for a token, within the deadline.
    pub(super) async fn token(&self, form: &Form, issued: IssuedType) -> Result<ExchangedToken, ExchangeError> {
        let end = Instant::now() + self.deadline;
        match tokio::time::timeout_at(end, self.repeat(form, issued, end)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(ExchangeError::TimedOut { deadline: self.deadline }),
        }
    }

    /// Sends a request, and repeats the request where that is safe.
    async fn repeat(&self, form: &Form, issued: IssuedType, end: Instant) -> Result<ExchangedToken, ExchangeError> {
        let mut repeated = 0;
        loop {
            let error = match self.ask(form, &issued).await {
                Err(error) if repeated < self.retries => error,
                outcome => return outcome,
            };
            // A wait beyond the deadline helps nobody. The caller learns how long to wait.
            let Some(wait) = retry::wait(&error, repeated, random::fraction())
                .filter(|wait| Instant::now().checked_add(*wait).is_some_and(|then| then < end))
            else {
                return Err(error);
            };
            tracing::debug!(%error, ?wait, "the request to the token endpoint is repeated");
            tokio::time::sleep(wait).await;
            repeated += 1;
        }
    }

    /// Sends a request, and sends the request again if the server asks for a DPoP nonce (RFC 9449 section 8).
    async fn ask(&self, form: &Form, issued: &IssuedType) -> Result<ExchangedToken, ExchangeError> {
        let expected = Expected { issued: issued.clone(), is_proven: self.prover.is_some(), now: self.clock.now() };
        let mut response = self.send(form).await?;
        if let Some(prover) = &self.prover
            && response.status() == StatusCode::BAD_REQUEST
            && prover.note_nonce(&self.url, response.headers())
            && answer::asks_for_nonce(response.body())
        {
            response = self.send(form).await?;
        }
        if let Some(prover) = &self.prover {
            prover.note_nonce(&self.url, response.headers());
        }
        let outcome = answer::read(&response, form, &expected);
        drop(SensitiveBytes::from(response.into_body()));
        outcome
    }

    /// Sends a request once. Each request has an assertion and a proof of its own, because both may be used once.
    async fn send(&self, form: &Form) -> Result<Response<Bytes>, ExchangeError> {
        let mut form = form.clone();
        let authorization = self.authentication.authenticate(&mut form, &self.clock).await?;
        let proof = match &self.prover {
            Some(prover) => Some(prover.proof("POST", &self.url, None, &self.clock).await?),
            None => None,
        };
        let request = request(&self.url, form.encode(), authorization, proof);
        match catch_panic(self.http.clone().oneshot(request)).await {
            Ok(answer) => answer.map_err(|error| no_answer(&error, &form)),
            Err(_panic) => Err(no_answer(&BoxError::from("the HTTP service panicked"), &form)),
        }
    }
}

fn request(url: &Uri, form: Bytes, authorization: Option<HeaderValue>, proof: Option<HeaderValue>) -> Request<Bytes> {
    let mut request = Request::new(form);
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = url.clone();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
    headers.extend(proof.map(|value| (super::dpop::DPOP, value)));
    request
}

fn no_answer(error: &BoxError, form: &Form) -> ExchangeError {
    let mut problem = told(error);
    // An HTTP service of the application may tell what it sent.
    if form.is_exposed_in(&problem) {
        problem = "the HTTP service failed".to_owned();
    }
    let is_unprocessed = is_unsent(error);
    ExchangeError::Unavailable(Unavailable { status: None, retry_after: None, problem, is_unprocessed })
}

/// The text of an error with its causes.
fn told(error: &BoxError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Whether there was no connection, so that nothing was sent.
#[cfg(feature = "fetch")]
fn is_unsent(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(crate::fetch::FetchError::Connect { .. }))
}

/// Without the HTTP client of this crate, nobody knows what was sent.
#[cfg(not(feature = "fetch"))]
fn is_unsent(_: &BoxError) -> bool {
    false
}
