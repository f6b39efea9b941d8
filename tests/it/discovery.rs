//! The key set of an issuer is found through the metadata of that issuer, in a known number of requests.

use crate::jwks::*;
use crate::support::*;
use futures_util::future::join_all;
use http::StatusCode;
use std::time::Duration;
use tower_token_exchange::{
    Issuer, Reason, fetch::HttpFetch, jwks::KeyState, records::SubjectMapping, signing::Algorithm,
};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const KEYS: &str = "/jwks.json";

/// Returns an issuer at a path of this site.
fn at(jwks: &Jwks, path: &str) -> Minter {
    Minter::new(String::leak(format!("{}{path}", jwks.origin())), Algorithm::ES256)
}

/// Returns a world with a record for the issuer of these keys.
async fn world_of(key: &Minter, time: &Time) -> World {
    timed(plan(), time).with(|builder| builder.issuers([record(key.iss).discovery()]).http(loopback())).start().await
}

/// Returns a site with an issuer that OpenID Connect Discovery finds.
async fn site() -> (Jwks, Minter, Time) {
    let jwks = Jwks::up(Answer::status(404)).await;
    let key = at(&jwks, "");
    jwks.now(Answer::keys(&key));
    jwks.at(OPENID, Answer::metadata(key.iss, &jwks.url()));
    (jwks, key, Time::new())
}

#[tokio::test]
async fn discovery_takes_two_requests_then_one() {
    let (jwks, key, time) = site().await;
    let mut world = world_of(&key, &time).await;
    assert_eq!(jwks.asked(), [""; 0], "nothing before it is needed");
    let token = token(&key);
    let form = form(&token);
    for reply in join_all((0..50).map(|_| world.post_as("orders", &form))).await {
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    }
    for _ in 0..50 {
        assert_eq!(world.reason().await, None);
    }
    assert_eq!(jwks.asked(), [OPENID, KEYS], "50 at once");
    time.pass(601);
    assert_good(&mut world, &token, "expired").await;
    assert_eq!(jwks.asked(), [KEYS]);
    time.pass(480);
    assert_good(&mut world, &token, "ageing").await;
    until(|| key_report(&world).age == Some(Duration::ZERO)).await;
    assert_eq!(jwks.asked(), [KEYS]);
    assert_refused(&mut world, &token_with_kid(&key, "random"), Reason::TokenKeyUnknown, "random").await;
    assert_refused(&mut world, &token_with_kid(&key, "another"), Reason::TokenKeyUnknown, "random").await;
    assert_eq!(jwks.asked(), [KEYS], "an unknown key");
    assert_eq!(fetches(&world), 4);
}

#[tokio::test]
async fn a_missing_document_leads_to_the_next_location() {
    for (path, openid, oauth) in [
        ("", OPENID.to_owned(), OAUTH.to_owned()),
        ("/", OPENID.to_owned(), OAUTH.to_owned()),
        ("/realms/staff", format!("/realms/staff{OPENID}"), format!("{OAUTH}/realms/staff")),
        ("/realms/staff/", format!("/realms/staff{OPENID}"), format!("{OAUTH}/realms/staff")),
    ] {
        let statuses = [400, 401, 403, 404, 410, 421].map(|status| (status.to_string(), Answer::status(status)));
        for (name, missing) in statuses.into_iter().chain([("a page".to_owned(), Answer::ok("<html>"))]) {
            let jwks = Jwks::up(Answer::status(404)).await;
            let (key, time) = (at(&jwks, path), Time::new());
            jwks.now(Answer::keys(&key));
            jwks.at(&openid, missing);
            jwks.at(&oauth, Answer::metadata(key.iss, &jwks.url()));
            let mut world = world_of(&key, &time).await;
            assert_good(&mut world, &token(&key), path).await;
            assert_eq!(jwks.asked(), [&openid, &oauth, KEYS], "{path}, {name}");
            time.pass(601);
            assert_good(&mut world, &token(&key), path).await;
            assert_eq!(jwks.asked(), [KEYS], "{path}, {name}");
        }
        let jwks = Jwks::up(Answer::status(404)).await;
        let (key, time) = (at(&jwks, path), Time::new());
        jwks.now(Answer::keys(&key));
        jwks.at(&openid, Answer::metadata(key.iss, &jwks.url()));
        let mut world = world_of(&key, &time).await;
        assert_good(&mut world, &token(&key), path).await;
        assert_eq!(jwks.asked(), [&*openid, KEYS], "{path}");
    }
}

#[tokio::test]
async fn wrong_metadata_is_an_outage_with_a_cause() {
    let (jwks, key, _) = site().await;
    let good = |name: &str| Answer::metadata(name, &jwks.url());
    let iss = key.iss;
    let other = "metadata names another issuer: `";
    let cases = [
        ("a server error", Answer::status(500), ": status 500"),
        ("unavailable", Answer::status(503), ": status 503"),
        ("a redirect", Answer { status: 302, ..good(iss) }.header("location", OAUTH), ": status 302"),
        ("a permanent one", Answer { status: 308, ..good(iss) }.header("location", OAUTH), ": status 308"),
        ("no content", Answer::status(204), ": status 204"),
        ("a part", Answer { status: 206, ..good(iss) }, ": status 206"),
        ("a slash more", good(&format!("{iss}/")), other),
        ("another host's", good("https://idp.example"), other),
        ("another port's", good(&iss.replace("127.0.0.1:", "127.0.0.1:1")), other),
        ("in capitals", good(&iss.replace("http", "HTTP")), other),
        ("a path", good(&format!("{iss}/other")), other),
        ("no issuer", Answer::ok(format!(r#"{{"jwks_uri":"{}"}}"#, jwks.url())), ": the metadata names no issuer"),
        ("no jwks_uri", Answer::ok(format!(r#"{{"issuer":"{iss}"}}"#)), ": the metadata has no jwks_uri"),
        ("a relative jwks_uri", Answer::metadata(iss, KEYS), "user information and fragment"),
        ("credentials", Answer::metadata(iss, "http://a:b@127.0.0.1/jwks"), "user information and fragment"),
        ("a fragment", Answer::metadata(iss, &format!("{}#a", jwks.url())), "user information and fragment"),
        ("endless", Answer { endless: true, ..good(iss) }, "is larger than 262144 bytes"),
    ];
    for (name, answer, cause) in cases {
        let time = Time::new();
        jwks.at(OPENID, answer);
        jwks.at(OAUTH, good(iss));
        jwks.asked();
        let mut world = world_of(&key, &time).await;
        assert_unavailable(&mut world, &token(&key), name).await;
        let problem = key_report(&world).last_problem.unwrap();
        assert!(problem.starts_with(&format!("{iss}{OPENID}: ")) && problem.contains(cause), "{name}: {problem}");
        let end = if cause == other { "" } else { cause };
        assert_unavailable_because(&mut world, &token(&key), end, name).await;
        assert_eq!(jwks.asked(), [OPENID], "{name}: what is there is the answer");
        jwks.at(OPENID, good(iss));
        time.pass(1);
        assert_good(&mut world, &token(&key), &format!("{name}, mended")).await;
        assert_eq!(jwks.asked(), [OPENID, KEYS], "{name}");
    }

    // No location has a document.
    let time = Time::new();
    jwks.at(OPENID, Answer::status(404));
    jwks.at(OAUTH, Answer::status(410));
    let mut world = world_of(&key, &time).await;
    let cause = format!("{OAUTH}: status 410");
    assert_unavailable_because(&mut world, &token(&key), &cause, "nothing").await;
    assert_eq!(jwks.asked(), [OPENID, OAUTH]);
}

#[tokio::test]
async fn a_site_that_was_down_needs_no_restart() {
    let jwks = Jwks::down(Answer::status(404)).await;
    let (key, time) = (at(&jwks, ""), Time::new());
    jwks.now(Answer::keys(&key));
    jwks.at(OPENID, Answer::metadata(key.iss, &jwks.url()));
    let mut world = world_of(&key, &time).await;
    let cause = format!("{OPENID}: could not connect to 127.0.0.1");
    assert_unavailable_because(&mut world, &token(&key), &cause, "down").await;
    jwks.start().await;
    time.pass(1);
    assert_good(&mut world, &token(&key), "up").await;
    assert_eq!(jwks.asked(), [OPENID, KEYS]);
}

#[tokio::test]
async fn the_discovered_address_is_kept_for_a_day() {
    let (jwks, key, time) = site().await;
    let mut world = world_of(&key, &time).await;
    assert_good(&mut world, &token(&key), "at first").await;
    assert_eq!(jwks.asked(), [OPENID, KEYS]);
    let moved = Minter { key: issuer().key, ..key.clone() };
    jwks.at("/moved.json", Answer::keys(&moved));
    jwks.at(OPENID, Answer::metadata(key.iss, &format!("{}/moved.json", jwks.origin())));
    time.pass(DAY - 1);
    assert_good(&mut world, &token(&key), "within a day").await;
    assert_eq!(jwks.asked(), [KEYS]);
    time.pass(601);
    assert_good(&mut world, &token(&moved), "looked up again").await;
    assert_eq!(jwks.asked(), [OPENID, "/moved.json"]);

    // The key set moves back, and the old address answers with a status first.
    jwks.at("/moved.json", Answer::status(404));
    jwks.at(OPENID, Answer::metadata(key.iss, &jwks.url()));
    time.pass(601);
    assert_good(&mut world, &token(&moved), "stale").await;
    assert_eq!(jwks.asked(), ["/moved.json"]);
    assert!(key_report(&world).last_problem.unwrap().ends_with("/moved.json: status 404"));
    time.pass(1);
    assert_good(&mut world, &token(&moved), "stale, and looked up again meanwhile").await;
    until(|| key_report(&world).state == KeyState::Fresh).await;
    assert_eq!(jwks.asked(), [OPENID, KEYS]);
    assert_good(&mut world, &token(&key), "where they were at first").await;

    // The day starts again with each discovery, and a clock that is set back does not make the day longer.
    time.set(NOW - 10);
    assert_good(&mut world, &token(&key), "the clock was set back").await;
    assert_eq!(jwks.asked(), [OPENID, KEYS]);
}

#[tokio::test]
async fn cached_keys_bridge_an_outage_of_the_metadata() {
    let (jwks, key, time) = site().await;
    let mut world = world_of(&key, &time).await;
    assert_good(&mut world, &token(&key), "at first").await;
    jwks.at(OPENID, Answer::status(500));
    time.pass(601);
    assert_good(&mut world, &token(&key), "the address is known").await;
    assert_eq!(jwks.asked(), [OPENID, KEYS, KEYS]);
    jwks.now(Answer::status(500));
    for (failures, seconds) in [(1, 601), (2, 60), (3, 60)] {
        time.pass(seconds);
        assert_good(&mut world, &token(&key), "stale").await;
        until(|| key_report(&world).failures == failures).await;
    }
    assert_eq!(jwks.asked(), [KEYS, OPENID, OPENID], "one request for each failure");
    time.pass(60 * 60);
    assert_unavailable(&mut world, &token(&key), "too old").await;
}

#[tokio::test]
async fn metadata_speaks_for_one_issuer_only() {
    let (jwks, key, time) = site().await;
    let (rival_jwks, rival, _) = site().await;
    let mut world = timed(plan(), &time)
        .with(|builder| builder.issuers([record(key.iss).discovery(), record(rival.iss).discovery()]).http(loopback()))
        .start()
        .await;
    assert_good(&mut world, &token(&key), "its own").await;
    assert_eq!((jwks.asked().len(), rival_jwks.asked().len()), (2, 0), "only the issuer that the token names");
    let in_the_name_of_key = Minter { iss: key.iss, ..rival.clone() };
    assert_refused(&mut world, &token(&in_the_name_of_key), Reason::TokenKeyUnknown, "the rival's key").await;
    assert_good(&mut world, &token(&rival), "the rival's own").await;

    // The site of the other issuer claims to be this issuer, and is not trusted.
    rival_jwks.at(OPENID, Answer::metadata(key.iss, &rival_jwks.url()));
    time.pass(2 * DAY);
    assert_unavailable(&mut world, &token(&rival), "it has lost its name").await;
    assert_refused(&mut world, &token(&in_the_name_of_key), Reason::TokenKeyUnknown, "and won no other").await;
    assert_good(&mut world, &token(&key), "its own").await;
}

#[tokio::test]
async fn an_identifier_without_well_known_location_is_refused() {
    let build = |issuer: Issuer, fetch: Option<HttpFetch>| {
        plan()
            .with(|builder| {
                let builder = builder.issuers([issuer.map_subjects(SubjectMapping::Prefix("x|".into()))]);
                match fetch {
                    Some(fetch) => builder.http(fetch),
                    None => builder,
                }
            })
            .builder
            .build()
            .map_err(|error| error.to_string())
    };
    for bad in [
        "idp",
        "/idp",
        "idp.example:443",
        "urn:idp:example",
        "ftp://idp.example",
        "https://",
        "https://user@idp.example",
        "https://idp.example?tenant=a",
        "https://idp.example/?",
        "https://idp.example#a",
        "https://idp.example/#",
        "https://idp example",
    ] {
        let error = build(Issuer::new(bad).discovery(), Some(loopback())).unwrap_err();
        assert!(error.starts_with(&format!("issuer `{bad}`: discovery: ")), "{bad}: {error}");
        assert!(error.contains("absolute URL") && error.contains("`jwks_uri`"), "{bad}: {error}");
    }
    for good in ["https://idp2.example", "https://idp2.example/", "https://idp2.example:8443/a/b"] {
        build(Issuer::new(good).discovery(), None).unwrap();
    }
    let plain = || Issuer::new("http://idp2.example").discovery();
    let error = build(plain(), None).unwrap_err();
    assert!(error.starts_with("issuer `http://idp2.example`: discovery: ") && error.contains("https"), "{error}");
    build(plain(), Some(loopback())).unwrap();
}
