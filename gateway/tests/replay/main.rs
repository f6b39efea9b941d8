//! What may be used once is used once: by two gateways with one Redis server, and by one gateway with a file, while the parts
//! are killed.
//!
//! The environment variable `REDIS_SERVER` is the path of the program `redis-server`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

mod kinds;
#[path = "../process.rs"]
mod process;
mod redis_server;
#[allow(dead_code, reason = "the tests of the gateway use the rest")]
#[path = "../gateway/upstream.rs"]
mod upstream;
mod world;

use kinds::{KINDS, Kind};
use process::wait_for;
use rcgen::CertifiedKey;
use redis_server::{RedisServer, SAFE};
use std::{collections::HashMap, time::Duration};
use world::{Answer, World, accepted};

/// How many different things are presented, and how often each of them.
const THINGS: usize = 100;
const TIMES: usize = 10;

fn redis(server: &RedisServer, more: &str) -> String {
    format!("[replay.redis]\nurl = \"redis://127.0.0.1:{}\"\n{more}", server.port)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis"]
async fn two_gateways_accept_each_thing_once() {
    let server = RedisServer::start();
    let world = World::start(2, &redis(&server, "response_timeout = \"10s\"\nconnect_timeout = \"10s\""));
    for kind in KINDS {
        present_to_all(&world, kind).await;
    }
}

/// Whether an answer says that the thing was used before.
fn is_used(kind: &Kind, answer: &Answer) -> bool {
    answer.status == 400 && answer.error == kind.error_when_used
}

/// Presents all things at the same time, and checks that each is accepted once.
async fn present_to_all(world: &World, kind: &Kind) {
    let mut at_once = THINGS * TIMES;
    let answers = loop {
        let answers = world.present_some(&world.things(kind, THINGS), TIMES, at_once).await;
        assert!(accepted(&answers).values().all(|times| *times == 1), "{}: {answers:?}", kind.name);
        // A busy machine does not answer so many requests within the deadline of an exchange.
        if at_once < 100 || answers.iter().all(|answer| answer.status != 503) {
            break answers;
        }
        at_once /= 2;
    };
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    let used = answers.iter().filter(|answer| is_used(kind, answer)).count();
    assert_eq!((accepted, used), (THINGS, THINGS * (TIMES - 1)), "{}", kind.name);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis"]
async fn a_killed_redis_lets_nothing_in_twice() {
    let mut server = RedisServer::start();
    let world = World::start(2, &redis(&server, ""));
    for kind in KINDS {
        let things = world.things(kind, THINGS);
        let presented = world.present(&things, TIMES);
        let killed = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            server.kill();
        };
        let (mut answers, ()) = tokio::join!(presented, killed);
        // While Redis is away, nothing is accepted.
        let while_away = world.present(&world.things(kind, 5), 2).await;
        assert!(while_away.iter().all(|answer| answer.status == 503), "{}: {while_away:?}", kind.name);
        server.start_again(&SAFE);
        let is_back = world.things(kind, 1);
        let mut rounds = 0;
        while !world.present(&is_back, 2).await.iter().any(|answer| answer.status == 200) {
            rounds += 1;
            assert!(rounds < 100, "{}: the gateways do not connect again", kind.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        answers.extend(world.present(&things, TIMES).await);
        let accepted = accepted(&answers);
        assert!(accepted.values().all(|times| *times == 1), "{}: {accepted:?}", kind.name);
        let is_known = |answer: &Answer| [200, 503].contains(&answer.status) || is_used(kind, answer);
        assert!(answers.iter().all(is_known), "{}: {answers:?}", kind.name);
    }
}

/// The gateway is killed while it answers, and a new gateway has the same file.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_forgets_nothing() {
    let mut world = World::start(1, "[replay]\nfile = \"replays.redb\"");
    for kind in KINDS {
        let things = world.things(kind, THINGS);
        let mut times_accepted = HashMap::<usize, usize>::new();
        for round in 0..3 {
            let presented = world.present(&things, TIMES);
            let answers = if round < 2 {
                let killed = tokio::time::sleep(Duration::from_millis(100 + 100 * round));
                let killer = world.killer();
                let (answers, ()) = tokio::join!(presented, async {
                    killed.await;
                    killer.kill();
                });
                world.start_again();
                answers
            } else {
                presented.await
            };
            for (thing, times) in accepted(&answers) {
                *times_accepted.entry(thing).or_default() += times;
            }
        }
        assert!(times_accepted.values().all(|times| *times == 1), "{}: {times_accepted:?}", kind.name);
        // What was used up without an answer stays used up, and new things are accepted.
        let new = accepted(&world.present(&world.things(kind, THINGS), TIMES).await);
        assert!(!new.is_empty() && new.values().all(|times| *times == 1), "{}: {new:?}", kind.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis"]
async fn an_operator_sees_the_state_of_redis() {
    let mut server = RedisServer::start();
    let world = World::start(1, &redis(&server, ""));
    let gateway = &world.gateways[0];
    let problem = || gateway.health()["replay_store"].as_str().unwrap_or_default().to_owned();
    assert_eq!(problem(), "");
    server.kill();
    wait_for("the gateway notices", || problem().contains("Redis does not answer"));
    assert!(gateway.is_ready(), "requests that need no store are still answered: {}", gateway.health());
    assert_eq!(gateway.count("gateway_replay_store_ok", &[]), 0);
    server.start_again(&["--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    wait_for("the gateway notices the settings", || {
        problem().contains("`allkeys-lru`") && problem().contains("`appendonly no`")
    });
}

/// A password, TLS, and a certificate whose authority only this store trusts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis"]
async fn redis_can_have_tls_and_a_password() {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["redis.test".to_owned()]).unwrap();
    let mut server = RedisServer::new();
    server.folder.write("cert.pem", &cert.pem());
    server.folder.write("key.pem", &signing_key.serialize_pem());
    let tls_port = process::free_port().to_string();
    let tls = ["--tls-port", &tls_port, "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"];
    let more = ["--tls-auth-clients", "no", "--requirepass", "the-password-of-redis"];
    server.start_again(&[&SAFE[..], &tls, &more].concat());
    let table = format!(
        "[replay.redis]\nurl = \"rediss://127.0.0.1:{tls_port}\"\nkey_prefix = \"as-1:\"\npassword_file = \"password\"\n\
         ca = \"ca.pem\"\nresponse_timeout = \"10s\"\nconnect_timeout = \"10s\"\n"
    );
    let files = [("ca.pem", cert.pem()), ("password", "the-password-of-redis\n".to_owned())];
    for (name, status) in
        [("tls_server_name = \"redis.test\"", 200), ("", 503), ("tls_server_name = \"other.test\"", 503)]
    {
        let world = World::start_with(1, &format!("{table}{name}"), &files);
        let answers = world.present(&world.things(&KINDS[0], 1), 2).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        let other = if status == 200 { 400 } else { 503 };
        assert_eq!(statuses, [status, other], "{name}");
    }
    let keys = server.ask("AUTH the-password-of-redis\r\nKEYS *");
    assert!(keys.contains("as-1:{") && keys.contains("}:subject_token:"), "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis"]
async fn a_cluster_shares_the_keys() {
    let mut servers = [RedisServer::new(), RedisServer::new()];
    // Redis would take a port that another program may have.
    let cluster_ports = [process::free_port(), process::free_port()];
    for ((server, slots), port) in servers.iter_mut().zip(["0 8191", "8192 16383"]).zip(cluster_ports) {
        let port = port.to_string();
        server.start_again(&[&SAFE[..], &["--cluster-enabled", "yes", "--cluster-port", &port]].concat());
        assert!(server.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")).starts_with("+OK"));
    }
    servers[0].ask(&format!("CLUSTER MEET 127.0.0.1 {} {}", servers[1].port, cluster_ports[1]));
    wait_for("the cluster is complete", || {
        servers.iter().all(|server| {
            let info = server.ask("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
        })
    });
    let world = World::start(2, &redis(&servers[0], "response_timeout = \"10s\"\nconnect_timeout = \"10s\""));
    present_to_all(&world, &KINDS[0]).await;
    let keys =
        servers.each_ref().map(|server| server.ask("DBSIZE").trim_start_matches(':').trim().parse().unwrap_or(0));
    assert!(keys.iter().all(|keys| *keys > 0) && keys.iter().sum::<usize>() >= THINGS, "{keys:?}");
}
