use super::{AuthenticationMethod, Credentials};
use crate::{
    protocol::{Sensitive, basic_authorization},
    random,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value;
use tower::BoxError;

/// How the server is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    Introspection,
    ClientCredentials,
}

/// What the server said of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Rejected,
}

/// A client and its secret, to be tried.
pub(super) struct Question {
    pub(super) method: AuthenticationMethod,
    pub(super) client_id: String,
    secret: Sensitive,
    /// As it came, for a server that reads it as the client wrote it.
    authorization: Option<HeaderValue>,
}

impl Question {
    /// Of credentials that leave no doubt whose they are, and that have a secret. The readings of Basic differ in the id
    /// only where it has characters that form encoding changes: nobody could tell which of them the server took.
    pub(super) fn of(credentials: &Credentials) -> Option<Self> {
        let mut readings = credentials.readings();
        let (client_id, secret) = readings.next()?;
        if secret.is_empty() || readings.any(|(other, secret)| other != client_id || secret.is_empty()) {
            return None;
        }
        Some(Self {
            method: credentials.method(),
            client_id: client_id.to_owned(),
            secret: Sensitive::new(secret.to_owned()),
            authorization: credentials.authorization().cloned(),
        })
    }

    pub(super) fn made_up(method: AuthenticationMethod, client_id: &str, secret: &str) -> Self {
        let (client_id, secret) = (client_id.to_owned(), Sensitive::new(secret.to_owned()));
        Self { method, client_id, secret, authorization: None }
    }

    /// Without any credentials.
    pub(super) fn of_nobody() -> Self {
        Self::made_up(AuthenticationMethod::ClientSecretPost, "", "")
    }

    /// The same client with another secret.
    pub(super) fn with_secret(&self, secret: &str) -> Self {
        Self::made_up(self.method, &self.client_id, secret)
    }

    /// What tells it from every other.
    pub(super) fn identity(&self) -> [&[u8]; 3] {
        let authorization = self.authorization.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        [self.client_id.as_bytes(), self.secret.expose().as_bytes(), authorization]
    }

    pub(super) fn request(&self, endpoint: &str, method: Method) -> Result<Request<Bytes>, BoxError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match method {
            Method::Introspection => form.append_pair("token", &random_secret()?),
            Method::ClientCredentials => form.append_pair("grant_type", "client_credentials"),
        };
        let mut request = Request::post(endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        match self.method {
            AuthenticationMethod::ClientSecretPost if self.client_id.is_empty() => {}
            AuthenticationMethod::ClientSecretPost => {
                form.append_pair("client_id", &self.client_id).append_pair("client_secret", self.secret.expose());
            }
            AuthenticationMethod::ClientSecretBasic => request = request.header(header::AUTHORIZATION, self.basic()?),
        }
        Ok(request.body(Bytes::from(form.finish()))?)
    }

    fn basic(&self) -> Result<HeaderValue, BoxError> {
        if let Some(authorization) = &self.authorization {
            return Ok(authorization.clone());
        }
        Ok(basic_authorization(&self.client_id, self.secret.expose())?)
    }
}

impl Method {
    /// Only a clear yes and a clear no are answers.
    pub(super) fn answer(self, response: &Response<Bytes>) -> Result<Answer, BoxError> {
        let status = response.status();
        let body: Option<Value> = serde_json::from_slice(response.body()).ok();
        let member = |name: &str| body.as_ref().and_then(|body| body.get(name));
        let says_yes = match self {
            // It cannot know the token that was made up, so that a yes to that is none.
            Self::Introspection => member("active").and_then(Value::as_bool) == Some(false),
            Self::ClientCredentials => member("access_token").is_some_and(Value::is_string),
        };
        let error = member("error").and_then(Value::as_str);
        match status {
            StatusCode::OK if says_yes => Ok(Answer::Accepted),
            // RFC 6749 section 5.2 leaves the choice between the two.
            StatusCode::UNAUTHORIZED => Ok(Answer::Rejected),
            StatusCode::BAD_REQUEST if error == Some("invalid_client") => Ok(Answer::Rejected),
            _ => Err(match error {
                Some(error) if is_code(error) => format!("the server answered {status} with `{error}`"),
                _ => format!("the server answered {status}, and neither accepts nor rejects the client"),
            }
            .into()),
        }
    }
}

/// Whether a text can be one of the codes of RFC 6749, and so is fit for a log.
fn is_code(error: &str) -> bool {
    error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// A text that nobody can have guessed.
pub(super) fn random_secret() -> Result<String, BoxError> {
    Ok(random::text::<24>().ok_or("no randomness to be had from the system")?)
}
