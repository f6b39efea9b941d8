//! The layer composes with common middleware, outside and inside of the layer, in one stack and in two.

#![cfg(feature = "axum")]

use crate::support::*;
use axum::{
    Router,
    body::Body,
    error_handling::HandleErrorLayer,
    extract::DefaultBodyLimit,
    middleware::{Next, from_fn},
    routing::{Route, get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper_util::{
    client::legacy::Client as HttpClient,
    rt::{TokioExecutor, TokioIo},
};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;
use tower::{
    BoxError, Layer, Service, ServiceBuilder,
    buffer::BufferLayer,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
    load_shed::LoadShedLayer,
    service_fn,
};
use tower_http::{
    compression::CompressionLayer,
    cors::CorsLayer,
    limit::RequestBodyLimitLayer,
    timeout::{
        RequestBodyDeadlineLayer, RequestBodyTimeoutLayer, ResponseBodyDeadlineLayer, ResponseBodyTimeoutLayer,
        TimeoutLayer,
    },
    trace::TraceLayer,
};
use tower_token_exchange::{
    Reason, TokenExchange, TokenExchangeLayer,
    body::{Replay, RequestBody, ResponseBody},
    policy::{Decision, Query},
};

const FORM: &str = "application/x-www-form-urlencoded";
const ORDINARY: &str = "grant_type=refresh_token&refresh_token=1";
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

/// A layer and an exchange form for it.
struct World {
    exchange: TokenExchangeLayer,
    form: String,
}

fn world() -> World {
    of(plan())
}

/// A world whose policy never answers.
fn hanging() -> World {
    of(plan()
        .with(|builder| builder.policy(service_fn(|_: Query| std::future::pending::<Result<Decision, BoxError>>()))))
}

fn of(plan: Plan) -> World {
    let token = plan.own.access_token(serde_json::json!({}));
    World { exchange: plan.builder.build().unwrap(), form: encode(&exchange_form(&token, &[])) }
}

/// The wrapped endpoint, which answers with the body of the request.
fn old() -> Router {
    Router::new().route("/token", post(|body: Bytes| async move { body })).route("/slow", get(pause))
}

async fn pause() {
    tokio::time::sleep(LONG).await;
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

type SentBody = UnsyncBoxBody<Bytes, BoxError>;

fn full(text: &str) -> SentBody {
    Full::from(text.to_owned()).map_err(BoxError::from).boxed_unsync()
}

/// Sends a request over HTTP/1.1 and reads the whole answer.
async fn send(request: Request<SentBody>) -> (StatusCode, HeaderMap, Bytes) {
    let client = HttpClient::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes())
}

fn token_request(url: &str, form: &str) -> Request<SentBody> {
    Request::post(format!("{url}/token"))
        .header(header::CONTENT_TYPE, FORM)
        .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")))
        .header(header::ORIGIN, "https://app.example")
        .body(full(form))
        .unwrap()
}

fn accepting_gzip(mut request: Request<SentBody>) -> Request<SentBody> {
    request.headers_mut().insert(header::ACCEPT_ENCODING, "gzip".parse().unwrap());
    request
}

fn preflight(url: &str) -> Request<SentBody> {
    Request::options(format!("{url}/token"))
        .header(header::ORIGIN, "https://app.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .body(full(""))
        .unwrap()
}

/// Checks that another grant reaches the wrapped endpoint unchanged and that an exchange is answered with a token.
async fn works(name: &str, app: Router, form: &str) {
    let url = serve(app).await;
    let (status, _, body) = send(token_request(&url, ORDINARY)).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, ORDINARY.as_bytes()), "{name}: an ordinary grant");
    let (status, headers, body) = send(token_request(&url, form)).await;
    assert_eq!(status, StatusCode::OK, "{name}: {body:?}");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{name}");
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(crate::support::segment(answer["access_token"].as_str().unwrap(), 1)["act"]["sub"], "orders", "{name}");
}

/// Puts a layer outside and inside of the exchange, in one stack and with axum's box in between.
macro_rules! composes {
    ($($name:literal: $layer:expr,)*) => {
        $(
            let World { exchange, form } = world();
            let one = ServiceBuilder::new().layer($layer).layer(exchange.clone());
            works(concat!($name, " outside"), old().layer(one), &form).await;
            let one = ServiceBuilder::new().layer(exchange.clone()).layer($layer);
            works(concat!($name, " inside"), old().layer(one), &form).await;
            works(concat!($name, " outside, boxed"), old().layer(exchange.clone()).layer($layer), &form).await;
            works(concat!($name, " inside, boxed"), old().layer($layer).layer(exchange), &form).await;
        )*
    };
}

/// The answer of axum to the error of a layer.
macro_rules! fallible {
    ($layer:expr) => {
        ServiceBuilder::new().layer(HandleErrorLayer::new(unavailable)).layer($layer)
    };
}

async fn unavailable(error: BoxError) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn pass(request: Request<Body>, next: Next) -> Response<Body> {
    next.run(request).await
}

/// A second token exchange layer.
fn another() -> TokenExchangeLayer {
    plan().with(|builder| builder.endpoint("/other")).builder.build().unwrap()
}

#[tokio::test]
async fn body_keeping_layers_work_on_both_sides() {
    composes! {
        "from_fn": from_fn(pass),
        "trace": TraceLayer::new_for_http(),
        "cors": CorsLayer::permissive(),
        "timeout": TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONG),
        "response body timeout": ResponseBodyTimeoutLayer::new(LONG),
        "response body deadline": ResponseBodyDeadlineLayer::new(LONG),
        "compression": CompressionLayer::new(),
        "default body limit": DefaultBodyLimit::max(1024 * 1024),
        "another exchange": another(),
    }
}

#[tokio::test]
async fn layers_of_tower_work_on_both_sides() {
    composes! {
        "concurrency limit": ConcurrencyLimitLayer::new(1),
        "load shed": fallible!(LoadShedLayer::new()),
        "buffer": fallible!(BufferLayer::<Request<Body>>::new(8)),
        "tower timeout": fallible!(tower::timeout::TimeoutLayer::new(LONG)),
        "limit and shed": fallible!(ServiceBuilder::new().load_shed().concurrency_limit(1)),
    }
}

#[tokio::test]
async fn an_inner_error_can_be_handled_outside() {
    let World { exchange, form } = world();
    let stack = |limit| {
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(unavailable))
            .layer(exchange.clone())
            .load_shed()
            .buffer::<Request<Body>>(8)
            .concurrency_limit(8)
            .timeout(limit)
    };
    works("a fallible stack inside", old().layer(stack(LONG)), &form).await;
    let url = serve(old().layer(stack(SHORT))).await;
    let (status, _, body) = send(Request::get(format!("{url}/slow")).body(full("")).unwrap()).await;
    assert_eq!((status, &body[..]), (StatusCode::SERVICE_UNAVAILABLE, &b"request timed out"[..]));
}

/// These layers change the request body type. In one stack, a line changes the type back. Between two calls of
/// `Router::layer`, axum's box does.
#[tokio::test]
async fn a_changed_body_must_be_changed_back() {
    macro_rules! changes_back {
        ($($name:literal: $layer:expr,)*) => {
            $(
                let World { exchange, form } = world();
                let one = ServiceBuilder::new()
                    .layer($layer)
                    .map_request(|request: Request<_>| request.map(Body::new))
                    .layer(exchange.clone());
                works(concat!($name, " outside"), old().layer(one), &form).await;
                let one = ServiceBuilder::new()
                    .layer($layer)
                    .map_request(|request: Request<_>| request.map(BodyExt::boxed_unsync))
                    .layer(exchange.clone());
                works(concat!($name, " outside, another box"), old().layer(one), &form).await;
                let one = ServiceBuilder::new().layer(exchange.clone()).layer($layer);
                works(concat!($name, " inside"), old().layer(one), &form).await;
                works(concat!($name, " outside, boxed"), old().layer(exchange.clone()).layer($layer), &form).await;
                works(concat!($name, " inside, boxed"), old().layer($layer).layer(exchange), &form).await;
            )*
        };
    }
    changes_back! {
        "body limit": RequestBodyLimitLayer::new(64 * 1024),
        "body timeout": RequestBodyTimeoutLayer::new(LONG),
        "body deadline": RequestBodyDeadlineLayer::new(LONG),
    }
    // `Replay` needs an `Unpin` body, and a timer is not `Unpin`.
    let World { exchange, form } = world();
    let one = ServiceBuilder::new()
        .layer(RequestBodyLimitLayer::new(64 * 1024))
        .map_request(|request: Request<_>| request.map(Replay::new))
        .layer(exchange);
    works("body limit outside, replayed", old().layer(one), &form).await;
}

#[tokio::test]
async fn all_layers_work_together() {
    let World { exchange, form } = world();
    let stack = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(from_fn(pass))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONG))
        .layer(HandleErrorLayer::new(unavailable))
        .load_shed()
        .concurrency_limit(8)
        .layer(RequestBodyLimitLayer::new(64 * 1024))
        .map_request(|request: Request<_>| request.map(Body::new))
        .layer(exchange)
        .buffer::<Request<Body>>(8)
        .layer(CorsLayer::new())
        .layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONG))
        .layer(from_fn(pass))
        .layer(TraceLayer::new_for_http());
    works("everything", old().layer(stack), &form).await;
}

/// The solutions for combinations that do not compile.
#[tokio::test]
async fn every_solution_of_the_page_works() {
    let World { exchange, form } = world();
    // Both arms of an optional layer must have the same response body.
    let same_body = ServiceBuilder::new()
        .map_response(|response: Response<ResponseBody<Body>>| response.map(Body::new))
        .layer(exchange.clone())
        .into_inner();
    let optional = ServiceBuilder::new().option_layer(Some(same_body));
    works("option_layer", old().layer(optional), &form).await;

    // A buffer makes a service cloneable.
    let stack = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(unavailable))
        .layer(exchange.clone())
        .buffer::<Request<Body>>(8)
        .rate_limit(100, LONG);
    works("rate limit inside", old().layer(stack), &form).await;

    // The body of trace has no default, which the timeout around trace needs.
    let stack = ServiceBuilder::new()
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONG))
        .layer(exchange)
        .map_response(|response: Response<_>| response.map(Body::new))
        .layer(TraceLayer::new_for_http());
    works("timeout around trace", old().layer(stack), &form).await;
}

#[tokio::test]
async fn every_place_in_a_router_works() {
    let World { exchange, form } = world();
    let echo = |body: Bytes| async move { body };
    let apps = [
        ("router", Router::new().route("/token", post(echo)).layer(exchange.clone())),
        ("routes", Router::new().route("/token", post(echo)).route_layer(exchange.clone())),
        ("method router", Router::new().route("/token", post(echo).layer(exchange.clone()))),
        ("service", Router::new().route_service("/token", exchange.layer(post(echo)))),
        ("fallback", Router::new().fallback_service(exchange.layer(Router::new().route("/token", post(echo))))),
        ("merged", Router::new().merge(Router::new().route("/token", post(echo)).layer(exchange.clone()))),
    ];
    for (name, app) in apps {
        works(name, app, &form).await;
    }
}

#[tokio::test]
async fn only_an_outer_layer_sees_the_reason() {
    let (outer, inner) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (outside, inside) = (Arc::clone(&outer), Arc::clone(&inner));
    let stack = ServiceBuilder::new()
        .layer(from_fn(move |request: Request<Body>, next: Next| {
            let seen = Arc::clone(&outside);
            async move {
                let response = next.run(request).await;
                seen.lock().unwrap().push(response.extensions().get::<Reason>().map(|reason| reason.code()));
                response
            }
        }))
        .layer(world().exchange)
        .layer(from_fn(move |request: Request<Body>, next: Next| {
            inside.lock().unwrap().push(request.method().clone());
            next.run(request)
        }));
    let url = serve(old().layer(stack)).await;
    let (status, ..) = send(token_request(&url, ORDINARY)).await;
    assert_eq!(status, StatusCode::OK);
    let refused = encode(&exchange_form("not.a.token", &[]));
    let (status, ..) = send(token_request(&url, &refused)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(*outer.lock().unwrap(), [None, Some("token_malformed")]);
    assert_eq!(*inner.lock().unwrap(), [Method::POST]);
}

#[tokio::test]
async fn cors_belongs_outside() {
    let World { exchange, form } = world();
    let outside =
        serve(old().layer(ServiceBuilder::new().layer(CorsLayer::permissive()).layer(exchange.clone()))).await;
    let (status, headers, _) = send(preflight(&outside)).await;
    assert_eq!((status, &headers[header::ACCESS_CONTROL_ALLOW_ORIGIN]), (StatusCode::OK, &"*".parse().unwrap()));
    for form in [ORDINARY, &form, "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"] {
        let (_, headers, _) = send(token_request(&outside, form)).await;
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }

    // Inside, CORS answers the preflight request but never sees the exchange.
    let inside = serve(old().layer(ServiceBuilder::new().layer(exchange).layer(CorsLayer::permissive()))).await;
    let (status, headers, _) = send(preflight(&inside)).await;
    assert_eq!((status, &headers[header::ACCESS_CONTROL_ALLOW_ORIGIN]), (StatusCode::OK, &"*".parse().unwrap()));
    let (status, headers, _) = send(token_request(&inside, &form)).await;
    assert_eq!((status, headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (StatusCode::OK, None));
}

#[tokio::test]
async fn only_outer_compression_compresses_an_exchange() {
    let World { exchange, form } = world();
    let outside = old().layer(ServiceBuilder::new().layer(CompressionLayer::new()).layer(exchange.clone()));
    let inside = old().layer(ServiceBuilder::new().layer(exchange).layer(CompressionLayer::new()));
    for (app, form, compressed) in
        [(&outside, &form[..], true), (&inside, &form, false), (&outside, ORDINARY, true), (&inside, ORDINARY, true)]
    {
        let (status, headers, body) = send(accepting_gzip(token_request(&serve(app.clone()).await, form))).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers.contains_key(header::CONTENT_ENCODING), compressed);
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), compressed);
    }
}

#[tokio::test]
async fn an_outer_timeout_ends_an_exchange() {
    let World { exchange, form } = hanging();
    let by_response = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, SHORT);
    let url = serve(old().layer(ServiceBuilder::new().layer(by_response).layer(exchange.clone()))).await;
    let (status, _, body) = send(token_request(&url, &form)).await;
    assert_eq!((status, &body[..]), (StatusCode::GATEWAY_TIMEOUT, &b""[..]));

    let by_error = fallible!(tower::timeout::TimeoutLayer::new(SHORT));
    let url = serve(old().layer(ServiceBuilder::new().layer(by_error).layer(exchange))).await;
    let (status, _, body) = send(token_request(&url, &form)).await;
    assert_eq!((status, &body[..]), (StatusCode::SERVICE_UNAVAILABLE, &b"request timed out"[..]));
}

#[tokio::test]
async fn only_an_outer_limit_counts_an_exchange() {
    for (outside, expected) in [(true, StatusCode::SERVICE_UNAVAILABLE), (false, StatusCode::OK)] {
        let asked = Arc::new(tokio::sync::Semaphore::new(0));
        let tell = Arc::clone(&asked);
        let hangs = service_fn(move |_: Query| {
            tell.add_permits(1);
            std::future::pending::<Result<Decision, BoxError>>()
        });
        let World { exchange, form } = of(plan().with(|builder| builder.policy(hangs)));
        // The limit is global, because axum applies a layer again for every connection.
        let limit = fallible!(ServiceBuilder::new().load_shed().layer(GlobalConcurrencyLimitLayer::new(1)));
        let app = if outside { old().layer(exchange).layer(limit) } else { old().layer(limit).layer(exchange) };
        let url = serve(app).await;
        let exchanging = tokio::spawn(send(token_request(&url, &form)));
        asked.acquire().await.unwrap().forget();
        let (status, ..) = send(token_request(&url, ORDINARY)).await;
        assert_eq!(status, expected, "outside: {outside}");
        exchanging.abort();
    }
}

/// The extractors of axum apply this limit, and an exchange uses no extractor.
#[tokio::test]
async fn the_default_body_limit_ignores_exchanges() {
    let World { exchange, form } = world();
    let url = serve(old().layer(ServiceBuilder::new().layer(DefaultBodyLimit::max(8)).layer(exchange))).await;
    for (form, expected) in [(ORDINARY, StatusCode::PAYLOAD_TOO_LARGE), (&form, StatusCode::OK)] {
        let (status, ..) = send(token_request(&url, form)).await;
        assert_eq!(status, expected);
    }
}

/// An outer limit cuts off the form, so the layer cannot see the grant and passes the form.
#[tokio::test]
async fn the_refusal_of_an_outer_limit_stays() {
    let World { exchange, form } = world();
    let stack = ServiceBuilder::new()
        .layer(RequestBodyLimitLayer::new(64))
        .map_request(|request: Request<_>| request.map(Body::new))
        .layer(exchange);
    let with = serve(old().layer(stack)).await;
    let without = serve(old().layer(RequestBodyLimitLayer::new(64))).await;
    for url in [with, without] {
        let (status, ..) = send(token_request(&url, &form)).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "by the length that it says it has");

        let frames = futures_util::stream::iter([Ok::<_, BoxError>(http_body::Frame::data(Bytes::from(form.clone())))]);
        let request = token_request(&url, "").map(|_| StreamBody::new(frames).boxed_unsync());
        let (status, ..) = send(request).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "by its bytes");
    }
}

/// A hyper service without axum, with a body of hyper, an error type of its own, and layers on both sides.
#[tokio::test]
async fn a_hyper_service_composes() {
    async fn echo(request: Request<Replay<hyper::body::Incoming>>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        Ok(Response::new(Full::new(request.into_body().collect().await?.to_bytes())))
    }
    let World { exchange, form } = world();
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .timeout(LONG)
        .load_shed()
        .concurrency_limit(8)
        .map_request(|request: Request<_>| request.map(Replay::new))
        .layer(exchange)
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONG))
        .layer(CompressionLayer::new())
        .service_fn(echo);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper_util::service::TowerToHyperService::new(service.clone());
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await.is_ok() });
        }
    });
    for (form, compressed) in [(ORDINARY, true), (&form, false)] {
        let (status, _, body) = send(accepting_gzip(token_request(&url, form))).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), compressed, "the inner layer sees the ordinary grant only");
    }
}

fn is<S, B, E, R>()
where
    S: Service<Request<B>, Response = Response<R>, Error = E, Future: Send> + Clone + Send,
{
}

/// If this function compiles, the layer keeps the request body type, the error type and the default of the response body
/// of every service.
#[allow(dead_code, reason = "only the compiler looks at it")]
fn keeps_types<S, B, R>()
where
    S: Service<Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: RequestBody,
    R: Default + 'static,
{
    fn has_default<R: Default>() {}
    is::<TokenExchange<S>, B, S::Error, ResponseBody<R>>();
    has_default::<ResponseBody<R>>();
}

#[test]
fn the_layer_adds_no_error_type() {
    fn is_shared<T: Clone + Send + Sync + Unpin + 'static>() {}
    is::<TokenExchange<Route>, Body, Infallible, ResponseBody<Body>>();
    is::<TokenExchange<Router>, Body, Infallible, ResponseBody<Body>>();
    is::<TokenExchange<TokenExchange<Route>>, Body, Infallible, ResponseBody<ResponseBody<Body>>>();
    is_shared::<TokenExchange<Route>>();
    is_shared::<TokenExchangeLayer>();
}

#[cfg(feature = "tonic")]
mod in_tonic {
    use super::*;
    use http::Version;
    use std::convert::Infallible;
    use tonic::{
        Status,
        body::Body,
        server::NamedService,
        service::{InterceptorLayer, Routes},
        transport::{Server, server::TcpIncoming},
    };

    /// A service that answers every call with an empty message, in place of generated code.
    #[derive(Clone)]
    struct Greeter;

    impl NamedService for Greeter {
        const NAME: &str = "example.Greeter";
    }

    impl Service<Request<Body>> for Greeter {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            let message = Full::new(Bytes::from_static(&[0; 5]));
            let trailers = HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), 0.into())]);
            let body = Body::new(message.with_trailers(std::future::ready(Some(Ok(trailers)))));
            let response = Response::builder().header(header::CONTENT_TYPE, "application/grpc").body(body);
            std::future::ready(Ok(response.unwrap()))
        }
    }

    fn routes() -> Routes {
        Routes::from(Routes::default().into_axum_router().merge(old())).add_service(Greeter)
    }

    fn nothing_to_say(request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        Ok(request)
    }

    /// Checks another grant and an exchange over HTTP/1.1 and HTTP/2, and a gRPC call.
    async fn works(name: &str, url: &str, form: &str) {
        for http2 in [false, true] {
            let client = HttpClient::builder(TokioExecutor::new()).http2_only(http2).build_http();
            let response = client.request(token_request(url, ORDINARY)).await.unwrap();
            assert_eq!(response.version() == Version::HTTP_2, http2);
            assert_eq!(response.collect().await.unwrap().to_bytes(), ORDINARY, "{name}");
            let response = client.request(token_request(url, form)).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            let answer: serde_json::Value =
                serde_json::from_slice(&response.collect().await.unwrap().to_bytes()).unwrap();
            assert_eq!(
                crate::support::segment(answer["access_token"].as_str().unwrap(), 1)["act"]["sub"],
                "orders",
                "{name}"
            );
        }
        let client = HttpClient::builder(TokioExecutor::new()).http2_only(true).build_http();
        let call = Request::post(format!("{url}/example.Greeter/Greet"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(Full::new(Bytes::from_static(&[0; 5])))
            .unwrap();
        let answer = client.request(call).await.unwrap().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0", "{name}");
        assert_eq!(answer.to_bytes(), [0; 5][..], "{name}");
    }

    macro_rules! composes {
        ($($name:literal: $stack:expr,)*) => {
            $(
                let World { exchange, form } = world();
                let stack = $stack;
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("http://{}", listener.local_addr().unwrap());
                let server = Server::builder().accept_http1(true).layer(stack(exchange)).add_routes(routes());
                tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
                works($name, &url, &form).await;
            )*
        };
    }

    #[tokio::test]
    async fn layers_of_tonic_work_on_both_sides() {
        composes! {
            "alone": |exchange| exchange,
            "interceptor outside": |exchange| ServiceBuilder::new()
                .layer(InterceptorLayer::new(nothing_to_say))
                .layer(exchange),
            "interceptor inside": |exchange| ServiceBuilder::new()
                .layer(exchange)
                .layer(InterceptorLayer::new(nothing_to_say)),
            "tower-http outside": |exchange| ServiceBuilder::new()
                .layer(TraceLayer::new_for_grpc())
                .layer(CorsLayer::permissive())
                .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONG))
                .layer(exchange),
            "tower-http inside": |exchange| ServiceBuilder::new()
                .layer(exchange)
                .layer(CorsLayer::permissive())
                .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONG)),
            "trace inside": |exchange| ServiceBuilder::new().layer(exchange).layer(TraceLayer::new_for_grpc()),
            "tower outside": |exchange| ServiceBuilder::new()
                .load_shed()
                .concurrency_limit(8)
                .timeout(LONG)
                .buffer::<Request<Body>>(8)
                .layer(exchange),
            "tower inside": |exchange| ServiceBuilder::new()
                .layer(exchange)
                .load_shed()
                .concurrency_limit(8)
                .timeout(LONG)
                .buffer::<Request<Body>>(8),
            "body limit outside": |exchange| ServiceBuilder::new()
                .layer(RequestBodyLimitLayer::new(64 * 1024))
                .map_request(|request: Request<_>| request.map(Body::new))
                .layer(exchange),
            "body limit inside": |exchange| ServiceBuilder::new()
                .layer(exchange)
                .layer(RequestBodyLimitLayer::new(64 * 1024)),
        }
    }

    /// The limits of the server are outside of all layers.
    #[tokio::test]
    async fn the_limits_of_a_tonic_server_apply() {
        let World { exchange, form } = world();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder()
            .accept_http1(true)
            .timeout(LONG)
            .concurrency_limit_per_connection(8)
            .load_shed(true)
            .layer(TraceLayer::new_for_grpc())
            .layer(exchange)
            .add_routes(routes());
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        works("limits", &url, &form).await;
    }

    /// The same routes in an axum router need no feature `tonic`.
    #[tokio::test]
    async fn grpc_routes_work_in_axum() {
        let World { exchange, form } = world();
        let url = serve(routes().into_axum_router().layer(exchange)).await;
        works("axum", &url, &form).await;
    }

    #[test]
    fn a_tonic_server_keeps_its_types() {
        is::<TokenExchange<Routes>, Body, Infallible, ResponseBody<Body>>();
    }
}
