use crate::{
    clock::Clock,
    plug::{BoxHttpService, Failing, ask},
    protocol::{Detail, Reason, escaped},
};
use bytes::Bytes;
use http::{Request, Response, header};
use std::{fmt, time::Duration};
use tokio::time::{Instant, timeout_at};

/// The longest time for one fetch of a key set. The time includes the requests for metadata, if discovery is needed. The
/// HTTP service may have a shorter timeout of its own.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The most characters of a URI in a problem. The detail of an audit event has at most 256 characters, and the cause comes
/// after the URI.
const MAX_URI_CHARS: usize = 150;

const FAILING: Failing =
    Failing { unavailable: Reason::IssuerKeysUnavailable, panicked: Reason::IssuerKeysUnavailable };

/// Fetches JSON documents.
#[derive(Clone)]
pub(crate) struct Fetcher {
    pub(crate) http: BoxHttpService,
    pub(crate) clock: Clock,
}

/// Returns the deadline of a fetch that starts now.
pub(super) fn deadline() -> Instant {
    Instant::now() + FETCH_TIMEOUT
}

impl Fetcher {
    /// Sends one request for a JSON document. The response may have any status.
    pub(super) async fn get(&self, uri: &str, deadline: Instant) -> Result<Response<Bytes>, FetchProblem> {
        let problem = |what: &dyn fmt::Display| FetchProblem::at(uri, what);
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json, application/jwk-set+json")
            .body(Bytes::new())
            .map_err(|error| problem(&error))?;
        match timeout_at(deadline, ask(&self.http, request, FAILING)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(rejection)) => {
                let detail = rejection.detail().map(Detail::in_clear);
                Err(problem(&detail.as_deref().unwrap_or("the HTTP service panicked")))
            }
            Err(_elapsed) => Err(problem(&"no answer within 5 s")),
        }
    }
}

/// The problem of a fetch, as one line: the address and the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FetchProblem(String);

impl FetchProblem {
    pub(super) fn at(uri: &str, what: impl fmt::Display) -> Self {
        let end = uri.char_indices().nth(MAX_URI_CHARS).map_or(uri.len(), |(end, _)| end);
        let more = if end < uri.len() { "..." } else { "" };
        Self(escaped(&format!("{}{more}: {what}", &uri[..end])))
    }
}

impl fmt::Display for FetchProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_short_line() {
        let short = FetchProblem::at("https://idp.example/jwks", "status 500");
        assert_eq!(short.0, "https://idp.example/jwks: status 500");
        let long = FetchProblem::at(&format!("https://idp.example/{}", "é".repeat(5000)), "status 500");
        assert!(long.0.ends_with("...: status 500"), "{long}");
        let odd = FetchProblem::at("https://idp.example/jwks", format!("a\nb\u{202e}{}", "x".repeat(5000)));
        assert!(!odd.0.contains(['\n', '\u{202e}']) && odd.0.chars().count() < 300, "{odd}");
    }
}
