use super::method::ServerMethod;
use crate::protocol::retry_after;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// The wait after a 429 that does not say how long to wait.
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
/// The longest wait after a 429.
const MAX_WAIT: Duration = Duration::from_secs(300);
/// The errors that a server gives only to a client that it has authenticated (RFC 6749 section 5.2, RFC 8707 section 2).
/// `invalid_request` is not among them: servers answer with it whatever they cannot read.
const AFTER_AUTHENTICATION: [&str; 5] =
    ["invalid_grant", "invalid_scope", "invalid_target", "unauthorized_client", "unsupported_grant_type"];

/// An answer that can be compared with other answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What the server gives only to a client with the right secret.
    Success,
    Refused(Refusal),
    /// There were too many questions; the time until the next one.
    Limited(Duration),
}

/// A refusal: 400, 401 or 403.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: Option<String>,
}

/// Why there is no answer that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The server may answer later.
    Unavailable(String),
    /// The server answered something else, and will do so again.
    Unclear(String),
}

impl Answer {
    /// Reads the answer to a question.
    pub(super) fn read(method: ServerMethod, response: &Response<Bytes>) -> Result<Self, NoAnswer> {
        let status = response.status();
        let body: Option<Value> = serde_json::from_slice(response.body()).ok();
        let member = |name: &str| body.as_ref().and_then(|body| body.get(name));
        let is_success = match method {
            // The token is made up. A server that calls the token active has checked nothing.
            ServerMethod::Introspection => member("active").and_then(Value::as_bool) == Some(false),
            ServerMethod::ClientCredentials => member("access_token").is_some_and(Value::is_string),
            // Nobody gets a token for a code or a refresh token that does not exist.
            ServerMethod::AuthorizationCode | ServerMethod::RefreshToken => false,
        };
        // A text with the form of an error code of RFC 6749 is safe for a log line.
        let is_code =
            |text: &&str| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let error = member("error").and_then(Value::as_str).filter(is_code).map(str::to_owned);
        match status {
            StatusCode::OK if is_success => Ok(Self::Success),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Ok(Self::Refused(Refusal { status, error }))
            }
            StatusCode::TOO_MANY_REQUESTS => Ok(Self::Limited(wait(response.headers(), SystemTime::now()))),
            _ => {
                let problem = match error {
                    Some(error) => format!("the server answered {status} with `{error}`"),
                    None => format!("the server answered {status}, which neither accepts nor rejects the client"),
                };
                let is_passing = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
                Err(if is_passing { NoAnswer::Unavailable(problem) } else { NoAnswer::Unclear(problem) })
            }
        }
    }
}

impl Refusal {
    /// Whether the server says that the client is not authenticated.
    pub(super) fn rejects_client(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED || self.error.as_deref() == Some("invalid_client")
    }

    /// Whether the server says something about a client that it has authenticated.
    pub(super) fn follows_authentication(&self) -> bool {
        self.status != StatusCode::UNAUTHORIZED
            && self.error.as_deref().is_some_and(|error| AFTER_AUTHENTICATION.contains(&error))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.error {
            Some(error) => write!(f, "{} with `{error}`", self.status),
            None => write!(f, "{}", self.status),
        }
    }
}

/// The wait that a 429 asks for, at least one second.
fn wait(headers: &HeaderMap, now: SystemTime) -> Duration {
    retry_after(headers, now).unwrap_or(DEFAULT_WAIT).clamp(Duration::from_secs(1), MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;

    #[test]
    fn the_wait_is_bounded() {
        let now = httpdate::parse_http_date("Fri, 27 Nov 2026 12:00:00 GMT").unwrap();
        for (text, seconds) in [
            (Some("7"), 7),
            (Some("0"), 1),
            (Some("86400"), 300),
            (Some("Fri, 27 Nov 2026 12:00:30 GMT"), 30),
            (Some("Fri, 27 Nov 2026 11:00:00 GMT"), 1),
            (Some("Sat, 28 Nov 2026 12:00:00 GMT"), 300),
            (Some("soon"), 10),
            (Some("-1"), 10),
            (None, 10),
        ] {
            let headers = text.map(|text| (header::RETRY_AFTER, text.parse().unwrap()));
            let headers = HeaderMap::from_iter(headers);
            assert_eq!(wait(&headers, now), Duration::from_secs(seconds), "{text:?}");
        }
    }

    #[test]
    fn only_a_clear_answer_counts() {
        use ServerMethod::{AuthorizationCode, ClientCredentials, Introspection, RefreshToken};
        let read = |method, status: u16, body: &str| {
            let response = Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
            Answer::read(method, &response)
        };
        let token = r#"{"access_token":"x"}"#;
        for (method, body) in [(Introspection, r#"{"active":false}"#), (ClientCredentials, token)] {
            assert_eq!(read(method, 200, body), Ok(Answer::Success));
            for status in [201, 204, 302, 404, 405, 501] {
                assert!(matches!(read(method, status, body), Err(NoAnswer::Unclear(_))), "{status}");
            }
        }
        for (method, body) in [
            (Introspection, r#"{"active":true}"#),
            (Introspection, r#"{"active":"false"}"#),
            (Introspection, token),
            (Introspection, "<html>Welcome</html>"),
            (ClientCredentials, r#"{"active":false}"#),
            (ClientCredentials, r#"{"access_token":1}"#),
            (AuthorizationCode, token),
            (RefreshToken, token),
            (RefreshToken, r#"{"active":false}"#),
        ] {
            assert!(matches!(read(method, 200, body), Err(NoAnswer::Unclear(_))), "{method} {body}");
        }
        for status in [500, 502, 503, 504] {
            assert!(matches!(read(Introspection, status, "{}"), Err(NoAnswer::Unavailable(_))), "{status}");
        }
        assert_eq!(read(Introspection, 429, "{}"), Ok(Answer::Limited(DEFAULT_WAIT)));
    }
}
