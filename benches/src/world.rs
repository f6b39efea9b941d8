use axum::body::Body;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Request, Response, header};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};
use tower::Service;
use tower_token_exchange::{
    Client, GRANT_TYPE, Target, TokenExchangeBuilder, TokenExchangeLayer,
    audit::{AuditBudget, AuditEvent},
    policy::{Rule, Subjects},
    signing::{Algorithm, LocalSigner},
};

/// The identifier of the authorization server.
pub const ISSUER: &str = "https://as.example";
/// The secret of each client.
pub const SECRET: &str = "a-long-and-random-secret";

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The PKCS#8 document of a private key. The RSA key has 2048 bits and is the same at each call.
pub fn private_key(algorithm: Algorithm) -> Vec<u8> {
    const RSA: &str = include_str!("../../tests/data/rsa.pem");
    let pem = match algorithm.as_str() {
        "ES256" | "ES384" | "EdDSA" => LocalSigner::generate_pem(algorithm).expect("a key"),
        _ => RSA.to_owned(),
    };
    let block = pem.split_once("-----BEGIN PRIVATE KEY-----").and_then(|(_, rest)| rest.split_once("-----END"));
    let (block, _) = block.expect("a private key");
    let base64: String = block.split_whitespace().collect();
    BASE64.decode(base64.as_bytes()).expect("base64")
}

/// A signer with a [private key](private_key).
pub fn local_signer(algorithm: Algorithm) -> LocalSigner {
    LocalSigner::from_der(algorithm, private_key(algorithm)).expect("a key")
}

/// An issuer whose tokens are accepted.
pub struct Tokens {
    /// The key that signs the tokens.
    pub key: LocalSigner,
    iss: String,
    issued: u64,
}

impl Tokens {
    /// The tokens of an issuer.
    pub fn new(iss: &str, key: LocalSigner) -> Self {
        Self { key, iss: iss.to_owned(), issued: 0 }
    }

    /// Signs a new access token for the client `orders`, which is valid for an hour. Each token has another `jti`.
    /// `more` adds claims, or replaces claims.
    pub fn next(&mut self, more: &Value) -> String {
        self.issued += 1;
        let now = now();
        let header = json!({ "kid": self.key.key_id(), "typ": "at+jwt" });
        let mut claims = json!({
            "iss": self.iss, "sub": "alice", "aud": "https://orders.example", "iat": now, "exp": now + 3600,
            "jti": format!("token-{}", self.issued), "client_id": "web", "scope": "read write",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        jwt(&self.key, header, &claims)
    }
}

/// Signs a JWT. The header gets the algorithm of the key.
pub(crate) fn jwt(key: &LocalSigner, mut header: Value, claims: &Value) -> String {
    header["alg"] = key.algorithm().as_str().into();
    let segment = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", segment(&header), segment(claims));
    let signature = key.sign(input.as_bytes()).expect("a signature");
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// The current time, in seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The records of most scenarios, and the requests that fit the records.
///
/// The client `orders` serves the target `orders`, and may ask for the target `billing`. The client `reports` may ask for
/// `billing` too, and serves no target.
pub struct World {
    /// The tokens of the authorization server, which signs issued tokens with the same key.
    pub own: Tokens,
}

impl World {
    /// A world whose tokens have an algorithm.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { own: Tokens::new(ISSUER, local_signer(algorithm)) }
    }

    /// The builder of the layer, with all parts but further issuers. The audit sink drops each event.
    pub fn builder(&self) -> TokenExchangeBuilder {
        self.builder_with(Client::new("orders").secret(SECRET))
    }

    /// The same builder with another record of the client `orders`.
    pub(crate) fn builder_with(&self, orders: Client) -> TokenExchangeBuilder {
        TokenExchangeLayer::builder(ISSUER)
            .endpoint("/token")
            .clients([orders, Client::new("reports").secret(SECRET)])
            .targets([
                Target::new("orders").audience_claim("https://orders.example").served_by("orders").scopes(["read"]),
                Target::new("billing").allow_clients(["orders", "reports"]).scopes(["read"]),
                Target::new("ledger").allow_clients(["orders"]).scopes(["read"]),
            ])
            .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
            .signer(self.own.key.clone())
            .audit_budget(AuditBudget::unlimited())
            .audit(tower::service_fn(|_: AuditEvent| ready(Ok::<_, Infallible>(()))))
    }

    /// The request in which `orders` exchanges a token for a token for `billing`.
    pub fn exchange(subject_token: &str) -> Request<Body> {
        Self::request("orders", SECRET, subject_token, &[("audience", "billing")])
    }

    /// An exchange of another client, with other credentials, or with more parameters.
    pub fn request(client: &str, secret: &str, subject_token: &str, more: &[(&str, &str)]) -> Request<Body> {
        let mut request = Self::request_without_credentials(subject_token, more);
        let basic = format!("Basic {}", BASE64.encode(format!("{client}:{secret}").as_bytes()));
        request.headers_mut().insert(header::AUTHORIZATION, basic.parse().expect("a header value"));
        request
    }

    /// An exchange without the header `Authorization`.
    pub(crate) fn request_without_credentials(subject_token: &str, more: &[(&str, &str)]) -> Request<Body> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", GRANT_TYPE)
            .append_pair("subject_token", subject_token)
            .append_pair("subject_token_type", ACCESS_TOKEN)
            .extend_pairs(more)
            .finish();
        Request::post("/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .expect("a request")
    }
}

/// A wrapped service that does no work.
#[derive(Clone)]
pub struct Bare;

impl Service<Request<Body>> for Bare {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(request.into_body())))
    }
}
