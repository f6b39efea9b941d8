use crate::{
    client_auth::{AuthenticationMethod, Credentials},
    protocol::{ClientId, Sensitive, basic_authorization, basic_header},
    random,
};
use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value;
use tower::BoxError;

/// The endpoint of the server at which clients are tried.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeEndpoint {
    Introspection,
    Token,
}

/// The verdict of the server on a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Rejected,
}

/// A client id and a secret that are tried at the server.
pub(super) struct Probe {
    pub(super) method: AuthenticationMethod,
    pub(super) client_id: ClientId,
    secret: Sensitive,
    /// The `Authorization` header of the client, for a server that decodes the header in its own way.
    authorization: Option<HeaderValue>,
}

impl Probe {
    /// The probe for the credentials of a request, or `None` if the credentials have an empty secret or two possible
    /// client ids. In the second case, the answer of the server does not say which client the server accepted.
    pub(super) fn new(credentials: &Credentials) -> Option<Self> {
        let mut readings = credentials.readings();
        let (client_id, secret) = readings.next()?;
        if secret.is_empty() || readings.any(|(other, secret)| other != client_id || secret.is_empty()) {
            return None;
        }
        Some(Self {
            method: credentials.method(),
            client_id: client_id.into(),
            secret: Sensitive::new(secret.to_owned()),
            authorization: credentials.authorization().cloned(),
        })
    }

    /// A probe with a client id and a secret that are made up.
    pub(super) fn made_up(method: AuthenticationMethod, client_id: &str, secret: &str) -> Self {
        Self { method, client_id: client_id.into(), secret: Sensitive::new(secret.to_owned()), authorization: None }
    }

    /// A probe without any credentials.
    pub(super) fn without_credentials() -> Self {
        Self::made_up(AuthenticationMethod::ClientSecretPost, "", "")
    }

    /// A probe of the same client with another secret, which consists of unreserved characters.
    ///
    /// The server gets the client id in the same encoding. In another encoding, the server may read another id, and then
    /// rejects an unknown client instead of a wrong secret.
    pub(super) fn with_secret(&self, secret: &str) -> Result<Self, BoxError> {
        let mut other = Self::made_up(self.method, self.client_id.as_str(), secret);
        if let Some(client_id) = self.encoded_client_id() {
            other.authorization = Some(basic_header(&[&client_id[..], b":", secret.as_bytes()].concat())?);
        }
        Ok(other)
    }

    /// The client id in the encoding in which the server gets the id. `None` without an `Authorization` header.
    pub(super) fn encoded_client_id(&self) -> Option<Vec<u8>> {
        let token = self.authorization.as_ref()?.as_bytes().strip_prefix(b"Basic ")?;
        let mut pair = BASE64.decode(token).ok()?;
        pair.truncate(pair.iter().position(|byte| *byte == b':')?);
        Some(pair)
    }

    /// The parts in which two different probes of one method differ.
    pub(super) fn identity(&self) -> [&[u8]; 3] {
        let authorization = self.authorization.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        [self.client_id.as_str().as_bytes(), self.secret.expose().as_bytes(), authorization]
    }

    /// The HTTP request that sends the probe.
    pub(super) fn request(&self, url: &str, endpoint: ProbeEndpoint) -> Result<Request<Bytes>, BoxError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match endpoint {
            ProbeEndpoint::Introspection => form.append_pair("token", &random_secret()?),
            ProbeEndpoint::Token => form.append_pair("grant_type", "client_credentials"),
        };
        let mut request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        match self.method {
            AuthenticationMethod::ClientSecretPost if self.client_id.as_str().is_empty() => {}
            AuthenticationMethod::ClientSecretPost => {
                form.append_pair("client_id", self.client_id.as_str())
                    .append_pair("client_secret", self.secret.expose());
            }
            AuthenticationMethod::ClientSecretBasic => request = request.header(header::AUTHORIZATION, self.basic()?),
        }
        Ok(request.body(Bytes::from(form.finish()))?)
    }

    fn basic(&self) -> Result<HeaderValue, BoxError> {
        if let Some(authorization) = &self.authorization {
            return Ok(authorization.clone());
        }
        Ok(basic_authorization(self.client_id.as_str(), self.secret.expose())?)
    }
}

impl ProbeEndpoint {
    /// Reads the verdict from the response. A response that neither accepts nor rejects the client is an error.
    pub(super) fn verdict(self, response: &Response<Bytes>) -> Result<Verdict, BoxError> {
        let status = response.status();
        let body: Option<Value> = serde_json::from_slice(response.body()).ok();
        let member = |name: &str| body.as_ref().and_then(|body| body.get(name));
        let is_success = match self {
            // The token of the probe is made up. A server that calls the token active has checked nothing.
            Self::Introspection => member("active").and_then(Value::as_bool) == Some(false),
            Self::Token => member("access_token").is_some_and(Value::is_string),
        };
        let error = member("error").and_then(Value::as_str);
        match status {
            StatusCode::OK if is_success => Ok(Verdict::Accepted),
            // RFC 6749 section 5.2 permits 401 and 400 for `invalid_client`.
            StatusCode::UNAUTHORIZED => Ok(Verdict::Rejected),
            StatusCode::BAD_REQUEST if error == Some("invalid_client") => Ok(Verdict::Rejected),
            _ => Err(match error {
                Some(error) if is_error_code(error) => format!("the server answered {status} with `{error}`"),
                _ => format!("the server answered {status}, which neither accepts nor rejects the client"),
            }
            .into()),
        }
    }
}

/// Whether the text has the form of an error code of RFC 6749. Such a text is safe for a log line.
fn is_error_code(error: &str) -> bool {
    error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Returns a text that nobody can guess.
pub(super) fn random_secret() -> Result<String, BoxError> {
    Ok(random::text::<24>().ok_or("the system has no randomness")?)
}
