use super::{Binding, Confirmation};
use crate::{
    clock::Clock,
    jose::{Claims, parse_object},
    plug::{BoxHttpService, Failing, ask},
    protocol::{Reason, Rejection, media_type_of, refuse, wiped_on_drop},
    records::Introspection,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value;
use std::time::Duration;

#[cfg(feature = "introspection-cache")]
use super::cache::Cache;

/// The largest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;
/// The longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(5);

const FAILING: Failing =
    Failing { unavailable: Reason::IntrospectionUnavailable, panicked: Reason::IntrospectionUnavailable };

/// Asks the introspection endpoint of one issuer about tokens (RFC 7662).
#[derive(Clone)]
pub(crate) struct Introspector {
    http: BoxHttpService,
    endpoint: String,
    authorization: Option<HeaderValue>,
    untyped_answers: bool,
    token_types: Vec<String>,
    #[cfg(feature = "introspection-cache")]
    cache: Option<Cache>,
}

impl Introspector {
    pub(crate) fn new(record: &Introspection, http: &BoxHttpService, clock: &Clock) -> Self {
        #[cfg(not(feature = "introspection-cache"))]
        let _ = clock;
        Self {
            http: record.http.as_ref().unwrap_or(http).clone(),
            endpoint: record.endpoint.clone(),
            authorization: record.authorization.clone(),
            untyped_answers: record.untyped_answers,
            token_types: record.token_types.clone(),
            #[cfg(feature = "introspection-cache")]
            cache: record.cache.map(|(entries, ttl)| Cache::new(entries, ttl, clock.clone())),
        }
    }

    /// Returns the claims of an active access token.
    pub(super) async fn claims(&self, token: &str) -> Result<Claims, Rejection> {
        #[cfg(feature = "introspection-cache")]
        if let Some(claims) = self.cache.as_ref().and_then(|cache| cache.get(token)) {
            return Ok(claims);
        }
        let answer = tokio::time::timeout(TIMEOUT, self.ask(token)).await;
        let claims = answer.unwrap_or_else(|_elapsed| Err(self.unavailable("no answer within 5 s")))?;
        #[cfg(feature = "introspection-cache")]
        if let Some(cache) = &self.cache {
            cache.put(token, &claims);
        }
        Ok(claims)
    }

    async fn ask(&self, token: &str) -> Result<Claims, Rejection> {
        // An escape has three characters. A form that grows would leave a copy of the token.
        let form = form_urlencoded::Serializer::new(String::with_capacity(3 * token.len() + 64))
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .finish();
        let mut request = Request::post(&self.endpoint)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request =
            request.body(wiped_on_drop(form.into_bytes())).map_err(|error| self.unavailable(&error.to_string()))?;
        let response = ask(&self.http, request, FAILING).await?;
        self.read(&response)
    }

    fn read(&self, response: &Response<Bytes>) -> Result<Claims, Rejection> {
        if response.status() != StatusCode::OK {
            return Err(self.unavailable(&format!("status {}", response.status())));
        }
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = content_type.map(|value| media_type_of(value.as_bytes())).unwrap_or_default();
        if !media_type.eq_ignore_ascii_case(b"application/json") {
            return Err(self.unavailable("the answer is not application/json"));
        }
        if response.body().len() > ANSWER_BYTES {
            return Err(self.unavailable(&format!("larger than {ANSWER_BYTES} bytes")));
        }
        let answer =
            parse_object(response.body()).ok_or_else(|| self.unavailable("the answer is not one JSON object"))?;
        match answer.get("active").and_then(|active| active.as_bool()) {
            Some(true) => {}
            Some(false) => {
                return Err(refuse(Reason::TokenInactive).with_detail(format_args!("according to {}", self.endpoint)));
            }
            None => return Err(self.unavailable("`active` is not a boolean")),
        }
        let is = |kind: &Value, known| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(known));
        match answer.get("token_type") {
            Some(kind) if is(kind, "bearer") => {}
            // The token is bound to a key (RFC 9449 section 7.1), so the answer has to name the key.
            Some(kind) if is(kind, "dpop") => {
                if !matches!(Confirmation::read(answer.get("cnf")), Confirmation::Bound(Binding { key: Some(_), .. })) {
                    let detail = "the introspection answer does not name the key of a DPoP token";
                    return Err(refuse(Reason::TokenSenderConstrained).with_detail(detail));
                }
            }
            Some(kind) if self.token_types.iter().any(|known| is(kind, known)) => {}
            None if self.untyped_answers => {}
            found => {
                let found = match found {
                    None => "absent".to_owned(),
                    Some(Value::String(kind)) if is_word(kind) => format!("`{kind}` instead of `Bearer`"),
                    Some(_) => "not `Bearer`".to_owned(),
                };
                let detail = format!(
                    "the `token_type` in the introspection answer is {found}, so the token is not known to be an access \
                     token"
                );
                return Err(refuse(Reason::TokenTypeConfused).with_detail(detail));
            }
        }
        Ok(answer.into())
    }

    fn unavailable(&self, problem: &str) -> Rejection {
        refuse(Reason::IntrospectionUnavailable).with_detail(format_args!("{}: {problem}", self.endpoint))
    }
}

/// Whether a text is one short word, and therefore no token.
fn is_word(text: &str) -> bool {
    text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
