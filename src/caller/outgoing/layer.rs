use super::{Destination, OutgoingError, current_subject_token};
use crate::{
    caller::{ClientConfigError, ExchangeClient, ExchangedToken, SubjectToken, dpop::DPOP},
    fetch::{Origin, origin, origin_of},
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use memchr::memmem;
use std::{
    collections::HashMap,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{BoxError, Layer, Service, ServiceExt};

/// A layer around an HTTP client. Each request gets a token for its destination, which is exchanged from the token of the current
/// request.
///
/// The subject token is the [`SubjectToken`] in the extensions of the request, or else the token of
/// [`with_subject_token`](super::with_subject_token). The layer looks for the origin of the URI in its table, exchanges the
/// subject token for the target of the origin, and replaces the header `Authorization`. With a DPoP key, the layer sets the header
/// `DPoP` too.
///
/// A request is not sent, and the error is an [`OutgoingError`], if
///
/// * the origin is not in the table, or the header `Host` names another host,
/// * there is no subject token, or the exchange fails,
/// * the URI or a header other than `Authorization` contains the subject token. The layer does not read the body.
///
/// The layer follows no redirect. A layer that follows redirects must be outside of this layer: each further request then passes
/// this layer, and gets the token of its own origin or is refused. An HTTP client that follows redirects itself would send the
/// token along, so switch its redirects off.
///
/// If the answer asks for another DPoP nonce, a request with an empty body is sent once more. For a request with a body, the next
/// request has the nonce.
///
/// The type of the request body does not change. It needs a [`Default`], which is an empty body.
///
/// ```
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use bytes::Bytes;
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_token_exchange::caller::{
///     ClientAuthentication, Destination, ExchangeClient, OutgoingExchangeLayer, with_subject_token,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let server = tower::service_fn(|_: Request<Bytes>| async {
/// #     let answer = r#"{"access_token":"eyJhbGciOiJFUzI1NiJ9","token_type":"Bearer","expires_in":300,
/// #         "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;
/// #     Ok::<_, std::io::Error>(Response::new(Bytes::from(answer)))
/// # });
/// # let credentials = ClientAuthentication::secret_basic("orders", "6c1f7a0f5d9b4e2a8f3c");
/// # let client = ExchangeClient::builder("https://as.example/token", credentials).http(server).build()?;
/// # let http_client = tower::service_fn(|request: Request<Empty<Bytes>>| async move {
/// #     assert!(request.headers().contains_key("authorization"));
/// #     Ok::<_, std::io::Error>(Response::new(()))
/// # });
/// let billing = Destination::new("https://billing.example").target("billing").scope("read");
/// let http = ServiceBuilder::new().layer(OutgoingExchangeLayer::new(client, [billing])?).service(http_client);
///
/// # let user_token = "eyJ0eXAiOiJhdCtqd3Qi";
/// let request = Request::get("https://billing.example/invoices").body(Empty::<Bytes>::new())?;
/// let response = with_subject_token(user_token, http.oneshot(request)).await?;
/// # let _ = response;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct OutgoingExchangeLayer {
    client: ExchangeClient,
    table: Arc<HashMap<Origin, Destination>>,
}

impl OutgoingExchangeLayer {
    /// A layer that sends requests to these destinations, and to no other.
    ///
    /// # Errors
    /// [`ClientConfigError`] names a destination that is no origin, has no target, is listed twice, or has plain `http` without
    /// [`Destination::allow_http`].
    pub fn new(
        client: ExchangeClient,
        destinations: impl IntoIterator<Item = Destination>,
    ) -> Result<Self, ClientConfigError> {
        let mut table = HashMap::new();
        for destination in destinations {
            let origin = destination.checked().map_err(ClientConfigError::new)?;
            if let Some(twice) = table.insert(origin, destination) {
                let problem = format!("the origin {:?} is listed twice; list each origin once", twice.url);
                return Err(ClientConfigError::new(problem));
            }
        }
        Ok(Self { client, table: Arc::new(table) })
    }
}

impl<S> Layer<S> for OutgoingExchangeLayer {
    type Service = OutgoingExchange<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OutgoingExchange { inner, layer: self.clone() }
    }
}

/// An HTTP client whose requests get a token for their destination. [`OutgoingExchangeLayer`] creates one.
#[derive(Clone)]
pub struct OutgoingExchange<S> {
    inner: S,
    layer: OutgoingExchangeLayer,
}

impl<S, B, R> Service<Request<B>> for OutgoingExchange<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
    B: Body + Default + Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<R>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that is ready is used, and not its clone.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        // The task-local value belongs to whoever calls.
        let subject = request.extensions_mut().remove::<SubjectToken>().or_else(current_subject_token);
        Box::pin(async move { layer.send(inner, request, subject).await })
    }
}

impl OutgoingExchangeLayer {
    async fn send<S, B, R>(
        &self,
        mut inner: S,
        mut request: Request<B>,
        subject: Option<SubjectToken>,
    ) -> Result<Response<R>, BoxError>
    where
        S: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>>,
        B: Body + Default,
    {
        let token = self.authorize(&mut request, subject).await?;
        if !token.is_dpop_bound() {
            return inner.call(request).await.map_err(Into::into);
        }
        self.prove(&mut request, &token).await?;
        let uri = request.uri().clone();
        let again = request.body().is_end_stream().then(|| without_body(&request));
        let response = inner.call(request).await.map_err(Into::into)?;
        let is_known = self.client.note_nonce(&uri, response.headers());
        match again {
            Some(mut again) if is_known && asks_for_nonce(&response) => {
                self.prove(&mut again, &token).await?;
                let response = inner.ready().await.map_err(Into::into)?.call(again).await.map_err(Into::into)?;
                self.client.note_nonce(&uri, response.headers());
                Ok(response)
            }
            _ => Ok(response),
        }
    }

    /// Checks a request, and sets its token.
    async fn authorize<B>(
        &self,
        request: &mut Request<B>,
        subject: Option<SubjectToken>,
    ) -> Result<ExchangedToken, OutgoingError> {
        let to = origin_of(request.uri()).ok_or(OutgoingError::NoOrigin)?;
        let Some(destination) = self.table.get(&to) else {
            let (scheme, host, port) = to;
            return Err(OutgoingError::UnknownOrigin { origin: format!("{scheme}://{host}:{port}") });
        };
        for host in request.headers().get_all(header::HOST) {
            let named = host.to_str().ok().and_then(|host| origin(&format!("{}://{host}", to.0)));
            if named.as_ref() != Some(&to) {
                return Err(OutgoingError::OtherHost);
            }
        }
        let subject = subject.ok_or(OutgoingError::NoSubjectToken)?;
        request.headers_mut().remove(header::AUTHORIZATION);
        request.headers_mut().remove(DPOP);
        if let Some(place) = place_of(&subject, request.uri(), request.headers()) {
            return Err(OutgoingError::SubjectTokenInRequest { place });
        }
        let token = destination.exchange(&self.client, subject).await.map_err(OutgoingError::Exchange)?;
        request.headers_mut().insert(header::AUTHORIZATION, token.authorization());
        Ok(token)
    }

    async fn prove<B>(&self, request: &mut Request<B>, token: &ExchangedToken) -> Result<(), OutgoingError> {
        let proof = self.client.proof(request.method(), request.uri(), token).await.map_err(OutgoingError::Exchange)?;
        request.headers_mut().insert(DPOP, proof);
        Ok(())
    }
}

/// The place in a request that contains the subject token.
fn place_of(subject: &SubjectToken, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let finder = memmem::Finder::new(subject.presented().text.expose());
    if uri.path_and_query().is_some_and(|text| finder.find(text.as_str().as_bytes()).is_some()) {
        return Some("URI".to_owned());
    }
    let found = headers.iter().find(|(_, value)| finder.find(value.as_bytes()).is_some());
    found.map(|(name, _)| format!("header `{name}`"))
}

/// The same request with an empty body.
fn without_body<B: Default>(request: &Request<B>) -> Request<B> {
    let mut copy = Request::new(B::default());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}

/// Whether a resource server asks for another nonce (RFC 9449 section 9).
fn asks_for_nonce<R>(response: &Response<R>) -> bool {
    let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
    response.status() == StatusCode::UNAUTHORIZED
        && challenges.iter().any(|value| memmem::find(value.as_bytes(), b"use_dpop_nonce").is_some())
}

impl fmt::Debug for OutgoingExchangeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingExchangeLayer")
            .field("client", &self.client)
            .field("destinations", &self.table.values().collect::<Vec<_>>())
            .finish()
    }
}

impl<S> fmt::Debug for OutgoingExchange<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingExchange").field("layer", &self.layer).finish_non_exhaustive()
    }
}
