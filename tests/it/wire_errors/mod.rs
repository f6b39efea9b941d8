//! Every refusal over real HTTP: status, `error`, headers and audit event. No answer repeats the input.

mod profiles;
mod tokens;

use crate::support::*;
use bytes::Bytes;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Notify, mpsc};
use tower_token_exchange::{
    Client, GRANT_TYPE, Issuer, Reason,
    audit::AuditEvent,
    client_auth::{Authentication, Credentials},
    policy::{Decision, Denial, Grant, Names, Query, Rule, Semantics, Subjects},
    records::SubjectMapping,
    signing::{Algorithm, Signature, Signer, SigningRequest},
};

/// A marker in every value of every request. No answer may contain the marker.
const CANARY: &str = "zq9canary";
/// A marker in secrets and tokens. No audit event may contain this marker.
const HIDDEN: &str = "zq9canary-that-is-secret";
/// The place in a form for the token of the row.
const SUBJECT: &str = "<the token of the row>";
/// The place in a form for a valid subject token, if [`SUBJECT`] is the actor token.
const GOOD: &str = "<a good subject token>";
const FORM: &str = "application/x-www-form-urlencoded";
const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";

/// The reasons without a row in [`table`], with the file that tests them.
const ELSEWHERE: &[(Reason, Option<&str>)] = &[
    // Bodies in many pieces, and bodies that do not arrive.
    (Reason::TooManyFrames, Some("wire.rs")),
    (Reason::BodyTooSlow, Some("wire.rs")),
    // Only with guard.
    (Reason::GrantInCookie, Some("smuggling.rs")),
    // Only after other attempts.
    (Reason::PeerRateLimited, Some("fair_limits.rs")),
    (Reason::AuthenticationRateLimited, Some("fair_limits.rs")),
    (Reason::ClientRateLimited, Some("fair_limits.rs")),
    (Reason::SubjectRateLimited, Some("fair_limits.rs")),
    (Reason::RevocationShareUsed, Some("fair_limits.rs")),
    (Reason::ReplayShareUsed, Some("one_time_tokens.rs")),
    // Only of a client with keys, or with an outer layer.
    (Reason::ClientAssertionOfAnother, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionTypRefused, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionAlgorithmRefused, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionAudienceRefused, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionExpired, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionNotYetValid, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionTooLong, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionKeyUnknown, Some("private_key_jwt.rs")),
    (Reason::ClientAssertionSignatureInvalid, Some("private_key_jwt.rs")),
    (Reason::ClientKeysUnavailable, Some("private_key_jwt.rs")),
    (Reason::ClientCertificateMalformed, Some("client_certificates.rs")),
    (Reason::ClientCertificateUntrusted, Some("client_certificates.rs")),
    (Reason::ClientCertificateMismatch, Some("client_certificates.rs")),
    (Reason::ClientMethodRefused, Some("client_methods.rs")),
    // Only at the endpoints for introspection and revocation.
    (Reason::IssuedTokenMisplaced, Some("issued_tokens.rs")),
    (Reason::TokenNotHeld, Some("issued_tokens.rs")),
    // Without a sink that takes the event, or without a client that reads the answer.
    (Reason::AuditUnavailable, Some("wire_errors/mod.rs")),
    (Reason::ClientGone, Some("wire_errors/mod.rs")),
    (Reason::ClientAssertionUsedAgain, Some("private_key_jwt.rs")),
    // Only at a resource server. The tests name the reasons by `Reason::*`.
    (Reason::AccessTokenMissing, None),
    (Reason::SeveralAccessTokens, None),
    (Reason::AccessTokenInQuery, None),
    (Reason::AccessTokenMalformed, None),
    (Reason::BoundTokenAsBearer, None),
    (Reason::UnboundTokenAsDpop, None),
    (Reason::AccessBindingRequired, None),
    (Reason::AccessSubjectRefused, None),
    (Reason::AccessClientRefused, None),
    (Reason::AccessActorRefused, None),
    (Reason::AccessChainRefused, None),
    (Reason::AccessScopeInsufficient, None),
    (Reason::AccessLayerMissing, None),
    // `src/replay/replays.rs` has the tests.
    (Reason::DpopProofUsedAgain, Some("proof/dpop.rs")),
    // Only with DPoP, with certificates, or with a bound token whose key is known.
    (Reason::DpopProofMalformed, Some("proof/hostile.rs")),
    (Reason::DpopKeyRefused, Some("proof/hostile.rs")),
    (Reason::DpopProofMismatch, Some("proof/dpop.rs")),
    (Reason::DpopNonceRequired, Some("proof/nonces.rs")),
    (Reason::DpopProofStale, Some("proof/dpop.rs")),
    (Reason::DpopSignatureInvalid, Some("proof/hostile.rs")),
    (Reason::DpopProofMissing, Some("proof/dpop.rs")),
    (Reason::CertificateMissing, Some("proof/certificates.rs")),
    (Reason::SenderConstraintRequired, Some("proof/output.rs")),
    (Reason::SenderConstraintRefused, Some("proof/output.rs")),
    // A defect of the layer, which no request is known to reach.
    (Reason::Internal, None),
];

// The requests.

#[derive(Clone)]
struct Ask {
    method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    form: Vec<(String, String)>,
    /// The body, if the body is not the form.
    raw: Option<Vec<u8>>,
    subject: fn(&World) -> String,
}

/// A valid exchange of `orders` for `billing`.
fn ask() -> Ask {
    let form = exchange_form(SUBJECT, &[]);
    Ask {
        method: Method::POST,
        target: "/token".to_owned(),
        headers: vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(FORM)),
            (header::AUTHORIZATION, value(&basic("orders", &secret_of("orders")))),
        ],
        form: form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        raw: None,
        subject: |world| world.own.access_token(json!({})),
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap()
}

impl Ask {
    /// Sets a parameter, or adds the parameter.
    fn set(mut self, name: &str, value: &str) -> Self {
        match self.form.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.form.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    fn add(mut self, name: &str, value: &str) -> Self {
        self.form.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.form.retain(|(known, _)| known != name);
        self
    }

    /// Appends bytes to the encoded form.
    fn raw(mut self, end: &[u8]) -> Self {
        let mut body = self.encoded().into_bytes();
        body.extend_from_slice(end);
        self.raw = Some(body);
        self
    }

    fn body(mut self, body: &str) -> Self {
        self.raw = Some(body.as_bytes().to_vec());
        self
    }

    fn token(mut self, subject: fn(&World) -> String) -> Self {
        self.subject = subject;
        self
    }

    fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    fn at(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    fn no_auth(mut self) -> Self {
        self.headers.retain(|(name, _)| name != header::AUTHORIZATION);
        self
    }

    fn auth(self, authorization: &str) -> Self {
        self.no_auth().header(header::AUTHORIZATION, authorization)
    }

    fn by_client(self, client: &str) -> Self {
        self.auth(&basic(client, &secret_of(client)))
    }

    fn post_auth(self, client: &str, secret: &str) -> Self {
        self.no_auth().set("client_id", client).set("client_secret", secret)
    }

    fn header(mut self, name: HeaderName, text: &str) -> Self {
        self.headers.push((name, value(text)));
        self
    }

    fn typed(mut self, content_type: &'static str) -> Self {
        self.headers.retain(|(name, _)| name != header::CONTENT_TYPE);
        self.header(header::CONTENT_TYPE, content_type)
    }

    fn encoded(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.form).finish()
    }

    /// Signs the tokens with the keys of the world.
    fn resolve(&mut self, world: &World) {
        for (_, value) in &mut self.form {
            match value.as_str() {
                SUBJECT => *value = (self.subject)(world),
                GOOD => *value = world.own.access_token(json!({})),
                _ => {}
            }
        }
    }

    fn request(&self, world: &World) -> Request<Bytes> {
        let mut request = Request::builder().method(&self.method).uri(format!("{}{}", world.url, self.target));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.raw.clone().unwrap_or_else(|| self.encoded().into_bytes()).into()).unwrap()
    }

    /// The texts of the request that the answer must not repeat.
    fn words(&self) -> Vec<String> {
        let mut words = vec![CANARY.to_owned()];
        words.extend(self.form.iter().map(|(_, value)| value.clone()));
        words.extend(self.headers.iter().map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()));
        words.retain(|word| word.len() > 5 && word != "application/json");
        words
    }

    /// The texts of the request that the audit must not repeat.
    fn secrets(&self) -> Vec<String> {
        let tokens = self.form.iter().filter(|(name, _)| name.ends_with("_token")).map(|(_, value)| value.clone());
        let mut secrets = vec![HIDDEN.to_owned()];
        secrets.extend(["orders", "billing", "no-exchange"].map(secret_of));
        secrets.extend(tokens.filter(|token| token.len() > 5));
        secrets
    }
}

// The answers.

struct Row {
    name: &'static str,
    world: fn() -> Plan,
    ask: Ask,
    reason: Reason,
    error: &'static str,
    status: u16,
    challenged: bool,
    /// Rows of one group must have the same answer.
    group: Option<&'static str>,
    /// The members of the answer other than `error` and `error_description`.
    more: &'static [(&'static str, &'static str)],
}

const BAD_CLIENT_BASIC: &str = "a client that is not who it says, by Basic";
const BAD_CLIENT_POST: &str = "a client that is not who it says, in the body";
const BAD_TARGET: &str = "a target that cannot be had";
const BAD_TOKEN: &str = "a token, or a wish, that is not acceptable";

fn row(name: &'static str, reason: Reason, error: &'static str, ask: Ask) -> Row {
    Row { name, world: plan, ask, reason, error, status: 400, challenged: false, group: None, more: &[] }
}

impl Row {
    fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    fn challenged(self) -> Self {
        Self { status: 401, challenged: true, ..self }
    }

    fn like(self, group: &'static str) -> Self {
        Self { group: Some(group), ..self }
    }

    fn in_world(self, world: fn() -> Plan) -> Self {
        Self { world, ..self }
    }

    fn saying(self, more: &'static [(&'static str, &'static str)]) -> Self {
        Self { more, ..self }
    }
}

fn invalid_request(name: &'static str, reason: Reason, ask: Ask) -> Row {
    row(name, reason, "invalid_request", ask)
}

fn invalid_client(name: &'static str, reason: Reason, ask: Ask) -> Row {
    row(name, reason, "invalid_client", ask)
}

fn bad_token(name: &'static str, reason: Reason, ask: Ask) -> Row {
    invalid_request(name, reason, ask).like(BAD_TOKEN)
}

fn invalid_target(name: &'static str, reason: Reason, ask: Ask) -> Row {
    row(name, reason, "invalid_target", ask).like(BAD_TARGET)
}

fn invalid_scope(name: &'static str, reason: Reason, ask: Ask) -> Row {
    row(name, reason, "invalid_scope", ask)
}

fn broken(name: &'static str, reason: Reason, world: fn() -> Plan) -> Row {
    row(name, reason, "server_error", ask()).status(500).in_world(world)
}

fn unavailable(name: &'static str, reason: Reason, world: fn() -> Plan) -> Row {
    row(name, reason, "temporarily_unavailable", ask()).status(503).in_world(world)
}

// The rows, in the order of an exchange (specs G).

/// Refusals before the form is read.
fn not_read() -> Vec<Row> {
    let query = format!("/token?grant_type={GRANT_TYPE}&x={CANARY}");
    let escaped = format!("/token?x=1&%67rant_type={}", GRANT_TYPE.replace(':', "%3A"));
    let ordinary = || ask().body("grant_type=client_credentials");
    let in_query = |name, ask| invalid_request(name, Reason::GrantInQuery, ask);
    let json = format!(r#"{{"grant_type":"{GRANT_TYPE}","x":"{CANARY}"}}"#);
    let guarded = || plan().with(|builder| builder.guard());
    vec![
        in_query("the grant in the query of a GET", ask().method(Method::GET).at(&query).body("")),
        in_query("the grant in the query of a POST", ordinary().at(&query)),
        in_query("the grant in the query of a PUT", ordinary().method(Method::PUT).at(&query)),
        in_query("the grant in the query of a DELETE", ask().method(Method::DELETE).at(&query).body("")),
        in_query("the grant in the query, escaped", ordinary().at(&escaped)),
        in_query("the grant in the query and in the body", ask().at(&query)),
        in_query("the grant in the query beside JSON", ordinary().typed("application/json").at(&query)),
        in_query("the whole request in the query", ask().at(&format!("{query}&subject_token=a")).body("")),
        invalid_request("a body over the limit", Reason::BodyTooLarge, ask().set("x", &CANARY.repeat(500)))
            .status(413)
            .in_world(|| plan().with(|builder| builder.body_limit(4000))),
        invalid_request(
            "a body of another grant over the limit",
            Reason::BodyTooLarge,
            ask().set("grant_type", "password").set("x", &CANARY.repeat(500)),
        )
        .status(413)
        .in_world(|| plan().with(|builder| builder.body_limit(4000))),
        invalid_request("guard: a form by PUT", Reason::GrantInOtherMethod, ask().method(Method::PUT))
            .in_world(guarded),
        invalid_request("guard: at another spelling", Reason::GrantAtOtherPath, ask().at("/token.")).in_world(guarded),
        invalid_request("guard: in JSON", Reason::GrantInJson, ask().typed("application/json").body(&json))
            .in_world(guarded),
        invalid_request("guard: what cannot be read", Reason::BodyUnreadable, ask().typed("text/plain"))
            .status(415)
            .in_world(guarded),
    ]
}

/// The form (specs TE-02 to TE-05).
fn form() -> Vec<Row> {
    let malformed = |name, end: &[u8]| invalid_request(name, Reason::MalformedForm, ask().raw(end));
    let repeated = |name, ask| invalid_request(name, Reason::RepeatedParameter, ask);
    let missing = |name, grant: &str| {
        let rest = ask().without("grant_type").encoded();
        invalid_request(name, Reason::GrantTypeMissing, ask().body(&format!("{grant}&{rest}")))
    };
    let unsupported = |name, grant: &str| {
        row(name, Reason::UnsupportedGrantType, "unsupported_grant_type", ask().set("grant_type", grant))
    };
    let mut many = ask();
    for n in 0..61 {
        many = many.add(&format!("x{n}"), CANARY);
    }
    vec![
        malformed("a broken escape in a value", b"&x=zq9canary%"),
        malformed("an escape cut off", b"&x=zq9canary%4"),
        malformed("an escape that is not hexadecimal", b"&scope=%zzzq9canary"),
        malformed("a broken escape in a name", b"&zq9canary%q=1"),
        malformed("a value that is not UTF-8", b"&x=zq9canary%ff"),
        malformed("a raw byte that is not UTF-8", b"&x=zq9canary\xff"),
        malformed("a name that is not UTF-8", b"&zq9canary%c3=1"),
        malformed("a NUL", b"&scope=read%00zq9canary"),
        malformed("a line break", b"&scope=read%0d%0azq9canary"),
        malformed("a DEL", b"&requested_token_type=zq9canary%7f"),
        invalid_request("65 parameters", Reason::TooManyParameters, many),
        repeated("a second grant_type, another one", ask().add("grant_type", "client_credentials")),
        repeated("a second grant_type, the same", ask().add("grant_type", GRANT_TYPE)),
        repeated("a second scope", ask().add("scope", "read").add("scope", CANARY)),
        repeated("a second scope after an empty one", ask().add("scope", "").add("scope", CANARY)),
        repeated("a second subject_token", ask().add("subject_token", HIDDEN)),
        repeated("a second subject_token_type", ask().add("subject_token_type", ACCESS_TOKEN)),
        repeated("a second actor_token", ask().add("actor_token", HIDDEN).add("actor_token", HIDDEN)),
        repeated(
            "a second requested_token_type",
            ask().add("requested_token_type", "a").add("requested_token_type", ""),
        ),
        repeated("a second client_id", ask().add("client_id", "orders").add("client_id", "orders")),
        repeated("a second client_secret", ask().add("client_secret", "a").add("client_secret", "a")),
        repeated("a second unknown parameter", ask().add("options", CANARY).add("options", CANARY)),
        repeated("a second scope, with its name escaped", ask().raw(b"&scope=read&sc%6fpe=zq9canary")),
        missing("grant_type in upper case", &format!("GRANT_TYPE={GRANT_TYPE}")),
        missing("grant_type with a space", &format!("+grant_type={GRANT_TYPE}")),
        missing("grant_type as an array", &format!("grant_type[]={GRANT_TYPE}")),
        unsupported("the grant in upper case", &GRANT_TYPE.to_uppercase()),
        unsupported("the grant with spaces", &format!(" {GRANT_TYPE} ")),
    ]
}

/// Client authentication (specs B.2), which comes before every other check.
fn client() -> Vec<Row> {
    let malformed = |name, authorization: &str| {
        invalid_client(name, Reason::ClientCredentialsMalformed, ask().auth(authorization)).challenged()
    };
    let unsupported = |name, authorization: &str| {
        invalid_client(name, Reason::ClientSchemeUnsupported, ask().auth(authorization)).challenged()
    };
    let rejected = |name, ask| {
        invalid_client(name, Reason::ClientRejected, ask).challenged().like(BAD_CLIENT_BASIC).in_world(with_odd_clients)
    };
    let rejected_in_body =
        |name, ask| invalid_client(name, Reason::ClientRejected, ask).like(BAD_CLIENT_POST).in_world(with_odd_clients);
    let missing = |name, ask| invalid_client(name, Reason::ClientCredentialsMissing, ask);
    let several = |name, ask| invalid_request(name, Reason::SeveralClientCredentials, ask);
    let not_alone = |name, ask| invalid_client(name, Reason::ClientAssertionNotAlone, ask);
    let bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let asserts = |ask: Ask| ask.set("client_assertion", HIDDEN).set("client_assertion_type", bearer);
    let wrong = || basic("orders", HIDDEN);
    let not_allowed =
        |name, ask| row(name, Reason::GrantNotAllowed, "unauthorized_client", ask).in_world(with_odd_clients);
    let dpop = HeaderName::from_static("dpop");
    vec![
        missing("no credentials", ask().no_auth()),
        missing("a client_id alone", ask().no_auth().set("client_id", "orders")),
        missing("a client_secret alone", ask().no_auth().set("client_secret", HIDDEN)),
        missing("an empty client_secret", ask().post_auth("orders", "")),
        missing("an empty client_id", ask().post_auth("", HIDDEN)),
        missing("credentials in the query", ask().no_auth().at(&in_query("orders"))),
        malformed("Basic alone", "Basic"),
        malformed("Basic without base64", "Basic zq9canary-that-is-secret!"),
        malformed("Basic without a colon", &format!("Basic {}", BASE64.encode(HIDDEN.as_bytes()))),
        malformed("Basic without an id", &basic("", CANARY)),
        malformed("Basic with bytes beyond ASCII", "Basic zq9canary-that-is-secreté"),
        malformed("Basic twice in one header", &format!("{}, {}", wrong(), wrong())),
        unsupported("Bearer", "Bearer zq9canary-that-is-secret"),
        unsupported("Digest", "Digest response=\"zq9canary-that-is-secret\""),
        unsupported("a scheme that begins like Basic", &wrong().replace("Basic", "Basics")),
        unsupported("an empty header", ""),
        several("Basic and a client_secret", ask().set("client_id", "orders").set("client_secret", HIDDEN)),
        several("two Authorization headers", ask().header(header::AUTHORIZATION, &wrong())),
        invalid_client("a bad client_assertion", Reason::ClientAssertionMalformed, asserts(ask().no_auth())),
        invalid_client(
            "a client_assertion of another type",
            Reason::ClientAssertionUnsupported,
            ask().no_auth().set("client_assertion", HIDDEN).set("client_assertion_type", CANARY),
        ),
        not_alone("a client_assertion_type alone", ask().no_auth().set("client_assertion_type", CANARY)),
        not_alone("a client_assertion alone", ask().no_auth().set("client_assertion", HIDDEN)),
        not_alone("a client_assertion and a client_secret", asserts(ask().post_auth("orders", HIDDEN))),
        // CA-01 requires invalid_client, and TE-10 requires 401 with a challenge if the header was used.
        not_alone("a client_assertion and Basic", asserts(ask())).challenged(),
        rejected("a wrong secret", ask().auth(&wrong())),
        rejected("another client's secret", ask().auth(&basic("orders", &secret_of("billing")))),
        rejected("an empty secret", ask().auth(&basic("orders", ""))),
        rejected("the right secret and more", ask().auth(&basic("orders", &format!("{} ", secret_of("orders"))))),
        rejected("an unknown client", ask().auth(&basic(CANARY, &secret_of("orders")))),
        rejected("a client in another case", ask().auth(&basic("Orders", &secret_of("orders")))),
        rejected("a client without secrets", ask().auth(&basic("no-secret", HIDDEN))),
        rejected("a client without secrets, and an empty one", ask().auth(&basic("no-secret", ""))),
        rejected("a wrong secret of a client without this grant", ask().auth(&basic("no-exchange", HIDDEN))),
        rejected("a wrong secret and another client_id", ask().auth(&wrong()).set("client_id", "billing")),
        rejected("a wrong secret and no subject_token", ask().auth(&wrong()).without("subject_token")),
        rejected("a wrong secret and an unknown target", ask().auth(&wrong()).set("audience", "nowhere")),
        rejected("a wrong secret and a DPoP proof", ask().auth(&wrong()).header(dpop.clone(), HIDDEN)),
        rejected_in_body("a wrong secret in the body", ask().post_auth("orders", HIDDEN)),
        rejected_in_body("an unknown client in the body", ask().post_auth(CANARY, &secret_of("orders"))),
        rejected_in_body("a client without secrets in the body", ask().post_auth("no-secret", HIDDEN)),
        invalid_request("another client_id", Reason::ClientIdMismatch, ask().set("client_id", "billing")),
        invalid_request("an unknown client_id", Reason::ClientIdMismatch, ask().set("client_id", CANARY)),
        invalid_request("client_id in another case", Reason::ClientIdMismatch, ask().set("client_id", "Orders")),
        not_allowed("a client without this grant", ask().by_client("no-exchange")),
        not_allowed("the same, in the body", ask().post_auth("no-exchange", &secret_of("no-exchange"))),
        not_allowed("the same, without a subject_token", ask().by_client("no-exchange").without("subject_token")),
        row("a DPoP proof", Reason::DpopUnsupported, "invalid_dpop_proof", ask().header(dpop, HIDDEN)),
    ]
}

fn in_query(client: &str) -> String {
    format!("/token?client_id={client}&client_secret={}", secret_of(client))
}

fn with_odd_clients() -> Plan {
    let odd = |mut clients: Vec<Client>| {
        clients.push(Client::new("no-secret"));
        clients.push(Client::new("no-exchange").secret(secret_of("no-exchange")).deny_exchange());
        clients
    };
    plan_with(odd, |targets| targets)
}

/// Token parameters and types (specs TX-07 to TX-11, TX-22).
fn parameters() -> Vec<Row> {
    let unpaired = |name, ask| invalid_request(name, Reason::ActorParametersUnpaired, ask);
    let subject_type =
        |name, uri| invalid_request(name, Reason::SubjectTokenTypeUnsupported, ask().set("subject_token_type", uri));
    let actor_type = |name, uri| {
        let ask = ask().set("actor_token", HIDDEN).set("actor_token_type", uri);
        invalid_request(name, Reason::ActorTokenTypeUnsupported, ask)
    };
    let requested = |name, uri| {
        invalid_request(name, Reason::RequestedTokenTypeUnsupported, ask().set("requested_token_type", uri))
    };
    let large = "a".repeat(64 * 1024 + 1);
    let no_token = |name, ask| invalid_request(name, Reason::SubjectTokenMissing, ask);
    let no_type = |name, ask| invalid_request(name, Reason::SubjectTokenTypeMissing, ask);
    vec![
        no_token("no subject_token", ask().without("subject_token")),
        no_token("an empty subject_token", ask().set("subject_token", "")),
        no_token("the subject_token in the query", ask().without("subject_token").at("/token?subject_token=zq9canary")),
        no_type("no subject_token_type", ask().without("subject_token_type")),
        no_type("an empty subject_token_type", ask().set("subject_token_type", "")),
        unpaired("an actor_token alone", ask().set("actor_token", HIDDEN)),
        unpaired("an actor_token_type alone", ask().set("actor_token_type", JWT)),
        unpaired("an empty actor_token", ask().set("actor_token", "").set("actor_token_type", JWT)),
        unpaired("an empty actor_token_type", ask().set("actor_token", HIDDEN).set("actor_token_type", "")),
        subject_type("a SAML assertion", SAML2),
        subject_type("a refresh token", REFRESH_TOKEN),
        subject_type("an ID token that no issuer issues", ID_TOKEN),
        subject_type("a type in another case", "urn:ietf:params:oauth:token-type:ACCESS_TOKEN"),
        subject_type("a type that is no URN", "access_token"),
        subject_type("a type of nobody's", "urn:zq9canary"),
        actor_type("a SAML assertion as actor", SAML2),
        actor_type("an ID token as actor", ID_TOKEN),
        actor_type("an actor type of nobody's", "urn:zq9canary"),
        requested("a refresh token, please", REFRESH_TOKEN),
        requested("an ID token, please", ID_TOKEN),
        requested("a SAML assertion, please", SAML2),
        requested("a JWT for a client that may not", JWT),
        requested("an output type of nobody's", "urn:zq9canary"),
        bad_token("a subject_token over the limit", Reason::TokenTooLarge, ask().set("subject_token", &large)),
        bad_token(
            "an actor_token over the limit",
            Reason::TokenTooLarge,
            ask().set("actor_token", &large).set("actor_token_type", JWT),
        ),
    ]
}

/// Targets (specs RI-03, TH-13 to TH-15) and scope (TE-11 to TE-13).
fn targets_and_scope() -> Vec<Row> {
    let malformed =
        |name, uri: &str| invalid_target(name, Reason::TargetMalformed, ask().without("audience").set("resource", uri));
    let audience = |name, reason, audience: &str| invalid_target(name, reason, ask().set("audience", audience));
    let unknown = |name, kind: &str, text: &str| {
        invalid_target(name, Reason::TargetUnknown, ask().without("audience").set(kind, text))
    };
    let many = "x".repeat(257);
    let bad_scope = |name, scope: &str| invalid_scope(name, Reason::ScopeMalformed, ask().set("scope", scope));
    let nothing = |name, scope: &str| invalid_scope(name, Reason::ScopeEmpty, ask().set("scope", scope));
    let exceeded = |name, scope: &str| {
        let strict = || plan().with(|builder| builder.strict_scope());
        invalid_scope(name, Reason::ScopeExceeded, ask().set("scope", scope)).in_world(strict)
    };
    let narrowed = || plan_with(|clients| clients.into_iter().map(|c| c.targets(["orders"])).collect(), |t| t);
    vec![
        malformed("a resource with a fragment", "https://billing.example/api#zq9canary"),
        malformed("a resource with an empty fragment", "https://billing.example/api#"),
        malformed("a relative resource", "/api/zq9canary"),
        malformed("a resource without a scheme", "billing.example/zq9canary"),
        malformed("a resource with user information", "https://zq9canary@billing.example/api"),
        malformed("a resource with a scheme in upper case", "HTTPS://billing.example/api"),
        malformed("a resource with a host in upper case", "https://Billing.example/api"),
        malformed("a resource with the default port", "https://billing.example:443/api"),
        malformed("a resource with dot segments", "https://billing.example/zq9canary/../api"),
        malformed("a resource with a needless escape", "https://billing.example/%61pi"),
        malformed("a resource beyond ASCII", "https://bílling.example/api"),
        malformed("two resources in one", "https://billing.example/api https://zq9canary.example"),
        audience("two audiences in one", Reason::TargetMalformed, "billing zq9canary"),
        audience("an audience beyond ASCII", Reason::TargetMalformed, "bílling"),
        audience("an unknown audience", Reason::TargetUnknown, CANARY),
        audience("an audience in another case", Reason::TargetUnknown, "Billing"),
        audience("the start of an audience", Reason::TargetUnknown, "bill"),
        audience("an audience and more", Reason::TargetUnknown, "billing2"),
        audience("a resource as audience", Reason::TargetUnknown, "https://billing.example/api"),
        audience("the aud claim as audience", Reason::TargetUnknown, "https://billing.example"),
        unknown("an unknown resource", "resource", "https://zq9canary.example/"),
        unknown("a resource and a slash", "resource", "https://billing.example/api/"),
        unknown("a resource and a query", "resource", "https://billing.example/api?x=1"),
        unknown("below a resource", "resource", "https://billing.example/api/zq9canary"),
        unknown("above a resource", "resource", "https://billing.example/"),
        audience("a target that others may call", Reason::TargetNotAllowed, "ledger"),
        audience("the client's own service", Reason::TargetNotAllowed, "orders"),
        audience("a target beyond the client's own list", Reason::TargetNotAllowed, "billing").in_world(narrowed),
        invalid_target("a good target and an unknown one", Reason::TargetUnknown, ask().add("audience", CANARY)),
        invalid_target("no target", Reason::TargetMissing, ask().without("audience")),
        invalid_target("an empty target", Reason::TargetMissing, ask().set("audience", "").set("resource", "")),
        invalid_target(
            "the target in the query",
            Reason::TargetMissing,
            ask().without("audience").at("/token?audience=billing"),
        ),
        invalid_target("two targets", Reason::TooManyTargets, ask().add("audience", "ledger")),
        invalid_target(
            "a good target and one that others may call",
            Reason::TargetNotAllowed,
            ask().add("audience", "ledger"),
        )
        .in_world(|| plan().with(|builder| builder.max_targets(2))),
        bad_scope("two spaces between scopes", "read  zq9canary"),
        bad_scope("a space before", " read"),
        bad_scope("a space after", "read "),
        bad_scope("a space alone", " "),
        bad_scope("a quotation mark", "\"zq9canary\""),
        bad_scope("a backslash", "zq9canary\\"),
        bad_scope("a scope beyond ASCII", "zq9canaryé"),
        bad_scope("a scope token over the limit", &many),
        bad_scope("more scope tokens than the limit", &(0..65).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ")),
        nothing("a scope that nobody has", CANARY),
        nothing("a scope in another case", "Read"),
        nothing("the start of a scope", "rea"),
        nothing("a scope with a wildcard", "*"),
        invalid_scope(
            "a scope that the subject has and the target has not",
            Reason::ScopeEmpty,
            ask().set("scope", "admin").token(|world| world.own.access_token(json!({ "scope": "admin read" }))),
        ),
        invalid_scope(
            "a subject with no scope",
            Reason::ScopeEmpty,
            ask().token(|world| world.own.access_token(json!({ "scope": null }))),
        ),
        exceeded("strict: more than there is", "read zq9canary"),
    ]
}

/// The policy.
fn policy() -> Vec<Row> {
    let denied = |name, reason, world| bad_token(name, reason, ask()).in_world(world);
    vec![
        denied("no rule at all", Reason::PolicyNoRule, || plan().with(|builder| builder.rules([]))),
        denied("no rule for this client", Reason::PolicyNoRule, || {
            plan().with(|builder| {
                builder.rules([Rule::allow("billing", Subjects::any(), Names::any()).scopes(Names::any())])
            })
        }),
        denied("a rule that denies", Reason::PolicyDenied, || {
            let allow = Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any());
            let deny = Rule::deny("orders", Subjects::any(), Names::any());
            plan().with(|builder| builder.rules([allow, deny]))
        }),
        denied("a policy that denies", Reason::PolicyDenied, || {
            plan().with(|builder| builder.policy(decides(|_| Decision::deny(CANARY))))
        }),
        row("a policy that denies the target", Reason::PolicyTargetDenied, "invalid_target", ask())
            .in_world(|| plan().with(|builder| builder.policy(decides(|_| Decision::Deny(Denial::target(CANARY)))))),
        step_up("a login that is not strong enough, and too long ago", ask())
            .saying(&[("acr_values", r#""phrh phr""#), ("max_age", "300")]),
        step_up("a login that says nothing", ask().token(|world| world.own.access_token(json!({ "acr": CANARY }))))
            .saying(&[("acr_values", r#""phrh phr""#), ("max_age", "300")]),
        step_up("a policy that wants another login, in its own words", ask())
            .in_world(|| {
                let wants = || Decision::Deny(Denial::step_up(["mfa"], None).reason(CANARY));
                plan().with(|builder| builder.policy(decides(move |_| wants())))
            })
            .saying(&[("acr_values", r#""mfa""#)]),
        step_up("a policy that wants another login and does not say which", ask()).in_world(|| {
            let wants = || Decision::Deny(Denial::step_up([""; 0], None));
            plan().with(|builder| builder.policy(decides(move |_| wants())))
        }),
        broken("a policy that grants more scope", Reason::PolicyWidened, || {
            let wide = || Grant::new(Semantics::Delegation).scope("read write zq9canary".parse().unwrap());
            plan().with(|builder| builder.policy(decides(move |_| Decision::Allow(wide()))))
        }),
        broken("a policy that grants more time", Reason::PolicyWidened, || {
            let long = |query: Query| query.max_lifetime + Duration::from_secs(1);
            let grant = move |query| Grant::new(Semantics::Delegation).max_lifetime(long(query));
            plan().with(|builder| builder.policy(decides(move |query| Decision::Allow(grant(query)))))
        }),
    ]
}

fn step_up(name: &'static str, ask: Ask) -> Row {
    row(name, Reason::StepUpRequired, "insufficient_user_authentication", ask).in_world(|| {
        let allow = Rule::allow(Names::any(), Subjects::any(), Names::any()).scopes(Names::any());
        let strong = allow.require_acr(["phrh", "phr"]).max_auth_age(Duration::from_secs(300));
        plan().with(|builder| builder.rules([strong]))
    })
}

fn decides(
    decide: impl Fn(Query) -> Decision + Clone + Send + Sync + 'static,
) -> impl tower_token_exchange::policy::Policy {
    tower::service_fn(move |query: Query| std::future::ready(Ok::<_, Infallible>(decide(query))))
}

/// Failures of the server (specs TE-16, TH-45).
fn failures() -> Vec<Row> {
    vec![
        unavailable("a policy that cannot be asked", Reason::PolicyUnavailable, || {
            plan().with(|builder| builder.policy(tower::service_fn(|_: Query| async { Err::<Decision, _>(CANARY) })))
        }),
        broken("a policy that panics", Reason::PolicyPanicked, || {
            plan().with(|builder| builder.policy(decides(|_| panic!("{CANARY}, as the test wants"))))
        }),
        unavailable("an authenticator that cannot be asked", Reason::AuthenticatorUnavailable, || {
            let away = tower::service_fn(|_: Credentials| async { Err::<Authentication, _>(CANARY) });
            plan().with(|builder| builder.client_authenticator(away))
        }),
        broken("an authenticator that cannot work", Reason::AuthenticatorMisconfigured, || {
            let problem = || Authentication::Misconfigured { problem: "no method works; use another".to_owned() };
            let wrong = tower::service_fn(move |_: Credentials| async move { Ok::<_, Infallible>(problem()) });
            plan().with(|builder| builder.client_authenticator(wrong))
        }),
        unavailable("too many attempts of a client", Reason::TooManyClientAttempts, || {
            let wait = || Authentication::TooManyAttempts { retry_after: Duration::from_millis(1500) };
            let limits = tower::service_fn(move |_: Credentials| async move { Ok::<_, Infallible>(wait()) });
            plan().with(|builder| builder.client_authenticator(limits))
        })
        .status(429),
        broken("an authenticator that panics", Reason::AuthenticatorPanicked, || {
            let panics = tower::service_fn(|credentials: Credentials| async move {
                assert_eq!(credentials.readings().count(), 0, "{CANARY}, as the test wants");
                Ok::<_, Infallible>(Authentication::Rejected)
            });
            plan().with(|builder| builder.client_authenticator(panics))
        }),
        Row {
            ask: ask().token(|world| world.idp.foreign(json!({}))).set("subject_token_type", JWT),
            ..unavailable("keys that cannot be fetched", Reason::IssuerKeysUnavailable, || {
                let plan = plan();
                let remote = Issuer::new("https://remote.example")
                    .jwks_uri("https://remote.example/jwks.json")
                    .map_subjects(SubjectMapping::Prefix("remote|".into()))
                    .allow_presenters(["orders"]);
                let away = tower::service_fn(|_: Request<Bytes>| async { Err::<http::Response<Bytes>, _>(CANARY) });
                let mut plan = plan.with(|builder| builder.issuers([remote]).http(away));
                plan.idp.iss = "https://remote.example";
                plan
            })
        },
        unavailable("a signer that cannot be asked", Reason::SignerUnavailable, || {
            with_signer(|_: SigningRequest| async { Err::<Signature, _>(CANARY) })
        }),
        broken("a signer that panics", Reason::SignerPanicked, || {
            with_signer(|request: SigningRequest| async move {
                assert!(request.signing_input.is_empty(), "{CANARY}, as the test wants");
                Ok::<_, &str>(Signature::new(Bytes::new()))
            })
        }),
        broken("a signature of another length", Reason::SignatureRefused, || {
            with_signer(|_: SigningRequest| async { Ok::<_, &str>(Signature::new(Bytes::from_static(&[7; 70]))) })
        }),
        broken("a signature of another key", Reason::SignatureRefused, || {
            with_signer(|_: SigningRequest| async { Ok::<_, &str>(Signature::new(Bytes::from_static(&[7; 64]))) })
        }),
        unavailable("an exchange that takes too long", Reason::DeadlineExceeded, || {
            let never = tower::service_fn(|_: Query| std::future::pending::<Result<Decision, Infallible>>());
            plan().with(|builder| builder.policy(never).deadline(Duration::from_millis(100)))
        }),
    ]
}

fn with_signer<F>(sign: impl FnMut(SigningRequest) -> F + Clone + Send + Sync + 'static) -> Plan
where
    F: Future<Output = Result<Signature, &'static str>> + Send + 'static,
{
    let plan = plan();
    let (kid, keys) = (plan.own.key.key_id().clone(), plan.own.keys());
    plan.with(|builder| builder.signer(Signer::new(kid, Algorithm::ES256, tower::service_fn(sign), keys).unwrap()))
}

fn table() -> Vec<Row> {
    [
        not_read(),
        form(),
        client(),
        parameters(),
        targets_and_scope(),
        tokens::tokens(),
        tokens::actors(),
        tokens::records(),
        tokens::others_say_so(),
        policy(),
        failures(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

// The checks.

/// The headers of an answer, without the headers that every server writes.
fn header_names(headers: &HeaderMap) -> BTreeSet<&str> {
    // axum adds `allow` if a route does not have the method.
    let servers = ["allow", "content-length", "date"];
    headers.keys().map(HeaderName::as_str).filter(|name| !servers.contains(name)).collect()
}

/// An answer without its time.
fn shape(reply: &Reply) -> String {
    let mut headers = reply.headers.clone();
    headers.remove(header::DATE);
    format!("{} {headers:?} {}", reply.status, reply.text)
}

fn check(row: &Row, reply: &Reply) {
    let name = row.name;
    assert_eq!(reply.status, row.status, "{name}: {}", reply.text);

    let body: Value = reply.json();
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    let more = row.more.iter().map(|(member, _)| *member);
    assert_eq!(members, ["error", "error_description"].into_iter().chain(more).collect::<Vec<_>>(), "{name}");
    for (member, value) in row.more {
        assert_eq!(body[*member], serde_json::from_str::<Value>(value).unwrap(), "{name}: {member}");
    }
    assert_eq!(body["error"], row.error, "{name}");
    let description = body["error_description"].as_str().unwrap();
    let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    assert!(!description.is_empty() && description.bytes().all(allowed), "{name}: {description}");

    let headers = &reply.headers;
    let mut expected = BTreeSet::from(["content-type", "cache-control", "pragma"]);
    expected.extend(row.challenged.then_some("www-authenticate"));
    expected.extend(matches!(row.status, 429 | 503).then_some("retry-after"));
    assert_eq!(header_names(headers), expected, "{name}");
    assert!(headers.keys().all(|name| headers.get_all(name).iter().count() == 1), "{name}: {headers:?}");
    assert_eq!(headers["content-type"], "application/json", "{name}");
    assert_eq!(headers["cache-control"], "no-store", "{name}");
    assert_eq!(headers["pragma"], "no-cache", "{name}");
    if row.challenged {
        let challenge = headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic realm=\""), "{name}: {challenge}");
    }
    if row.status == 503 {
        let seconds: u32 = headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!(seconds > 0, "{name}");
    }
}

fn check_event(row: &Row, event: &AuditEvent) {
    let name = row.name;
    assert_eq!(event.reason, Some(row.reason), "{name}: {event:?}");
    assert_eq!(event.error.map(|error| error.as_str()), Some(row.error), "{name}");
    assert_eq!(event.outcome.as_str(), if row.status >= 500 { "error" } else { "denied" }, "{name}");
    assert!(event.granted.is_none(), "{name}");
}

#[tokio::test]
async fn every_refusal_follows_the_standards() {
    let mut groups: HashMap<&str, (&str, String)> = HashMap::new();
    let mut failed = Vec::new();
    for mut row in table() {
        let mut world = (row.world)().start().await;
        row.ask.resolve(&world);
        let reply = world.send(row.ask.request(&world)).await;
        let event = world.event().await;
        // A failing row does not stop the test.
        let checks = panic::catch_unwind(AssertUnwindSafe(|| {
            check(&row, &reply);
            check_event(&row, &event);
            assert!(world.no_event(), "{}: a second event", row.name);
            assert!(world.passed.lock().unwrap().is_empty(), "{}: the wrapped service has seen it", row.name);
            check_silence(&row, &reply, &event);
            let shape = shape(&reply);
            if let Some(group) = row.group {
                let (first, expected) = groups.entry(group).or_insert((row.name, shape.clone()));
                assert_eq!(shape, *expected, "{group}: `{}` can be told from `{first}`", row.name);
            }
        }));
        if checks.is_err() {
            failed.push(row.name);
        }
    }
    assert!(failed.is_empty(), "rows that failed: {failed:#?}");
    let body = |group: &str| groups[group].1.split_once("} ").unwrap().1;
    assert_eq!(body(BAD_CLIENT_BASIC), body(BAD_CLIENT_POST), "only the status and the challenge differ");
}

/// Checks that the answer repeats nothing of the request, and the event no secret and no token.
fn check_silence(row: &Row, reply: &Reply, event: &AuditEvent) {
    let answer = format!("{:?} {}", reply.headers, reply.text);
    for word in row.ask.words() {
        assert!(!answer.contains(&word), "{}: the answer repeats `{word}`: {answer}", row.name);
    }
    let event = serde_json::to_string(event).unwrap();
    for secret in row.ask.secrets() {
        assert!(!event.contains(&secret), "{}: the event repeats `{secret}`: {event}", row.name);
    }
}

#[test]
fn every_bad_token_has_the_same_answer() {
    let rows = table();
    let text = Reason::TokenSignatureInvalid.description();
    for reason in Reason::ALL.iter().filter(|reason| reason.description() == text) {
        assert_eq!((reason.error().as_str(), reason.status().as_u16()), ("invalid_request", 400), "{reason}");
        let row = rows.iter().find(|row| row.reason == *reason).unwrap_or_else(|| panic!("no row for {reason}"));
        assert_eq!(row.group, Some(BAD_TOKEN), "{}", row.name);
    }
}

#[test]
fn every_reason_is_tested() {
    let rows = table();
    let mut names = BTreeSet::new();
    assert!(rows.iter().all(|row| names.insert(row.name)), "no name twice");
    for reason in Reason::ALL {
        let here = rows.iter().any(|row| row.reason == *reason);
        let elsewhere = ELSEWHERE.iter().any(|(other, _)| other == reason);
        assert!(here || elsewhere, "`{reason}` has neither a row nor a test elsewhere");
        assert!(!(here && elsewhere), "`{reason}` has a row: take it off the list");
    }
    for (reason, file) in ELSEWHERE {
        let Some(file) = file else { continue };
        let text = std::fs::read_to_string(format!("{}/it/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let entries = usize::from(*file == "wire_errors/mod.rs");
        assert!(text.matches(&format!("Reason::{reason:?}")).count() > entries, "{file} has no test of `{reason}`");
    }
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_an_event() {
    let asked = Arc::new(Notify::new());
    let bell = Arc::clone(&asked);
    let never = tower::service_fn(move |_: Query| {
        bell.notify_one();
        std::future::pending::<Result<Decision, Infallible>>()
    });
    let mut world = plan().with(|builder| builder.policy(never)).start().await;
    let mut ask = ask();
    ask.resolve(&world);
    tokio::select! {
        reply = world.send(ask.request(&world)) => panic!("{reply:?}"),
        () = asked.notified() => {}
    }
    let event = world.event().await;
    assert_eq!(event.reason, Some(Reason::ClientGone), "{event:?}");
    assert_eq!(event.outcome.as_str(), "error");
    assert_eq!(event.client_id, Some("orders".into()));
    assert!(event.granted.is_none() && world.no_event());
}

#[tokio::test]
async fn a_token_without_its_event_is_withheld() {
    let (_, events) = mpsc::unbounded_channel();
    let full = tower::service_fn(|_: AuditEvent| async { Err::<(), _>(CANARY) });
    let world = plan().start_with_audit(full, events).await;
    let reply = world.exchange(&world.own.access_token(json!({}))).await;
    let row = unavailable("an audit sink that takes nothing", Reason::AuditUnavailable, plan);
    check(&row, &reply);
    assert!(!reply.text.contains(CANARY), "{}", reply.text);
}
