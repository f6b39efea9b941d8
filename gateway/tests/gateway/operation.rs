//! The gateway in operation: a missing server, a full disk, slow and many clients, changed files, and the end.

use crate::{
    ISSUER, World, answer, configuration, own_token,
    process::{exchange_bytes, get, wait_for},
    with_paths,
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::{Duration, Instant},
};

#[test]
fn the_gateway_starts_before_the_server() {
    let world = World::waiting(|_, configuration| with_paths(&configuration, ""));
    let gateway = &world.gateway;
    wait_for("the gateway asks the server", || {
        gateway.health()["waiting_for"].as_str().is_some_and(|why| why.contains("status 404"))
    });
    assert_eq!(get(gateway.admin, "/livez").unwrap().0, 200);
    assert_eq!(get(gateway.admin, "/readyz").unwrap().0, 503);
    // Ordinary traffic passes. The server does not see what only the gateway may answer.
    world.upstream.answers("/login", answer(200, "login"));
    assert_eq!(world.get("/login"), (200, "login".to_owned()));
    assert_eq!(world.post("/login", "user=alice&password=a%20b"), (200, "login".to_owned()));
    assert_eq!(world.post("/token", "grant_type=refresh_token&refresh_token=x").0, 200);
    world.upstream.answers("/unlisted", answer(200, ""));
    let own = own_token(&world.folder, ISSUER);
    assert_eq!(world.post("/unlisted", "token=of-the-server").0, 200);
    world.upstream.seen("/unlisted");
    world.upstream.seen("/token");
    for (status, body) in [
        world.send(&world.exchange()),
        world.post("/unlisted", &format!("token={own}")),
        world.get(&format!("/unlisted?token={own}")),
    ] {
        assert!(status == 503 && body.contains("temporarily_unavailable"), "{status} {body}");
    }
    assert_eq!((world.upstream.seen("/token"), world.upstream.seen("/unlisted")), (vec![], vec![]));
    let url = ISSUER;
    let metadata = json!({
        "issuer": url, "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks"),
        "introspection_endpoint": "https://elsewhere.example/introspect",
    });
    let at = "/.well-known/openid-configuration";
    world.upstream.answers(at, answer(200, &metadata.to_string()));
    let why = || gateway.health()["waiting_for"].as_str().unwrap_or_default().to_owned();
    wait_for("the gateway refuses an endpoint at another host", || {
        why().contains("not at the issuer's host; set the path in `[paths]`")
    });
    let metadata = metadata.to_string().replace("https://elsewhere.example", url);
    world.upstream.answers(at, answer(200, &metadata));
    wait_for("token exchange is available", || gateway.health()["waiting_for"].is_null());
    assert_eq!(world.send(&world.exchange()).0, 200);
    let read = || world.send(&world.request(&format!("GET {at} HTTP/1.1")));
    let good = read();
    assert!(good.0 == 200 && good.1.contains("token-exchange"), "{good:?}");

    // Only the gateway itself has asked for the keys.
    wait_for("the gateway has asked for the keys", || gateway.health()["upstream_is_up"] == true);
    for path in [at, "/jwks"] {
        world.upstream.answers(path, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    }
    assert_eq!(read(), good, "the last good document");
    assert_eq!(world.send(&world.request("GET /jwks HTTP/1.1")).0, 200);
}

#[test]
fn no_token_without_an_audit_event() {
    for (optional, expected) in [(false, 503), (true, 200)] {
        let world = World::start(|configuration| {
            configuration.replace("file = \"audit.jsonl\"", &format!("file = \"/dev/full\"\noptional = {optional}"))
        });
        let (status, body) = world.send(&world.exchange());
        assert_eq!(status, expected, "{body}");
        assert!(world.folder.read("log").contains("the audit sink did not take an event"));
        let withheld = world.gateway.count("token_exchange_attempts_total", &["audit_unavailable"]);
        assert_eq!(withheld, u64::from(!optional));
    }
}

#[test]
fn a_key_id_collision_is_reported() {
    let theirs =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"2026","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let world =
        World::start(|configuration| configuration.replace("\"active.pem\" }", "\"active.pem\", kid = \"2026\" }"));
    world.upstream.answers("/jwks", answer(200, theirs));
    let (_, passed) = world.send(&world.request("GET /jwks HTTP/1.1"));
    assert_eq!(serde_json::from_str::<Value>(&passed).unwrap(), serde_json::from_str::<Value>(theirs).unwrap());
    assert_eq!(world.gateway.health()["key_id_collision"], "2026");
    assert!(world.folder.read("log").contains("two different keys have the `kid` `2026`"));
}

#[test]
fn an_unreachable_server_is_a_gateway_error() {
    let world =
        World::start(|configuration| configuration.replace("[paths]", "response_timeout = \"300ms\"\n\n[paths]"));
    world.upstream.does("/slow", |_, _| std::thread::sleep(Duration::from_secs(2)));
    world.upstream.does("/gone", |_, _| ());
    assert_eq!(world.send(&world.request("GET /slow HTTP/1.1")).0, 504);
    assert_eq!(world.send(&world.request("GET /gone HTTP/1.1")).0, 502);
    // A client assertion is refused by the gateway itself.
    let form = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_assertion=x&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let head = format!(
        "POST /token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: {}",
        form.len()
    );
    let (status, body) = world.send(&[world.request(&head), form.into()].concat());
    assert!(status == 400 && body.contains("invalid_client"), "{body}");
    assert_eq!(world.gateway.count("token_exchange_attempts_total", &["client_rejected"]), 1);
}

#[test]
fn open_requests_finish_at_a_shutdown() {
    let world = World::start(|configuration| configuration);
    world.upstream.does("/slow", |stream, _| {
        std::thread::sleep(Duration::from_millis(800));
        stream.write_all(&answer(200, "done")).unwrap();
    });
    let mut idle = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    stream.write_all(&world.request("GET /slow HTTP/1.1")).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let port = world.gateway.port;
    let stopped = Instant::now();
    let stopping = std::thread::spawn(move || world.gateway.process.stop());
    let mut answered = String::new();
    stream.read_to_string(&mut answered).unwrap();
    assert!(answered.starts_with("HTTP/1.1 200 ") && answered.ends_with("done"), "{answered}");
    stopping.join().unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(5), "an idle connection does not delay the end");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let log = world.folder.read("log");
    assert!(log.contains("the gateway stops: no new connections"), "{log}");
    assert!(log.trim_end().ends_with("the gateway stopped"), "{log}");
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
}

/// The resident memory of a process, in MiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn idle_connections_cost_little() {
    let idle = 10_000;
    let files = Command::new("sh").args(["-c", "ulimit -n"]).output().unwrap().stdout;
    let files = String::from_utf8(files).unwrap().trim().parse::<usize>().unwrap_or(usize::MAX);
    let idle = idle.min(files.saturating_sub(200));
    let world = World::start(|configuration| {
        let limits =
            "connections = 10050\nconnections_per_peer = 10050\nconcurrent_requests = 64\nrequests_per_peer = 64";
        configuration.replace("[audit]", &format!("[limits]\n{limits}\n\n[audit]"))
    });
    assert_eq!(world.send(&world.exchange()).0, 200);
    let pid = world.gateway.process.0.id();
    let before = memory(pid);
    let port = world.gateway.port;
    let open = |begin: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(begin).unwrap();
        stream
    };
    let opening = Instant::now();
    let connections: Vec<_> = (0..idle).map(|_| open(b"")).collect();
    println!("opened in {:?}", opening.elapsed());
    // Bodies that never arrive, and heads that do not end.
    let form = "POST /token HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 100";
    let slow: Vec<_> =
        (0..20).map(|_| open(&world.request(form))).chain((0..20).map(|_| open(b"GET / HTTP/1.1\r\nA"))).collect();
    world.upstream.does("/slow", |_, _| std::thread::sleep(Duration::from_secs(5)));
    let waiting: Vec<_> = (0..5).map(|_| open(&world.request("GET /slow HTTP/1.1"))).collect();
    let started = Instant::now();
    for _ in 0..20 {
        let (status, body) = world.send(&world.exchange());
        assert_eq!(status, 200, "{body}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    let grown = memory(pid).saturating_sub(before);
    println!("{idle} idle connections: {grown} MiB more");
    assert!(grown < 300, "{grown} MiB for {idle} connections");
    drop((connections, slow, waiting));
}

/// Repeats an exchange until the gateway has a connection and a place for it.
fn wait_for_exchange(world: &World, what: &str) {
    let exchange = world.exchange();
    wait_for(what, || {
        exchange_bytes(world.gateway.port, &exchange).is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200 "))
    });
}

#[test]
fn idle_connections_end_in_every_phase() {
    let world = World::start(|configuration| {
        let limits = "connections = 10\nconnections_per_peer = 3\nheader_timeout = \"1s\"";
        configuration.replace("[audit]", &format!("[limits]\n{limits}\n\n[audit]"))
    });
    for begin in ["", "G", "GET / HTTP/1.1\r\nA: b\r\n", "PRI * HT", "PRI * HTTP/2.0\r\n", HTTP2] {
        let open = |_| {
            let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
            stream.write_all(begin.as_bytes()).unwrap();
            stream
        };
        wait_for("no connection is open", || world.gateway.count("gateway_open", &["connections"]) == 0);
        let started = Instant::now();
        let idle: Vec<_> = (0..6).map(open).collect();
        wait_for_exchange(&world, begin);
        let waited = started.elapsed();
        assert!(waited > Duration::from_millis(500), "{begin:?}: the idle connections are the share of the peer");
        assert!(waited < Duration::from_secs(10), "{begin:?}: {waited:?}");
        drop(idle);
    }
    assert!(world.gateway.count("gateway_connections_refused_total", &["peer"]) >= 18);
    let lines = world.folder.read("log").lines().filter(|line| line.contains("a limit is reached")).count();
    assert!((1..6).contains(&lines), "{lines} lines");
}

#[test]
fn a_websocket_counts_as_a_connection() {
    let world =
        World::start(|configuration| configuration.replace("[audit]", "[limits]\nconnections_per_peer = 1\n\n[audit]"));
    world.upstream.does("/socket", |stream, _| {
        stream.write_all(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello").unwrap();
        let _ = stream.read(&mut [0; 1]);
    });
    let mut socket = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
    let upgrade = "GET /socket HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"hello") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
    let refused = exchange_bytes(world.gateway.port, &world.exchange()).unwrap_or_default();
    assert_eq!(refused, b"", "the peer has its one connection");
    drop(socket);
    wait_for_exchange(&world, "the websocket has ended");
}

#[test]
fn requests_over_the_limit_try_again_later() {
    for (per_peer, status) in [(4, "503"), (1, "429")] {
        let world = World::start(|configuration| {
            let limits = format!("concurrent_requests = 1\nrequests_per_peer = {per_peer}");
            configuration.replace("[audit]", &format!("[limits]\n{limits}\n\n[audit]"))
        });
        world.upstream.does("/slow", |stream, _| {
            std::thread::sleep(Duration::from_millis(800));
            stream.write_all(&answer(200, "done")).unwrap();
        });
        let mut first = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        first.write_all(&world.request("GET /slow HTTP/1.1")).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let refused = String::from_utf8(exchange_bytes(world.gateway.port, &world.exchange()).unwrap()).unwrap();
        assert!(refused.starts_with(&format!("HTTP/1.1 {status} ")) && refused.contains("retry-after: 5"), "{refused}");
        assert!(refused.ends_with("\r\n\r\n"), "no body that waits for its reader: {refused}");
        let mut answered = String::new();
        first.read_to_string(&mut answered).unwrap();
        assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
        wait_for_exchange(&world, "the place is free");
    }
}

#[test]
fn targets_and_scopes_have_settings() {
    let two_targets = [("audience", "ledger")];
    let unknown_scope = [("scope", "read unknown")];
    for (limits, client, more, expected) in [
        ("", "", &[][..], 200),
        ("", "", &two_targets, 400),
        ("max_targets = 2", "", &two_targets, 200),
        ("", "", &unknown_scope, 200),
        ("strict_scope = true", "", &unknown_scope, 400),
        ("strict_scope = true", "ignored_scopes = [\"unknown\"]", &unknown_scope, 200),
    ] {
        let world = World::start(|configuration| {
            let configuration = configuration.replace("[audit]", &format!("[limits]\n{limits}\n\n[audit]"));
            let configuration =
                configuration.replace("[[client]]\nid = \"orders\"", &format!("[[client]]\nid = \"orders\"\n{client}"));
            let ledger = "[[target]]\nid = \"ledger\"\ncallers = [\"orders\"]\nscopes = [\"read\"]\n\n[[rule]]";
            let configuration = configuration.replace("[[rule]]", ledger);
            configuration.replace("targets = \"billing\"", "targets = [\"billing\", \"ledger\"]")
        });
        let (status, body) = world.send(&world.exchange_with(more));
        assert_eq!(status, expected, "{limits} {client} {more:?}: {body}");
    }
}

#[test]
fn an_answer_that_is_not_read_is_dropped() {
    let world = World::start(|configuration| {
        let limits = "connections = 6\nconnections_per_peer = 3\nbody_timeout = \"1s\"";
        configuration.replace("[audit]", &format!("[limits]\n{limits}\n\n[audit]"))
    });
    world.upstream.does("/large", |stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n").unwrap();
        while stream.write_all(&[b'x'; 65536]).is_ok() {}
    });
    let open = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", world.gateway.port)).unwrap();
        stream.write_all(&world.request("GET /large HTTP/1.1")).unwrap();
        stream
    };
    let nobody: Vec<_> = (0..3).map(open).collect();
    wait_for_exchange(&world, "an answer that is not read is dropped");
    drop(nobody);
}

/// The start of an HTTP/2 connection with empty settings (RFC 9113 section 3.4).
const HTTP2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";

#[test]
fn the_gateway_waits_for_every_endpoint() {
    let world = World::waiting(|_, configuration| configuration.replace("revocation = \"/revoke\"\n", ""));
    let why = || world.gateway.health()["waiting_for"].as_str().unwrap_or_default().to_owned();
    wait_for("the gateway asks the server", || {
        why().contains("set `token`, `introspection` and `revocation` in `[paths]`")
    });
    // Meanwhile the files change: a wrong key file is refused, and a shadow rule is taken over.
    let plain = configuration(0, 0, ISSUER, world.upstream.port).replace("revocation = \"/revoke\"\n", "");
    world.folder.write("gateway.toml", &plain.replace("active.pem", "gone.pem"));
    wait_for("the change is refused", || world.gateway.health()["refused_change"].as_str().is_some());
    world.folder.write("gateway.toml", &plain.replace("\"orders\"\nsubjects", "\"orders\"\nshadow = true\nsubjects"));
    wait_for("the change is taken over", || world.gateway.health()["refused_change"].is_null());
    let url = ISSUER;
    let metadata = json!({ "issuer": url, "revocation_endpoint": format!("{url}/unlisted") });
    world.upstream.answers("/.well-known/openid-configuration", answer(200, &metadata.to_string()));
    wait_for("token exchange is available", || world.gateway.health()["waiting_for"].is_null());
    assert_eq!(world.send(&world.exchange()).0, 400, "the only rule is a shadow rule");
    world.folder.write("gateway.toml", &plain);
    wait_for("the change is taken over", || world.send(&world.exchange()).0 == 200);

    assert_eq!(world.post("/unlisted", &format!("token={}", world.issued())).0, 200);
    assert_eq!(world.upstream.seen("/unlisted"), b"", "the gateway revokes its own token");
}

#[test]
fn a_locked_file_is_not_a_configuration_error() {
    // Any file of more than 32 bytes is a key here.
    let table = "[revocations]\nfile = \"r.redb\"\nkey_file = \"gateway.toml\"\n\n[audit]";
    let world = World::start(|configuration| configuration.replace("[audit]", table));
    let other = configuration(0, 0, ISSUER, world.upstream.port);
    world.folder.write("other.toml", &other.replace("[audit]", table));
    let second = world.folder.run(&["serve", "--config", "other.toml"]);
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("other.toml:") && told.contains("revocations.file"), "{told}");
}

#[test]
fn changed_records_count_at_once() {
    let world = World::start(|configuration| configuration);
    assert_eq!(world.send(&world.exchange()).0, 200);
    let changed = configuration(0, 0, ISSUER, world.upstream.port)
        .replace("\"orders\"\nsubjects", "\"orders\"\nshadow = true\nsubjects");
    world.folder.write("gateway.toml", &changed);
    wait_for("the change is noticed", || world.send(&world.exchange()).0 == 400);
    assert!(world.gateway.count("gateway_reloads_total", &["taken"]) > 0, "the only rule is a shadow rule");
}

#[test]
fn sighup_opens_the_audit_file_again() {
    let world = World::start(|configuration| configuration);
    assert_eq!(world.send(&world.exchange()).0, 200);
    std::fs::rename(world.folder.0.join("audit.jsonl"), world.folder.0.join("audit.1")).unwrap();
    assert_eq!(world.send(&world.exchange()).0, 200);
    world.gateway.process.signal("-HUP");
    wait_for("the audit file exists again", || world.folder.0.join("audit.jsonl").exists());
    assert_eq!(world.send(&world.exchange()).0, 200);
    assert_eq!(
        (world.folder.read("audit.1").lines().count(), world.folder.read("audit.jsonl").lines().count()),
        (2, 1)
    );
}

#[test]
fn a_server_that_accepts_any_secret_is_not_used() {
    let world = World::start(|configuration| configuration.replace("token = \"/token\"", "token = \"/open\""));
    let why = || world.gateway.health()["client_authentication"].as_str().unwrap_or_default().to_owned();
    wait_for("the server was probed", || why().contains("accepts a client that does not exist"));
    let request = String::from_utf8(world.exchange()).unwrap().replace("POST /token", "POST /open");
    let (status, body) = world.send(request.as_bytes());
    assert_eq!((status, get(world.gateway.admin, "/readyz").unwrap().0), (500, 503), "{body}");
}

#[test]
fn requests_and_attempts_are_counted() {
    let world = World::start(|configuration| configuration);
    for _ in 0..2 {
        assert_eq!(world.send(&world.exchange()).0, 200);
    }
    wait_for("the server was asked", || world.gateway.count("gateway_upstream_up", &[]) == 1);
    for (name, labels, expected) in [
        (
            "token_exchange_attempts_total",
            &["outcome=\"issued\"", "reason=\"none\"", "semantics=\"delegation\""][..],
            2,
        ),
        ("token_exchange_duration_seconds_count", &["outcome=\"issued\""], 2),
        ("token_exchange_stage_duration_seconds_count", &["stage=\"policy\""], 2),
        ("token_exchange_cache_total", &["cache=\"client\"", "result=\"hit\""], 1),
        ("token_exchange_issuer_keys", &["issuer=", "} 1"], 1),
        ("gateway_requests_total", &["status=\"2xx\""], 2),
    ] {
        assert_eq!(world.gateway.count(name, labels), expected, "{name}");
    }
    let lines = get(world.gateway.admin, "/metrics").unwrap().1;
    assert!(!lines.contains("orders") && !lines.contains("alice"), "no label has text from a request");
}

#[test]
fn try_prints_the_claims() {
    let world = World::start(|configuration| configuration.replace("[upstream]", "hosts = [\"*\"]\n\n[upstream]"));
    world.folder.write("secret", "a-secret-of-orders\n");
    world.folder.write("alice.jwt", &own_token(&world.folder, ISSUER));
    let url = format!("{}/token", world.gateway.url());
    let tried = |target: &str| {
        let arguments = ["try", "--url", &url, "--client", "orders", "--secret-file", "secret", "--token", "alice.jwt"];
        world.folder.run(&[&arguments[..], &["--target", target]].concat())
    };
    let good = tried("billing");
    let shown: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((good.status.code(), &shown["claims"]["act"]), (Some(0), &json!({ "sub": "orders" })));
    assert_eq!(shown["claims"]["aud"], "https://billing.example");
    assert!(!String::from_utf8_lossy(&good.stdout).contains("eyJ"), "the token itself stays off the terminal");
    let refused = tried("ledger");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("invalid_target"));
}
