//! Token exchanges in unusual forms: each has the result that the manual's page lists.

use crate::support::*;
use axum::body::Body;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::json;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tower::{Layer, ServiceExt};
use tower_token_exchange::{GRANT_TYPE, Reason};

const PAGE: &str = include_str!("../../src/manual/smuggling.md");
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
const FORM: &str = "application/x-www-form-urlencoded";

/// The result of a request: a token was issued, or the request was passed. A refusal has the code of its reason instead.
const ISSUED: &str = "issued";
const PASSED: &str = "passed";

#[derive(Clone)]
struct Attempt {
    method: Method,
    target: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
}

fn form(body: impl Into<Vec<u8>>) -> Attempt {
    Attempt { method: Method::POST, target: "/token", headers: vec![("content-type", FORM)], body: body.into() }
}

impl Attempt {
    fn method(mut self, method: &str) -> Self {
        self.method = method.parse().unwrap();
        self
    }

    fn at(mut self, target: &'static str) -> Self {
        self.target = target;
        self
    }

    fn typed(mut self, content_type: &'static str) -> Self {
        self.headers = vec![("content-type", content_type)];
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// The attempts by their names on the page, each with its result without guard and with guard.
fn attempts(exchange: &str) -> Vec<(&'static str, Attempt, &'static str, &'static str)> {
    let ordinary = "grant_type=refresh_token&refresh_token=x";
    let rest = exchange.split_once('&').unwrap().1;
    let with = |start: &str| form(format!("{start}&{rest}"));
    let good = || form(exchange);
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    let json = |grant: &str| form(json!({ "grant_type": grant }).to_string()).typed("application/json");
    let multipart =
        format!("--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\n{GRANT_TYPE}\r\n--x--\r\n");
    let repeated = Reason::RepeatedParameter.code();
    let missing = Reason::GrantTypeMissing.code();
    let unreadable = Reason::BodyUnreadable.code();
    let (in_query, in_json) = (Reason::GrantInQuery.code(), Reason::GrantInJson.code());
    let in_cookie = Reason::GrantInCookie.code();
    let (other_method, other_path) = (Reason::GrantInOtherMethod.code(), Reason::GrantAtOtherPath.code());
    let unsupported = Reason::UnsupportedGrantType.code();
    let malformed = Reason::MalformedForm.code();
    vec![
        ("a plain exchange", good(), ISSUED, ISSUED),
        (
            "`grant_type` twice, another grant first",
            with(&format!("grant_type=password&grant_type={GRANT}")),
            repeated,
            repeated,
        ),
        (
            "`grant_type` twice, another grant last",
            with(&format!("grant_type={GRANT}&grant_type=password")),
            repeated,
            repeated,
        ),
        ("`grant_type` twice, the first empty", with(&format!("grant_type=&grant_type={GRANT}")), repeated, repeated),
        ("an escaped name", with(&format!("%67rant%5Ftype={GRANT}")), ISSUED, ISSUED),
        (
            "an escaped value, in lower-case hexadecimal",
            with(&format!("grant_type={}", GRANT.replace("%3A", "%3a"))),
            ISSUED,
            ISSUED,
        ),
        ("a name escaped twice", with(&format!("%2567rant_type={GRANT}")), PASSED, PASSED),
        ("a name in upper case", with(&format!("GRANT_TYPE={GRANT}")), missing, missing),
        ("a value in upper case", with(&format!("grant_type={}", GRANT.to_uppercase())), unsupported, unsupported),
        ("white space around the name", with(&format!("+grant_type+={GRANT}")), missing, missing),
        ("white space around the value", with(&format!("grant_type=+{GRANT}+")), unsupported, unsupported),
        ("a byte order mark before the name", with(&format!("%EF%BB%BFgrant_type={GRANT}")), missing, missing),
        ("a NUL after the name", with(&format!("grant_type%00x={GRANT}")), malformed, malformed),
        ("an array, as in `grant_type[]`", with(&format!("grant_type[]={GRANT}")), missing, missing),
        ("`.` for `_` in the name", with(&format!("grant.type={GRANT}")), missing, missing),
        ("a dot before the name", with(&format!(".grant_type={GRANT}")), missing, missing),
        ("`=` in brackets after the name", with(&format!("grant_type[=]={GRANT}")), missing, missing),
        ("brackets around the name", with(&format!("[grant_type]={GRANT}")), missing, missing),
        ("a question mark before the name", with(&format!("?grant_type={GRANT}")), missing, missing),
        ("a space of Latin-1 before the value", with(&format!("grant_type=%A0{GRANT}")), malformed, malformed),
        ("a control character before the value", with(&format!("grant_type=%01{GRANT}")), malformed, malformed),
        (
            "a letter of the value that has the same lower case",
            with(&format!("grant_type={}", GRANT.replace('k', "%E2%84%AA"))),
            unsupported,
            unsupported,
        ),
        ("a space for `_` in the name", with(&format!("grant+type={GRANT}")), missing, missing),
        ("`%u0067` for a letter of the name", with(&format!("%u0067rant_type={GRANT}")), malformed, malformed),
        (
            "`%6>` for a letter of the value",
            form(format!("grant_type={}", GRANT.replace("urn", "ur%6>"))),
            malformed,
            malformed,
        ),
        (
            "`;` between the parameters",
            form(format!("grant_type=password;grant_type={GRANT}")),
            unsupported,
            unsupported,
        ),
        ("broken escapes elsewhere in the form", with(&format!("x=%zz&grant_type={GRANT}")), malformed, malformed),
        (
            "in the query of a `POST`",
            form(ordinary).at("/token?grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"),
            in_query,
            in_query,
        ),
        (
            "in the query of a `GET`",
            form("").method("GET").at("/token?x=1&grant_type=urn:ietf:params:oauth:grant-type:token-exchange"),
            in_query,
            in_query,
        ),
        (
            "in a cookie",
            form(ordinary).header("cookie", "a=b; grant_type=urn:ietf:params:oauth:grant-type:token-exchange"),
            PASSED,
            in_cookie,
        ),
        ("a media type in upper case", good().typed("APPLICATION/X-WWW-FORM-URLENCODED"), ISSUED, ISSUED),
        (
            "a media type with parameters",
            good().typed("application/x-www-form-urlencoded ; charset=\"UTF-8\"; q=1"),
            ISSUED,
            ISSUED,
        ),
        ("a form in Latin-1", good().typed("application/x-www-form-urlencoded; charset=ISO-8859-1"), ISSUED, ISSUED),
        (
            "a form in UTF-16, with spaces around the charset",
            form(utf16(exchange)).typed("application/x-www-form-urlencoded; charset = utf-16"),
            PASSED,
            unreadable,
        ),
        (
            "a form in UTF-16",
            form(utf16(exchange)).typed("application/x-www-form-urlencoded; charset=utf-16"),
            PASSED,
            unreadable,
        ),
        ("a form in UTF-16, with a byte order mark", form(utf16(&format!("\u{feff}&{exchange}"))), PASSED, unreadable),
        ("a form with the media type `text/plain`", good().typed("text/plain"), PASSED, unreadable),
        ("a form without a media type", Attempt { headers: vec![], ..good() }, PASSED, unreadable),
        ("a second media type in a header with `_`", good().header("content_type", "text/plain"), ISSUED, unreadable),
        (
            "a character set with a language",
            good().typed("application/x-www-form-urlencoded; charset*=utf-16''x"),
            ISSUED,
            unreadable,
        ),
        ("JSON with the media type of a form", json(GRANT_TYPE).typed(FORM), PASSED, in_json),
        (
            "JSON before other text, with the media type of a form",
            form(format!("{}x", json!({ "grant_type": GRANT_TYPE }))),
            PASSED,
            unreadable,
        ),
        (
            "a form inside JSON",
            form(json!([format!("&grant_type={GRANT_TYPE}&")]).to_string()).typed("application/json"),
            PASSED,
            in_json,
        ),
        ("two media types", json(GRANT_TYPE).header("content-type", FORM), PASSED, unreadable),
        ("multipart", form(multipart).typed("multipart/form-data; boundary=x"), PASSED, unreadable),
        ("JSON", json(GRANT_TYPE), PASSED, in_json),
        (
            "JSON with escapes",
            form(json!({ "grant_type": GRANT_TYPE }).to_string().replace("urn", "\\u0075rn")).typed("application/json"),
            PASSED,
            in_json,
        ),
        (
            "JSON with a comment",
            form(format!("/**/{}", json!({ "grant_type": GRANT_TYPE }))).typed("application/json"),
            PASSED,
            unreadable,
        ),
        ("JSON with another grant", json("urn:ietf:params:oauth:token-type:token-exchange"), PASSED, PASSED),
        ("a compressed form", good().header("content-encoding", "gzip"), PASSED, unreadable),
        ("another method", good().method("PUT"), PASSED, other_method),
        ("a method in lower case", good().method("post"), PASSED, other_method),
        (
            "`GET` with a method override header",
            good().method("GET").header("x-http-method-override", "POST"),
            PASSED,
            other_method,
        ),
        ("the absolute form of the target", good().at("http://as.example/token"), ISSUED, ISSUED),
        ("a trailing slash", good().at("/token/"), PASSED, ISSUED),
        ("a trailing dot", good().at("/token."), PASSED, other_path),
        ("a path parameter", good().at("/token;v=1"), PASSED, other_path),
        ("a doubled slash", good().at("//token"), PASSED, ISSUED),
        ("dot segments", good().at("/x/../token"), PASSED, ISSUED),
        ("an escaped path", good().at("/%74oken"), PASSED, ISSUED),
        ("an escaped path before a broken path parameter", good().at("/%74oken;%zz"), PASSED, other_path),
        ("a file extension after the path", good().at("/token.json"), PASSED, other_path),
        ("an escaped NUL behind the path", good().at("/token%00.x"), PASSED, other_path),
        ("an escaped line break behind the path", good().at("/token%0a"), PASSED, other_path),
        ("text after an escaped line break behind the path", good().at("/token%0a~"), PASSED, other_path),
        ("a path escaped twice", good().at("/%2574oken"), PASSED, other_path),
        ("a path in upper case", good().at("/TOKEN"), PASSED, other_path),
        ("`%u0074` for a letter of the path", good().at("/%u0074oken"), PASSED, other_path),
        ("an escaped question mark behind the path", good().at("/token%3Fx"), PASSED, other_path),
        ("below the path", good().at("/token/x"), PASSED, other_path),
        ("below the path, for a server that keeps dot segments", good().at("/token/../x"), PASSED, other_path),
        ("below the path with a file extension", good().at("/token.php/x"), PASSED, other_path),
        ("below the path, with another grant", form(ordinary).at("/token/x"), PASSED, PASSED),
        ("the path below a program", good().at("/index.php/token"), PASSED, other_path),
        ("the path behind a host", good().at("//as.example/token"), PASSED, other_path),
        ("the path in `X-Original-URL`", good().at("/other").header("x-original-url", "/token"), PASSED, other_path),
        (
            "the path in `X_Rewrite_URL`, as a URL",
            good().at("/other").header("x_rewrite_url", "http://as.example/Token?x"),
            PASSED,
            other_path,
        ),
        (
            "in the query of `X-Original-URL`",
            form("")
                .method("GET")
                .at("/other")
                .header("x-original-url", "/token?grant_type=urn:ietf:params:oauth:grant-type:token-exchange"),
            PASSED,
            in_query,
        ),
        ("an unrelated path", good().at("/other"), PASSED, PASSED),
    ]
}

#[tokio::test]
async fn every_attempt_has_the_result_of_the_page() {
    for (guarded, column) in [(false, 1), (true, 2)] {
        let plan = plan().with(|builder| if guarded { builder.guard() } else { builder });
        let token = plan.own.access_token(json!({}));
        let exchange = encode(&exchange_form(&token, &[]));
        let layer = plan.builder.build().unwrap();
        let passed = Arc::new(AtomicUsize::new(0));
        for (name, attempt, open, guard) in attempts(&exchange) {
            let expected = if guarded { guard } else { open };
            let calls = Arc::clone(&passed);
            let wrapped = tower::service_fn(move |request: Request<Body>| {
                let calls = Arc::clone(&calls);
                async move {
                    calls.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(http::Response::new(request.into_body()))
                }
            });
            let mut request = Request::builder()
                .method(attempt.method)
                .uri(attempt.target)
                .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")));
            for (name, value) in attempt.headers {
                request = request.header(name, value);
            }
            let request = request.body(Body::from(attempt.body.clone())).unwrap();
            let response = layer.layer(wrapped).oneshot(request).await.unwrap();

            let was_passed = passed.swap(0, Ordering::SeqCst) == 1;
            let reason = response.extensions().get::<Reason>().copied();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let found = match reason {
                Some(reason) => reason.code(),
                None if was_passed => PASSED,
                None => ISSUED,
            };
            assert_eq!(found, expected, "{name}, guarded: {guarded}");
            assert_eq!(was_passed, found == PASSED, "{name}");
            if was_passed {
                assert_eq!(body, attempt.body, "{name}: passed, but not as it came");
            } else {
                assert!(status.is_success() == (found == ISSUED) && body.starts_with(b"{"), "{name}");
            }
            assert_eq!(column_of_the_page(column)[name], expected, "the page, {name}");
        }
        assert_eq!(column_of_the_page(column).len(), attempts(&exchange).len(), "the page tells of nothing else");
    }
}

/// A column of the table on the page, by the first column.
fn column_of_the_page(column: usize) -> HashMap<&'static str, String> {
    // Later sections have tables of their own.
    let page = PAGE.split("\n# ").next().unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attempt"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let told = cells[column].trim_matches(|c| matches!(c, '`' | '|' | ' '));
        (cells[0], told.to_owned())
    })
    .collect()
}
