//! Under load, the authorization server is killed and restarted, keys rotate, and a change of the files is refused.
//!
//! `GATEWAY_LOAD_SECONDS` sets the duration. Default: 12.

use super::*;
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Request, header};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};
use tower::ServiceExt;
use tower_token_exchange::fetch::HttpFetch;

const WORKERS: usize = 8;
/// Longer than the deadline of an exchange.
const HANGS: Duration = Duration::from_secs(18);

/// The answers that a worker received.
#[derive(Default)]
struct Answers {
    tokens: Vec<String>,
    unavailable: u64,
    wrong: Vec<String>,
    longest: Duration,
}

async fn work(endpoint: String, token: String, stop: Arc<AtomicBool>) -> Answers {
    let fetch = HttpFetch::builder().allow_loopback_http().timeout(HANGS).build().unwrap();
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", EXCHANGE)
        .append_pair("subject_token", &token)
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("audience", "billing")
        .finish();
    let mut answers = Answers::default();
    while !stop.load(Ordering::Relaxed) {
        let request = Request::post(&endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(
                header::AUTHORIZATION,
                format!("Basic {}", BASE64.encode(format!("orders:{}", secret("orders")).as_bytes())),
            )
            .body(Bytes::from(form.clone()))
            .unwrap();
        let started = Instant::now();
        let response = fetch.clone().oneshot(request).await;
        answers.longest = answers.longest.max(started.elapsed());
        match response {
            Ok(response) => {
                let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
                let retry = response.headers().contains_key(header::RETRY_AFTER);
                match (response.status().as_u16(), &body["access_token"], &body["error"]) {
                    (200, Value::String(token), Value::Null) => answers.tokens.push(token.clone()),
                    (503, Value::Null, error) if error == "temporarily_unavailable" && retry => {
                        answers.unavailable += 1
                    }
                    (status, ..) => answers.wrong.push(format!("{status} {body}")),
                }
            }
            Err(error) => answers.wrong.push(error.to_string()),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    answers
}

/// The claims of a token, verified with one of these keys.
fn claims(token: &str, jwks: &Value) -> Value {
    let decoded = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let kid = serde_json::from_slice::<Value>(&decoded(header)).unwrap()["kid"].clone();
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap();
    let point = [&[4][..], &decoded(key["x"].as_str().unwrap()), &decoded(key["y"].as_str().unwrap())].concat();
    let signed = format!("{header}.{payload}");
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &decoded(signature)).unwrap();
    serde_json::from_slice(&decoded(payload)).unwrap()
}

impl World {
    /// Sends SIGHUP, and waits until the gateway has read the configuration again.
    fn reload(&self, result: &str) {
        let gateway = self.gateway();
        let before = gateway.count("gateway_reloads_total", &[result]);
        gateway.process.signal("-HUP");
        wait_for("the configuration was read", || gateway.count("gateway_reloads_total", &[result]) > before);
    }
}

#[test]
#[ignore = "needs the programs that .ci/run installs"]
fn no_answer_is_wrong_while_the_server_fails() {
    let mut world = World::start();
    let seconds = env::var("GATEWAY_LOAD_SECONDS").map_or(12, |seconds| seconds.parse().unwrap());
    let alice = world.login("https://orders.example");
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let endpoint = format!("{}/token", world.url());
    let workers: Vec<_> =
        (0..WORKERS).map(|_| runtime.spawn(work(endpoint.clone(), alice.clone(), Arc::clone(&stop)))).collect();

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut keys = vec!["first.pem".to_owned()];
    let mut refused = 0;
    while Instant::now() < end {
        sleep(Duration::from_secs(1));
        // The server is down for longer than accepted clients are remembered.
        world.provider.take();
        wait_for("the gateway notices that the server is down", || {
            world.gateway().count("token_exchange_attempts_total", &["authenticator_unavailable"]) > 0
        });
        sleep(Duration::from_secs(2));

        // While the server is down, a new key is published, and then becomes the active key.
        let (old, new) = (keys[keys.len() - 1].clone(), format!("key-{}.pem", keys.len()));
        world.folder.keygen(&new);
        world.configure(&format!("active = {{ file = {old:?} }}\npublished = [{}]", files(&keys, &[&new])));
        world.reload("taken");
        world.configure(&format!("active = {{ file = {new:?} }}\npublished = [{}]", files(&keys, &[])));
        world.reload("taken");
        keys.push(new);

        // A key file that does not exist: the change is refused.
        world.configure("active = { file = \"nowhere.pem\" }");
        world.reload("refused");
        let refusal = text(&world.gateway().health()["refused_change"]);
        assert!(refusal.contains("keys.active.file: ") && refusal.contains("nowhere.pem"), "{refusal}");
        refused += 1;

        world.start_provider();
        wait_for("the gateway is ready again", || world.gateway().is_ready());
        world.configure(&format!(
            "active = {{ file = {:?} }}\npublished = [{}]",
            keys[keys.len() - 1],
            files(&keys, &[])
        ));
        world.reload("taken");
    }
    sleep(Duration::from_secs(1));
    stop.store(true, Ordering::Relaxed);
    let answers: Vec<Answers> = runtime.block_on(async {
        let mut all = Vec::new();
        for worker in workers {
            all.push(tokio::time::timeout(HANGS, worker).await.expect("no worker hangs").unwrap());
        }
        all
    });

    for worker in &answers {
        assert!(worker.wrong.is_empty(), "{:?}", &worker.wrong[..worker.wrong.len().min(5)]);
        assert!(worker.longest < HANGS, "{:?}", worker.longest);
    }
    let jwks: Value = serde_json::from_str(&get(world.ports.0, "/jwks").unwrap().1).unwrap();
    let mut by_key: BTreeMap<String, u64> = BTreeMap::new();
    for token in answers.iter().flat_map(|worker| &worker.tokens) {
        let claims = claims(token, &jwks);
        assert_eq!((&claims["sub"], &claims["act"]), (&json!("alice"), &json!({ "sub": "orders" })));
        assert_eq!(claims["aud"], "https://billing.example");
        let header = token.split('.').next().unwrap();
        *by_key.entry(header.to_owned()).or_default() += 1;
    }
    let issued: u64 = by_key.values().sum();
    let unavailable: u64 = answers.iter().map(|worker| worker.unavailable).sum();
    // Every key signed tokens, and some requests failed while the server was down.
    assert_eq!(by_key.len(), keys.len());
    assert!(unavailable > 0 && issued > 100);

    // The counters and the audit agree with the clients.
    let gateway = world.gateway();
    let attempts = |labels: &[&str]| gateway.count("token_exchange_attempts_total", labels);
    assert_eq!((attempts(&["issued"]), attempts(&["outcome=\"error\""])), (issued, unavailable));
    assert_eq!(attempts(&[]), issued + unavailable);
    // SIGHUP reads a change again that the gateway has noticed itself.
    let reloads = |result: &str, changes: u64| {
        let count = gateway.count("gateway_reloads_total", &[result]);
        assert!((changes..=2 * changes).contains(&count), "{count} times {result}, {changes} changes");
    };
    reloads("taken", 3 * (keys.len() as u64 - 1));
    reloads("refused", refused);
    assert_eq!(gateway.count("gateway_upstream_up", &[]), 1);
    // Beyond the budget, one line counts several attempts, and is written a second later.
    let count = |line: &str| serde_json::from_str::<Value>(line).unwrap()["count"].as_u64().unwrap();
    wait_for("every attempt is in the audit", || {
        world.folder.read("audit.jsonl").lines().map(count).sum::<u64>() == issued + unavailable
    });
    println!(
        "{seconds} s: {issued} issued with {} keys, {unavailable} answered with 503, longest {:?}",
        keys.len(),
        answers.iter().map(|worker| worker.longest).max().unwrap()
    );
}

fn files(keys: &[String], more: &[&str]) -> String {
    let names = keys.iter().map(String::as_str).chain(more.iter().copied());
    names.map(|name| format!("{{ file = {name:?} }}")).collect::<Vec<_>>().join(", ")
}
