//! Clients that the server authenticates, and clients that the records authenticate.

use crate::{
    World, answer,
    process::{get, wait_for},
};
use data_encoding::{BASE64, HEXLOWER};
use std::{
    collections::HashMap,
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// The wrong secrets after which the server limits an address.
const MAX_FAILURES: usize = 5;

/// A value of a header of a request.
fn header(request: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(request).into_owned();
    let head = text.split("\r\n\r\n").next()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

fn basic(client: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{client}:{secret}").as_bytes()))
}

impl World {
    /// An exchange with these credentials, of a client at this address behind a proxy.
    fn exchange_of(&self, credentials: &str, address: &str) -> (u16, String) {
        let head = format!("Authorization: {credentials}\r\nX-Forwarded-For: {address}");
        let request = String::from_utf8(self.exchange()).unwrap();
        let own = request.lines().find(|line| line.starts_with("Authorization")).unwrap().to_owned();
        self.send(request.replace(&own, &head).as_bytes())
    }
}

const SECRET: &str = "a-secret-of-orders";

#[test]
fn a_thousand_wrong_secrets_stop_nobody_else() {
    let world = World::start(|configuration| {
        let configuration = configuration.replace("client_credentials", "introspection");
        configuration.replace("[upstream]", "behind_proxy = true\n\n[upstream]")
    });
    let failures = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let counted = Arc::clone(&failures);
    world.upstream.does("/introspect", move |stream, request| {
        let address = header(request, "x-forwarded-for").unwrap_or_default();
        let is_right = header(request, "authorization") == Some(basic("orders", SECRET));
        let number = {
            let mut failures = counted.lock().unwrap();
            let number = failures.entry(address.clone()).or_default();
            *number += usize::from(!is_right);
            *number
        };
        let bytes = match (is_right, number) {
            // The gateway itself asks without an address.
            (_, number) if number > MAX_FAILURES && !address.is_empty() => {
                b"HTTP/1.1 429 X\r\nRetry-After: 120\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
            }
            (true, _) => answer(200, r#"{"active":false}"#),
            (false, _) => answer(401, "{}"),
        };
        stream.write_all(&bytes).unwrap_or_default();
    });
    wait_for("the server was probed", || world.gateway.health()["client_authentication"].is_null());

    let counts = Mutex::new(HashMap::<u16, usize>::new());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (world, counts) = (&world, &counts);
            scope.spawn(move || {
                for number in 0..125 {
                    let wrong = basic("orders", &format!("wrong-{thread}-{number}"));
                    let (status, _) = world.exchange_of(&wrong, "203.0.113.66");
                    *counts.lock().unwrap().entry(status).or_default() += 1;
                }
            });
        }
        // The same client at another address, while the attack goes on.
        scope.spawn(|| {
            for _ in 0..20 {
                let started = Instant::now();
                let (status, body) = world.exchange_of(&basic("orders", SECRET), "192.0.2.7");
                assert_eq!(status, 200, "{body}");
                assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    });
    let counts = counts.into_inner().unwrap();
    assert_eq!(counts.values().sum::<usize>(), 1000);
    assert!(counts.keys().all(|status| [401, 429].contains(status)), "{counts:?}");
    assert!(counts[&401] <= MAX_FAILURES + 8, "{counts:?}");
    let failures = failures.lock().unwrap();
    let of = |client: &str| failures.iter().find(|(address, _)| address.starts_with(client)).map(|(_, number)| *number);
    assert!(of("203.0.113.66").is_some_and(|number| number <= MAX_FAILURES + 8), "{failures:?}");
    assert_eq!(of("192.0.2.7"), Some(1), "the gateway tries one wrong secret: {failures:?}");
    assert_eq!(world.gateway.count("token_exchange_attempts_total", &["too_many_client_attempts", "denied"]), {
        counts[&429] as u64
    });
}

#[test]
fn the_first_method_that_works_is_found() {
    // The server has no introspection; the method is the default.
    let world =
        World::start(|configuration| configuration.replace("authenticate_clients_by = \"client_credentials\"", ""));
    assert_eq!(world.send(&world.exchange()).0, 200);
    assert_eq!(world.exchange_of(&basic("orders", "wrong"), "192.0.2.7").0, 401);
    wait_for("the log names the method", || {
        let log = world.folder.read("log");
        log.lines().any(|line| line.contains("authenticates clients") && line.contains("client_credentials"))
    });
}

#[test]
fn records_can_have_the_secrets() {
    let hash = |secret: &str| {
        let digest = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes());
        format!("id = \"orders\"\nsecret_sha256 = \"{}\"", HEXLOWER.encode(digest.as_ref()))
    };
    for by in ["client_credentials", "records"] {
        let world = World::start(|configuration| {
            let configuration = configuration.replacen("id = \"orders\"", &hash("another-secret-of-orders"), 1);
            configuration.replace("\"client_credentials\"", &format!("\"{by}\""))
        });
        assert_eq!(world.exchange_of(&basic("orders", "another-secret-of-orders"), "192.0.2.7").0, 200, "{by}");
        // The server knows this secret, but is not asked.
        assert_eq!(world.exchange_of(&basic("orders", SECRET), "192.0.2.7").0, 401, "{by}");
        wait_for("the gateway is ready", || {
            let (_, health) = get(world.gateway.admin, "/readyz").unwrap();
            health.contains("\"client_authentication\":null")
        });
    }
}

#[test]
fn a_client_need_not_be_remembered() {
    let world = World::start(|configuration| configuration.replace("[paths]", "remember_clients = \"0s\"\n\n[paths]"));
    assert_eq!(world.send(&world.exchange()).0, 200);
    // The server does not know the secret any more.
    world.upstream.answers("/token", answer(401, "{}"));
    assert_eq!(world.send(&world.exchange()).0, 401);
}

#[test]
fn secrets_are_sent_as_the_server_takes_them() {
    let world = World::start(|configuration| {
        configuration.replace("[paths]", "send_secrets_as = \"client_secret_post\"\n\n[paths]")
    });
    world.upstream.does("/token", |stream, request| {
        let text = String::from_utf8_lossy(request);
        let known =
            text.contains("client_id=orders&client_secret=a-secret-of-orders") && !text.contains("uthorization");
        let answer = if known { answer(200, r#"{"access_token":"x"}"#) } else { answer(401, "{}") };
        stream.write_all(&answer).unwrap_or_default();
    });
    assert_eq!(world.send(&world.exchange()).0, 200);
    assert_eq!(world.exchange_of(&basic("orders", "wrong"), "192.0.2.7").0, 401);
}

#[test]
fn guesses_are_refused_before_the_check() {
    let world = World::start(|configuration| {
        let configuration = configuration.replace("[upstream]", "behind_proxy = true\n\n[upstream]");
        format!("{configuration}\n[budgets]\nfailed_authentications_per_client = \"3/h\"\n")
    });
    let guess = |number: usize| world.exchange_of(&basic("orders", &format!("guess-{number}")), "203.0.113.66").0;
    assert_eq!([0, 1, 1, 2, 3, 4].map(guess), [401, 401, 401, 401, 429, 429]);
    // The right secret is not checked for whoever guessed.
    assert_eq!(world.exchange_of(&basic("orders", SECRET), "203.0.113.66").0, 429);
    assert_eq!(world.exchange_of(&basic("orders", SECRET), "192.0.2.7").0, 200);
    let count = |labels: &[&str]| world.gateway.count("token_exchange_attempts_total", labels);
    assert_eq!(count(&["authentication_rate_limited", "denied"]), 3);
}
