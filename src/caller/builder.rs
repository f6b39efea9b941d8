use super::{
    ActorSource, ClientAuthentication, ClientConfigError, ExchangeClient, actor::ActorTokens, cache::Cache,
    client::Parts, dpop::Prover, endpoint::Endpoint, key::KeyMaker,
};
use crate::{
    clock::Clock,
    fetch::{self, web_uri},
    plug::{BoxHttpService, HttpService, boxed},
    random,
    signing::LocalSigner,
};
use http::{Uri, uri::Scheme};
use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Builds an [`ExchangeClient`]. Every setting has a default.
#[must_use = "a builder does nothing until `build` is called"]
pub struct ExchangeClientBuilder {
    token_endpoint: String,
    authentication: ClientAuthentication,
    http: Option<BoxHttpService>,
    proof_key: Option<LocalSigner>,
    actors: Option<ActorSource>,
    deadline: Duration,
    retries: u32,
    cache_entries: u64,
    clock: Clock,
}

impl ExchangeClient {
    /// Returns a builder for a client of this token endpoint, such as `https://as.example/token`.
    pub fn builder(token_endpoint: impl Into<String>, authentication: ClientAuthentication) -> ExchangeClientBuilder {
        ExchangeClientBuilder {
            token_endpoint: token_endpoint.into(),
            authentication,
            http: None,
            proof_key: None,
            actors: None,
            deadline: Duration::from_secs(10),
            retries: 2,
            cache_entries: 10_000,
            clock: Clock::default(),
        }
    }
}

impl ExchangeClientBuilder {
    /// Sets the HTTP service that sends the requests to the token endpoint. The service must not follow redirects. Default:
    /// `HttpFetch` of the feature `fetch`.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.http = Some(boxed(service));
        self
    }

    /// Sets a DPoP key (RFC 9449). Each request to the token endpoint has a proof, and an answer with a token that is not bound
    /// to the key is an error. If the server asks for a nonce, the request is sent once more with the nonce.
    ///
    /// Default: no proofs.
    pub fn dpop(mut self, key: LocalSigner) -> Self {
        self.proof_key = Some(key);
        self
    }

    /// Sets the source of the actor tokens. Default: requests have no actor token.
    pub fn actor(mut self, source: ActorSource) -> Self {
        self.actors = Some(source);
        self
    }

    /// Sets the longest time for one token, with all repetitions. An actor token that is missing has the same time for itself.
    /// Default: 10 s.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the time is zero.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how often a request is repeated at most. Default: 2.
    ///
    /// A request is repeated only if the server has certainly issued no token: there was no connection, or the status is 429 or
    /// 503. The client waits as long as `Retry-After` says, or for a random time. A wait beyond the deadline is an error at once.
    pub fn retries(mut self, most: u32) -> Self {
        self.retries = most;
        self
    }

    /// Sets how many exchanged tokens are kept at most. Default: 10 000. With 0, no token is kept.
    ///
    /// A token is used again only for a request with the same subject token, actor token, targets, scope and requested type. No
    /// token is used after the end of its subject token or its actor token. A token that is used in the last fifth of its
    /// lifetime is refreshed in the background.
    pub fn cache_entries(mut self, most: u64) -> Self {
        self.cache_entries = most;
        self
    }

    /// Sets the source of the current time, for tests. Default: the clock of the system.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    /// [`ClientConfigError`] names the wrong setting and what to do.
    pub fn build(self) -> Result<ExchangeClient, ClientConfigError> {
        let wrong = |problem: &str| ClientConfigError::new(problem);
        let url = web_uri(&self.token_endpoint).filter(is_protected).ok_or_else(|| {
            let given = &self.token_endpoint;
            wrong(&format!("{given:?} is no token endpoint; give an `https` URL without user information and fragment"))
        })?;
        if let Some(problem) = self.authentication.problem() {
            return Err(wrong(problem));
        }
        if self.deadline.is_zero() {
            return Err(wrong("`deadline` is zero, so every exchange would fail; give a positive duration"));
        }
        if self.http.is_none() && !cfg!(feature = "fetch") {
            return Err(wrong(fetch::NO_CLIENT));
        }
        let unusable_key = || wrong("the DPoP key has no public key; give another key");
        let prover = self.proof_key.map(|key| Prover::new(key).ok_or_else(unusable_key)).transpose()?;
        let random = random::bytes::<32>().ok_or_else(|| wrong("the system has no randomness"))?;
        let thumbprint = prover.as_ref().map(|prover| prover.thumbprint().to_string());
        let keys = KeyMaker::new(
            &random,
            &self.token_endpoint,
            self.authentication.name(),
            self.authentication.client_id().as_str(),
            thumbprint.as_ref().map(String::as_bytes),
        );
        let endpoint = Endpoint {
            url,
            http: self.http.unwrap_or_else(fetch::default_service),
            authentication: self.authentication,
            prover,
            clock: self.clock.clone(),
            deadline: self.deadline,
            retries: self.retries,
        };
        Ok(ExchangeClient::new(Parts {
            endpoint: Arc::new(endpoint),
            actors: self.actors.map(|source| Arc::new(ActorTokens::new(source))),
            keys,
            cache: Cache::new(self.cache_entries, self.clock),
        }))
    }
}

/// Whether nobody on the network can read what is sent to a URI: `https`, or a server on the same machine.
pub(in crate::caller) fn is_protected(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    uri.scheme() == Some(&Scheme::HTTPS) || is_here
}

impl fmt::Debug for ExchangeClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangeClientBuilder")
            .field("token_endpoint", &self.token_endpoint)
            .field("authentication", &self.authentication)
            .field("deadline", &self.deadline)
            .field("retries", &self.retries)
            .field("cache_entries", &self.cache_entries)
            .finish_non_exhaustive()
    }
}
