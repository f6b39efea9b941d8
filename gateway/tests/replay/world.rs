//! The gateways, and the requests to the gateways.

use crate::{
    kinds::{Kind, Request},
    process::{Folder, Gateway, wait_for},
    upstream::Upstream,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

const ISSUER: &str = "http://gateway.test";

/// The keys that sign what is presented.
pub(crate) struct Keys {
    gateway: LocalSigner,
    /// The key of the client `signer`.
    signer: LocalSigner,
    /// The key of the DPoP proofs.
    proofs: LocalSigner,
}

impl Keys {
    fn new(pem: &str) -> Self {
        let generate = || LocalSigner::generate(Algorithm::ES256).unwrap();
        let gateway = LocalSigner::from_pem(Algorithm::ES256, pem).unwrap();
        Self { gateway, signer: generate(), proofs: generate() }
    }

    /// An access token with this `aud` that the gateway has issued to `web`.
    pub(crate) fn access_token(&self, aud: &str, jti: &str) -> String {
        let claims = json!({
            "iss": ISSUER, "sub": "alice", "aud": aud, "client_id": "web", "scope": "read", "jti": jti,
        });
        sign(&self.gateway, json!({ "typ": "at+jwt" }), claims)
    }

    /// An assertion for the gateway with these claims.
    pub(crate) fn assertion(&self, mut claims: Value) -> String {
        claims["aud"] = ISSUER.into();
        sign(&self.signer, json!({ "typ": "client-authentication+jwt" }), claims)
    }

    /// A DPoP proof for the token endpoint with these claims.
    pub(crate) fn proof(&self, mut claims: Value) -> String {
        claims["htm"] = "POST".into();
        claims["htu"] = format!("{ISSUER}/token").into();
        sign(&self.proofs, json!({ "typ": "dpop+jwt", "jwk": jwk(&self.proofs) }), claims)
    }
}

/// The public key of a key.
fn jwk(key: &LocalSigner) -> Value {
    let mut keys: Value = serde_json::from_str(&key.published_keys().to_json()).unwrap();
    keys["keys"][0].take()
}

/// The public key of a key, as a table of TOML.
fn jwk_in_toml(key: &LocalSigner) -> String {
    let members: Vec<_> =
        jwk(key).as_object().unwrap().iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!("{{ {} }}", members.join(", "))
}

/// Signs claims, with a time and an end in four minutes.
fn sign(key: &LocalSigner, mut header: Value, mut claims: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    claims["iat"] = now.into();
    claims["exp"] = (now + 240).into();
    header["alg"] = key.algorithm().as_str().into();
    header["kid"] = key.key_id().as_str().into();
    let segment = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let signed = format!("{}.{}", segment(&header), segment(&claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// Gateways with one configuration and one key.
pub(crate) struct World {
    pub(crate) gateways: Vec<Gateway>,
    folders: Vec<Folder>,
    keys: Keys,
    _upstream: Upstream,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The number of the thing that was presented.
    pub(crate) thing: usize,
    /// The status, or 0 if the connection broke.
    pub(crate) status: u16,
    /// The error in the body, or an empty text.
    pub(crate) error: String,
}

impl World {
    /// Starts so many gateways with this table `[replay]`.
    pub(crate) fn start(gateways: usize, replay: &str) -> Self {
        Self::start_with(gateways, replay, &[])
    }

    /// Starts so many gateways with this table `[replay]`, and with these files beside the configuration.
    pub(crate) fn start_with(gateways: usize, replay: &str, files: &[(&str, String)]) -> Self {
        let upstream = Upstream::start();
        let body = r#"{"error":"invalid_client"}"#;
        let length = body.len();
        upstream.answers(
            "/token",
            format!("HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"),
        );
        let folders: Vec<_> = (0..gateways).map(|_| Folder::new()).collect();
        folders[0].keygen("active.pem");
        let pem = folders[0].read("active.pem");
        let keys = Keys::new(&pem);
        let configuration = include_str!("gateway.toml")
            .replace("{upstream}", &upstream.port.to_string())
            .replace("{replay}", replay)
            .replace("{signer}", &jwk_in_toml(&keys.signer));
        for folder in &folders {
            folder.write("active.pem", &pem);
            folder.write("gateway.toml", &configuration);
            files.iter().for_each(|(name, text)| folder.write(name, text));
        }
        let gateways = folders.iter().map(start).collect();
        Self { gateways, folders, keys, _upstream: upstream }
    }

    /// Starts the only gateway again, after it was killed.
    pub(crate) fn start_again(&mut self) {
        // The old process gives the file back when it has ended.
        self.gateways.clear();
        self.gateways.push(start(&self.folders[0]));
    }

    /// Requests with different things of one kind.
    pub(crate) fn things(&self, kind: &Kind, number: usize) -> Vec<Request> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = || format!("{}-{}", kind.name, NEXT.fetch_add(1, Ordering::Relaxed));
        (0..number).map(|_| (kind.request)(&self.keys, &id())).collect()
    }

    /// Presents each thing so many times, all of them at the same time, and to all gateways in turn.
    pub(crate) fn present(&self, things: &[Request], times: usize) -> impl Future<Output = Vec<Answer>> + use<> {
        self.present_some(things, times, things.len() * times)
    }

    /// Presents each thing so many times, `at_once` of them at the same time, and to all gateways in turn.
    pub(crate) fn present_some(
        &self,
        things: &[Request],
        times: usize,
        at_once: usize,
    ) -> impl Future<Output = Vec<Answer>> + use<> {
        let places = Arc::new(Semaphore::new(at_once));
        let requests = (0..times).flat_map(|time| things.iter().enumerate().map(move |thing| (time, thing)));
        let ports: Vec<u16> = self.gateways.iter().map(|gateway| gateway.port).collect();
        let sent: Vec<_> = requests
            .map(|(time, (thing, request))| {
                let port = ports[(time + thing) % ports.len()];
                let request = bytes(request);
                let places = Arc::clone(&places);
                tokio::spawn(async move {
                    let _place = places.acquire().await.unwrap();
                    let (status, error) = send(port, &request).await.unwrap_or_default();
                    Answer { thing, status, error }
                })
            })
            .collect();
        async {
            let mut answers = Vec::new();
            for answer in sent {
                answers.push(answer.await.unwrap());
            }
            answers
        }
    }

    /// What kills the only gateway, while requests are on their way.
    pub(crate) fn killer(&self) -> Killer {
        Killer(self.gateways[0].process.0.id())
    }
}

fn start(folder: &Folder) -> Gateway {
    let gateway = Gateway::start(folder);
    wait_for("the gateway exchanges tokens", || gateway.health()["waiting_for"].is_null());
    gateway
}

pub(crate) struct Killer(u32);

impl Killer {
    pub(crate) fn kill(self) {
        assert!(Command::new("kill").args(["-KILL", &self.0.to_string()]).status().unwrap().success());
    }
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", tower_token_exchange::GRANT_TYPE)
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("audience", "billing");
    for (name, value) in &request.form {
        form.append_pair(name, value);
    }
    let form = form.finish();
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = form.len();
    format!(
        "POST /token HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{headers}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    )
    .into_bytes()
}

/// Sends a request. Returns the status and the error of the answer, if there is an answer.
async fn send(port: u16, request: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).ok()?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body["error"].as_str().unwrap_or_default().to_owned()))
}

/// How often each thing was accepted.
pub(crate) fn accepted(answers: &[Answer]) -> HashMap<usize, usize> {
    let mut accepted = HashMap::new();
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        *accepted.entry(answer.thing).or_default() += 1;
    }
    accepted
}
