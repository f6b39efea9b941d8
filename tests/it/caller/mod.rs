//! The calling side: a client that exchanges tokens, and keeps them.

mod actors;
mod authentication;
mod cache;
mod dpop;
mod errors;
mod never_mixed;
mod outgoing;
mod retries;

use crate::support::*;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tower::ServiceExt;
use tower_token_exchange::{
    caller::{ClientAuthentication, ExchangeClient, ExchangeClientBuilder},
    fetch::HttpFetch,
    plug::HttpService,
};

pub(crate) const ENDPOINT: &str = "https://as.example/token";

/// A clock that a test sets.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW)))
    }

    pub(crate) fn set(&self, seconds_after_start: u64) {
        self.0.store(NOW + seconds_after_start, Ordering::Relaxed);
    }

    pub(crate) fn source(&self) -> impl Fn() -> SystemTime + Send + Sync + 'static {
        let clock = self.clone();
        move || UNIX_EPOCH + Duration::from_secs(clock.0.load(Ordering::Relaxed))
    }
}

/// A request that a server of a test got.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) headers: HeaderMap,
    pub(crate) form: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.form.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        let [value] = self.values(name)[..] else { panic!("{name} is not there once: {self:?}") };
        value
    }
}

/// An authorization server of a test.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<Vec<Seen>>>);

impl Server {
    /// The HTTP service of a server that answers with a function of the request and the number of earlier requests.
    pub(crate) fn answering(
        &self,
        answer: impl Fn(&Seen, usize) -> Response<Bytes> + Clone + Send + Sync + 'static,
    ) -> impl HttpService {
        let server = self.clone();
        tower::service_fn(move |request: Request<Bytes>| {
            let (parts, body) = request.into_parts();
            let form = form_urlencoded::parse(&body).into_owned().collect();
            let seen = Seen { headers: parts.headers, form };
            let mut all = server.0.lock().unwrap();
            let response = answer(&seen, all.len());
            all.push(seen);
            // Another task may ask before the answer arrives.
            async move {
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(response)
            }
        })
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

pub(crate) fn reply(status: u16, body: impl ToString) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from(body.to_string())).unwrap()
}

/// The body of a successful answer, with changes. `null` removes a member.
pub(crate) fn issued(token: &str, changes: Value) -> Value {
    let good = json!({
        "access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300,
    });
    changed(good, changes)
}

/// A client of a server of a test.
pub(crate) fn client_of(http: impl HttpService) -> ExchangeClientBuilder {
    let credentials = ClientAuthentication::secret_basic("orders", secret_of("orders"));
    ExchangeClient::builder(ENDPOINT, credentials).http(http).clock(TestClock::new().source())
}

/// An HTTP service that sends every request to the server of a world, over HTTP.
pub(crate) fn served_by(world: &World) -> impl HttpService + use<> {
    let http = HttpFetch::builder().allow_loopback_http().build().unwrap();
    let server: Uri = world.url.parse().unwrap();
    tower::service_fn(move |mut request: Request<Bytes>| {
        let (http, mut parts) = (http.clone(), server.clone().into_parts());
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(parts).unwrap();
        http.oneshot(request)
    })
}

/// The claims of a token, not verified.
pub(crate) fn claims_of(token: &str) -> Value {
    segment(token, 1)
}
