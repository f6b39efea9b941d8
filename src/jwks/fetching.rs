use crate::{
    clock::Clock,
    plug::{BoxHttpService, Failing, ask},
    protocol::{Reason, escaped},
};
use bytes::Bytes;
use http::{Request, Response, header};
use std::{fmt, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long one fetch of keys may take, whatever the client that makes it thinks: the metadata, where they are looked
/// up, and the key set together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// So much of a URI stands in front of a problem; an audit detail ends after 256 characters.
const MAX_URI_CHARS: usize = 150;

const FAILING: Failing =
    Failing { unavailable: Reason::IssuerKeysUnavailable, panicked: Reason::IssuerKeysUnavailable };

/// What fetching needs, beside the address.
#[derive(Clone)]
pub(crate) struct Fetching {
    pub(crate) fetch: BoxHttpService,
    pub(crate) clock: Clock,
}

/// When a fetch that begins now must be over.
pub(super) fn deadline() -> Instant {
    Instant::now() + FETCH_TIMEOUT
}

impl Fetching {
    /// Asks once, for JSON. The answer may have any status; a redirect is an answer.
    pub(super) async fn get(&self, uri: &str, deadline: Instant) -> Result<Response<Bytes>, Problem> {
        let problem = |what: &dyn fmt::Display| Problem::at(uri, what);
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json, application/jwk-set+json")
            .body(Bytes::new())
            .map_err(|error| problem(&error))?;
        match timeout_at(deadline, ask(&self.fetch, request, FAILING)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(rejection)) => Err(problem(&rejection.detail().unwrap_or("the fetch panicked"))),
            Err(_elapsed) => Err(problem(&"no answer in time")),
        }
    }
}

/// Why there are no keys, fit for a log line: where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem(String);

impl Problem {
    pub(super) fn at(uri: &str, what: impl fmt::Display) -> Self {
        let end = uri.char_indices().nth(MAX_URI_CHARS).map_or(uri.len(), |(end, _)| end);
        let more = if end < uri.len() { "..." } else { "" };
        Self(escaped(&format!("{}{more}: {what}", &uri[..end])))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_bounded_line_that_says_what_whatever_the_uri() {
        let short = Problem::at("https://idp.example/jwks", "status 500");
        assert_eq!(short.0, "https://idp.example/jwks: status 500");
        let long = Problem::at(&format!("https://idp.example/{}", "é".repeat(5000)), "status 500");
        assert!(long.0.ends_with("...: status 500"), "{long}");
        let odd = Problem::at("https://idp.example/jwks", format!("a\nb\u{202e}{}", "x".repeat(5000)));
        assert!(!odd.0.contains(['\n', '\u{202e}']) && odd.0.chars().count() < 300, "{odd}");
    }
}
