//! The layer for outgoing HTTP clients: each request gets the token of its destination, or is not sent.

use super::*;
use axum::{Router, extract::Request as AxumRequest};
use http_body_util::{Empty, Full};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;
use tower::{BoxError, ServiceBuilder};
use tower_http::follow_redirect::FollowRedirectLayer;
use tower_token_exchange::{
    caller::{
        Destination, ExchangeError, OutgoingError, OutgoingExchangeLayer, SubjectToken, current_subject_token,
        with_subject_token,
    },
    signing::{Algorithm, LocalSigner},
};

const INCOMING: &str = "incoming-token-of-alice";

/// A service over HTTP that remembers the headers of its requests.
struct Api {
    url: String,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Api {
    async fn start() -> Self {
        Self::answering(|_| Response::new(axum::body::Body::empty())).await
    }

    async fn answering(answer: impl Fn(usize) -> Response<axum::body::Body> + Clone + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let app = Router::new().fallback(move |request: AxumRequest| {
            let mut log = log.lock().unwrap();
            log.push(request.headers().clone());
            std::future::ready(answer(log.len() - 1))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The values of a header in all requests.
    fn values(&self, name: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().flat_map(|headers| headers.get_all(name)).map(|value| value.to_str().unwrap().to_owned()).collect()
    }
}

/// A client whose tokens name their subject token and their target.
fn naming_client() -> ExchangeClient {
    let server = Server::default();
    client_of(server.answering(|seen, _| {
        reply(200, issued(&format!("{}-for-{}", seen.value("subject_token").len(), seen.value("audience")), json!({})))
    }))
    .build()
    .unwrap()
}

fn http() -> HttpClient<HttpConnector, Full<Bytes>> {
    HttpClient::builder(TokioExecutor::new()).build_http()
}

fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).body(Full::default()).unwrap()
}

/// The error of a request that was not sent.
fn refused<T>(outcome: Result<T, BoxError>) -> OutgoingError {
    *outcome.map(drop).unwrap_err().downcast().expect("an OutgoingError")
}

#[tokio::test]
async fn a_destination_gets_its_own_token_only() {
    let mut world = plan().start().await;
    let (billing, other) = (Api::start().await, Api::start().await);
    let layer = OutgoingExchangeLayer::new(
        client_of(served_by(&world)).build().unwrap(),
        [
            Destination::new(&billing.url).target("billing").scope("read"),
            Destination::new(&other.url).resource("https://billing.example/api").scope("write"),
        ],
    );
    let service = ServiceBuilder::new().layer(layer.unwrap()).service(http());
    let subject = world.own.access_token(json!({}));
    with_subject_token(&*subject, async {
        for url in [&billing.url, &other.url] {
            let response = service.clone().oneshot(get(&format!("{url}/invoices?a=b"))).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        }
    })
    .await;
    for (api, scope) in [(&billing, "read"), (&other, "write")] {
        let [authorization] = &api.values("authorization")[..] else { panic!("one request") };
        let token = authorization.strip_prefix("Bearer ").unwrap();
        let claims = claims_of(token);
        assert_eq!((&claims["sub"], &claims["scope"]), (&json!("alice"), &json!(scope)));
        assert_ne!(token, subject);
    }
    assert_eq!((world.reason().await, world.reason().await), (None, None));
}

#[tokio::test]
async fn an_origin_outside_of_the_table_gets_nothing() {
    let (known, unknown) = (Api::start().await, Api::start().await);
    let port = known.url.rsplit(':').next().unwrap();
    let layer = OutgoingExchangeLayer::new(naming_client(), [Destination::new(&known.url).target("billing")]).unwrap();
    let service = layer_over(layer, http());
    for (name, uri) in [
        ("another port", format!("{}/", unknown.url)),
        ("another name of the host", format!("http://localhost:{port}/")),
        ("another scheme", format!("https://127.0.0.1:{port}/")),
        ("a longer host", format!("http://127.0.0.1.evil.example:{port}/")),
        ("the default port", "http://127.0.0.1/".to_owned()),
    ] {
        let outcome = with_subject_token(INCOMING, service.clone().oneshot(get(&uri))).await;
        let error = refused(outcome);
        assert!(matches!(error, OutgoingError::UnknownOrigin { .. }), "{name}: {error}");
        assert!(error.to_string().contains("add a `Destination`"), "{error}");
    }
    for uri in ["/invoices".to_owned(), format!("http://user@127.0.0.1:{port}/")] {
        let outcome = with_subject_token(INCOMING, service.clone().oneshot(get(&uri))).await;
        assert!(matches!(refused(outcome), OutgoingError::NoOrigin), "{uri}");
    }
    let mut other_host = get(&known.url);
    other_host.headers_mut().insert("host", "evil.example".parse().unwrap());
    let outcome = with_subject_token(INCOMING, service.clone().oneshot(other_host)).await;
    assert!(matches!(refused(outcome), OutgoingError::OtherHost));
    assert_eq!((known.count(), unknown.count()), (0, 0));
}

fn layer_over<S>(layer: OutgoingExchangeLayer, service: S) -> tower_token_exchange::caller::OutgoingExchange<S> {
    tower::Layer::layer(&layer, service)
}

#[tokio::test]
async fn the_incoming_token_is_never_forwarded() {
    let api = Api::start().await;
    let client = naming_client();
    let layer = OutgoingExchangeLayer::new(client, [Destination::new(&api.url).target("billing")]).unwrap();
    let service = layer_over(layer, http());
    // A proxy that copies the headers of the incoming request.
    let mut copied = get(&api.url);
    copied.headers_mut().append("authorization", format!("Bearer {INCOMING}").parse().unwrap());
    copied.headers_mut().append("authorization", "Basic b3JkZXJzOng=".parse().unwrap());
    copied.headers_mut().append("dpop", "the.old.proof".parse().unwrap());
    with_subject_token(INCOMING, service.clone().oneshot(copied)).await.unwrap();
    assert_eq!(api.values("authorization"), [format!("Bearer {}-for-billing", INCOMING.len())]);
    assert!(api.values("dpop").is_empty());

    let with_header = |name: &'static str, value: String| {
        let mut request = get(&api.url);
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    for (name, request) in [
        ("URI", get(&format!("{}/?access_token={INCOMING}", api.url))),
        ("URI", get(&format!("{}/{INCOMING}/x", api.url))),
        ("header `x-forwarded-access-token`", with_header("x-forwarded-access-token", INCOMING.into())),
        ("header `cookie`", with_header("cookie", format!("a=b; session={INCOMING}; c=d"))),
    ] {
        let outcome = with_subject_token(INCOMING, service.clone().oneshot(request)).await;
        let error = refused(outcome);
        assert!(matches!(&error, OutgoingError::SubjectTokenInRequest { place } if place == name), "{error}");
        assert!(!format!("{error} {error:?}").contains(INCOMING));
    }
    assert_eq!(api.count(), 1);
}

#[tokio::test]
async fn the_inner_client_never_sees_the_subject_token() {
    let inner = tower::service_fn(|request: Request<Empty<Bytes>>| async move {
        assert!(request.extensions().get::<SubjectToken>().is_none());
        Ok::<_, Infallible>(Response::new(request.headers()["authorization"].to_str().unwrap().to_owned()))
    });
    let destination = Destination::new("https://billing.example").target("billing");
    let service = layer_over(OutgoingExchangeLayer::new(naming_client(), [destination]).unwrap(), inner);
    let mut request = Request::get("https://BILLING.example.:443/").body(Empty::new()).unwrap();
    request.extensions_mut().insert(SubjectToken::from("of-the-extensions"));
    // The token of the request counts, and not the token of the task.
    let response = with_subject_token(INCOMING, service.oneshot(request)).await.unwrap();
    assert_eq!(response.body(), &format!("Bearer {}-for-billing", "of-the-extensions".len()));
}

#[tokio::test]
async fn a_request_without_a_token_is_not_sent() {
    let api = Api::start().await;
    let service = |client| {
        layer_over(OutgoingExchangeLayer::new(client, [Destination::new(&api.url).target("billing")]).unwrap(), http())
    };
    let outcome = service(naming_client()).oneshot(get(&api.url)).await;
    assert!(matches!(refused(outcome), OutgoingError::NoSubjectToken));
    let server = Server::default();
    let refusing =
        client_of(server.answering(|_, _| reply(400, json!({ "error": "invalid_target" })))).build().unwrap();
    let outcome = with_subject_token(INCOMING, service(refusing).oneshot(get(&api.url))).await;
    let error = refused(outcome);
    assert!(matches!(&error, OutgoingError::Exchange(ExchangeError::Refused(_))), "{error}");
    assert_eq!(api.count(), 0);
    // A spawned task has no token of the request.
    let spawned = with_subject_token(INCOMING, async { tokio::spawn(async { current_subject_token() }).await }).await;
    assert_eq!(spawned.unwrap(), None);
}

#[tokio::test]
async fn concurrent_requests_keep_their_own_subjects() {
    let api = Api::start().await;
    let layer = OutgoingExchangeLayer::new(naming_client(), [Destination::new(&api.url).target("billing")]).unwrap();
    let inner = tower::service_fn(|request: Request<Full<Bytes>>| async move {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(request.headers()["authorization"].clone()))
    });
    let service = layer_over(layer, inner);
    let calls = (1..200_usize).map(|length| {
        let (service, request) = (service.clone(), get(&api.url));
        tokio::spawn(with_subject_token("x".repeat(length), async move {
            let response = service.oneshot(request).await.unwrap();
            assert_eq!(response.body().to_str().unwrap(), format!("Bearer {length}-for-billing"));
        }))
    });
    futures_util::future::try_join_all(calls.collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn a_redirect_gets_no_token_of_another_origin() {
    let (evil, ledger) = (Api::start().await, Api::start().await);
    for (to, is_known) in [(&evil, false), (&ledger, true)] {
        let location = format!("{}/elsewhere", to.url);
        let billing = Api::answering(move |_| {
            let redirect = Response::builder().status(307).header("location", &*location);
            redirect.body(axum::body::Body::empty()).unwrap()
        })
        .await;
        let table = [Destination::new(&billing.url).target("billing"), Destination::new(&ledger.url).target("ledger")];
        let layer = || OutgoingExchangeLayer::new(naming_client(), table.clone()).unwrap();
        // The layer returns a redirect as it is.
        let response =
            with_subject_token(INCOMING, layer_over(layer(), http()).oneshot(get(&billing.url))).await.unwrap();
        assert_eq!(response.status(), 307);
        assert_eq!(to.count(), 0);
        // Outside of the layer, each further request is checked.
        let following = ServiceBuilder::new().layer(FollowRedirectLayer::new()).layer(layer()).service(http());
        let outcome = with_subject_token(INCOMING, following.oneshot(get(&billing.url))).await;
        assert_eq!(outcome.is_ok(), is_known);
    }
    assert_eq!(evil.count(), 0);
    assert_eq!(ledger.values("authorization"), [format!("Bearer {}-for-ledger", INCOMING.len())]);
}

#[tokio::test]
async fn a_bound_token_is_sent_with_its_proof() {
    let server = Server::default();
    let answering = server.answering(|_, _| reply(200, issued("bound", json!({ "token_type": "DPoP" }))));
    let key = LocalSigner::generate(Algorithm::ES256).unwrap();
    let client = client_of(answering).dpop(key).build().unwrap();
    // A resource server that asks for a nonce in the first request, and for another in the fourth.
    let api = Api::answering(|earlier| {
        let mut response = Response::builder();
        if matches!(earlier, 0 | 3) {
            response = response
                .status(401)
                .header("www-authenticate", r#"DPoP error="use_dpop_nonce""#)
                .header("dpop-nonce", format!("nonce-{earlier}"));
        }
        response.body(axum::body::Body::empty()).unwrap()
    })
    .await;
    let layer = OutgoingExchangeLayer::new(client, [Destination::new(&api.url).target("billing")]).unwrap();
    let service = layer_over(layer, http());
    let uri = format!("{}/invoices?a=b", api.url);
    let post = || Request::post(&uri).body(Full::from("body")).unwrap();
    for (request, status) in [(get(&uri), 200), (get(&uri), 200), (post(), 401), (post(), 200)] {
        let response = with_subject_token(INCOMING, service.clone().oneshot(request)).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(api.values("authorization"), ["DPoP bound"; 5]);
    let proofs: Vec<Value> = api.values("dpop").iter().map(|proof| claims_of(proof)).collect();
    let nonces: Vec<&Value> = proofs.iter().map(|proof| &proof["nonce"]).collect();
    let nonce = |text: &str| json!(text);
    let (first, fourth) = (nonce("nonce-0"), nonce("nonce-3"));
    assert_eq!(nonces, [&Value::Null, &first, &first, &first, &fourth]);
    for proof in &proofs {
        assert_eq!(proof["htu"], format!("{}/invoices", api.url));
        assert!(proof["ath"].is_string());
    }
    assert_eq!(server.count(), 1);
}

#[test]
fn a_mistake_in_the_table_is_reported() {
    let table = |destinations: Vec<Destination>| OutgoingExchangeLayer::new(naming_client(), destinations).map(drop);
    for (destination, problem) in [
        (Destination::new("billing.example").target("b"), "is no origin"),
        (Destination::new("https://billing.example/api").target("b"), "is no origin"),
        (Destination::new("ftp://billing.example").target("b"), "is no origin"),
        (Destination::new("https://user@billing.example").target("b"), "is no origin"),
        (Destination::new("http://billing.example").target("b"), "call `allow_http`"),
        (Destination::new("https://billing.example"), "has no target"),
    ] {
        let error = table(vec![destination]).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let twice =
        ["https://billing.example", "https://Billing.example:443/"].map(|url| Destination::new(url).target("b"));
    assert!(table(twice.into()).unwrap_err().to_string().contains("is listed twice"));
    let mesh = Destination::new("http://billing.example").target("b").allow_http();
    assert_eq!(table(vec![mesh, Destination::new("http://127.0.0.1:1").target("b")]), Ok(()));
}
