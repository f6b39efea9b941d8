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

/// The keys that sign what is presented.
pub(crate) struct Keys {
    gateway: LocalSigner,
}

impl Keys {
    /// An access token that the gateway has issued to `web` for `orders`.
    pub(crate) fn access_token(&self, more: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": "http://gateway.test", "sub": "alice", "aud": "https://orders.example", "client_id": "web",
            "scope": "read", "iat": now, "exp": now + 600,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        sign(&self.gateway, json!({ "typ": "at+jwt" }), &claims)
    }
}

fn sign(key: &LocalSigner, mut header: Value, claims: &Value) -> String {
    header["alg"] = key.algorithm().as_str().into();
    header["kid"] = key.key_id().as_str().into();
    let segment = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let signed = format!("{}.{}", segment(&header), segment(claims));
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
        let configuration =
            include_str!("gateway.toml").replace("{upstream}", &upstream.port.to_string()).replace("{replay}", replay);
        let folders: Vec<_> = (0..gateways).map(|_| Folder::new()).collect();
        folders[0].keygen("active.pem");
        let pem = folders[0].read("active.pem");
        for folder in &folders {
            folder.write("active.pem", &pem);
            folder.write("gateway.toml", &configuration);
            files.iter().for_each(|(name, text)| folder.write(name, text));
        }
        let keys = Keys { gateway: LocalSigner::from_pem(Algorithm::ES256, &pem).unwrap() };
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
                    Answer { thing, status: send(port, &request).await.unwrap_or(0) }
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

/// Sends a request. Returns the status of the answer, if there is an answer.
async fn send(port: u16, request: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    stream.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}

/// How often each thing was accepted.
pub(crate) fn accepted(answers: &[Answer]) -> HashMap<usize, usize> {
    let mut accepted = HashMap::new();
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        *accepted.entry(answer.thing).or_default() += 1;
    }
    accepted
}
