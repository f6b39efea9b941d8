//! The requests that are sent.

use crate::Arguments;
use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde::Deserialize;
use std::fs;
use tower::BoxError;
use tower_token_exchange::GRANT_TYPE;

/// The requests of one run. Each subject token makes one request.
pub(crate) struct Requests {
    /// The process id of the example server.
    pub(crate) pid: Option<u32>,
    url: Uri,
    authorization: HeaderValue,
    forms: Vec<Bytes>,
}

/// What the example server says about itself.
#[derive(Deserialize)]
struct Example {
    pid: u32,
    client: String,
    secret: String,
    audience: String,
}

impl Requests {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, BoxError> {
        let secret = arguments.secret_file.as_ref().map(fs::read_to_string).transpose()?;
        let credentials = arguments.client.clone().zip(secret.map(|secret| secret.trim().to_owned()));
        let complete = arguments.url.is_some() && credentials.is_some() && arguments.subject_tokens.is_some();
        let example: Option<Example> = match complete {
            true => None,
            false => Some(serde_json::from_slice(&get(&arguments.example, "/load")?)?),
        };
        let (client, secret) = match (credentials, &example) {
            (Some(given), _) => given,
            (None, Some(example)) => (example.client.clone(), example.secret.clone()),
            (None, None) => return Err("the client is missing; give --client and --secret-file".into()),
        };
        let tokens = match &arguments.subject_tokens {
            Some(file) => fs::read_to_string(file)?,
            None => {
                let count = if arguments.repeat { 1 } else { arguments.tokens.get() };
                String::from_utf8(get(&arguments.example, &format!("/subject-tokens?count={count}"))?.into())?
            }
        };
        let audience = arguments.audience.clone().or(example.as_ref().map(|example| example.audience.clone()));
        let count = if arguments.repeat { 1 } else { usize::MAX };
        let tokens = tokens.lines().map(str::trim).filter(|line| !line.is_empty()).take(count);
        let forms: Vec<Bytes> = tokens.map(|token| form(arguments, token, audience.as_deref()).into()).collect();
        if forms.is_empty() {
            return Err("there is no subject token; put one in each line of the file".into());
        }
        let url = match &arguments.url {
            Some(url) => url.clone(),
            None => at(&arguments.example, "/token")?,
        };
        let [client, secret] = [client, secret].map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect());
        let (client, secret): (String, String) = (client, secret);
        let basic = format!("Basic {}", BASE64.encode(format!("{client}:{secret}").as_bytes()));
        Ok(Self { pid: example.map(|example| example.pid), url, authorization: basic.try_into()?, forms })
    }

    /// The number of different requests.
    pub(crate) fn len(&self) -> usize {
        self.forms.len()
    }

    /// The request with a number. The requests repeat after [`len`](Self::len).
    pub(crate) fn get(&self, number: usize) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.forms[number % self.forms.len()].clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, form);
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        request
    }
}

fn form(arguments: &Arguments, token: &str, audience: Option<&str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", GRANT_TYPE)
        .append_pair("subject_token", token)
        .append_pair("subject_token_type", &arguments.subject_token_type);
    for (name, value) in [("audience", audience), ("scope", arguments.scope.as_deref())] {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    form.finish()
}

fn at(origin: &Uri, path: &str) -> Result<Uri, http::uri::InvalidUri> {
    format!("{}{path}", origin.to_string().trim_end_matches('/')).parse()
}

fn get(origin: &Uri, path: &str) -> Result<Bytes, BoxError> {
    let url = at(origin, path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.get(url.clone()).await.map_err(|error| {
            let what_to_do =
                "start it with `cargo run --release --example load_server`, or describe your server (--help)";
            format!("the example server does not answer at {url}: {error}; {what_to_do}")
        })?;
        if !answer.status().is_success() {
            return Err(format!("{url} answered {}; it is not the example server", answer.status()).into());
        }
        Ok(answer.into_body().collect().await?.to_bytes())
    })
}
