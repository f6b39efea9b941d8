use super::parse_object;
use crate::protocol::{Scope, ScopeError};
use serde_json::{Map, Value};

/// The claims of a token (RFC 7519 section 4), each read with the one type that it may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Claims(Map<String, Value>);

/// A claim that is there and not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) &'static str);

/// The last second that a double, and so every JSON implementation, can tell from the next: about the year 285 million.
const LAST_SECOND: f64 = 9_007_199_254_740_991.0;

impl Claims {
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        parse_object(json).map(Self)
    }

    /// Claims that somebody else read.
    pub(crate) fn of(members: Map<String, Value>) -> Self {
        Self(members)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A string claim that is not empty.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>, Invalid> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(Invalid(name)),
        }
    }

    /// `aud`: a string or an array of strings (RFC 7519 section 4.1.3); absent is the empty list.
    pub(crate) fn audience(&self) -> Result<Vec<&str>, Invalid> {
        match self.0.get("aud") {
            None => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(many)) => many.iter().map(|one| one.as_str().ok_or(Invalid("aud"))).collect(),
            Some(_) => Err(Invalid("aud")),
        }
    }

    /// `scope`: one string (RFC 8693 section 4.2). An empty one is known and grants nothing.
    pub(crate) fn scope(&self) -> Result<Option<Scope>, Invalid> {
        match self.0.get("scope") {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(Some(Scope::empty())),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| Invalid("scope")),
            Some(_) => Err(Invalid("scope")),
        }
    }

    /// A scope in another claim than `scope`: one string, or an array of strings.
    pub(crate) fn scope_in(&self, name: &str) -> Result<Option<Scope>, ScopeError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(Some(Scope::empty())),
            Some(Value::String(text)) => text.parse().map(Some),
            Some(Value::Array(tokens)) => {
                let tokens = tokens.iter().map(|token| token.as_str().unwrap_or_default());
                Scope::from_tokens(tokens).map(Some)
            }
            Some(_) => Err(ScopeError),
        }
    }

    /// A NumericDate (RFC 7519 section 2): a number, possibly with a fraction, not negative. Whole seconds,
    /// rounded down.
    pub(crate) fn seconds(&self, name: &'static str) -> Result<Option<u64>, Invalid> {
        self.date(name).map(|date| date.map(|date| date.floor() as u64))
    }

    /// As [`Claims::seconds`], rounded up.
    pub(crate) fn seconds_up(&self, name: &'static str) -> Result<Option<u64>, Invalid> {
        self.date(name).map(|date| date.map(|date| date.ceil() as u64))
    }

    fn date(&self, name: &'static str) -> Result<Option<f64>, Invalid> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_f64() {
                Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => Ok(Some(seconds)),
                _ => Err(Invalid(name)),
            },
            Some(_) => Err(Invalid(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn dates() {
        for (json, down, up) in [("5", 5, 5), ("5.5", 5, 6), ("0", 0, 0), ("1.0e3", 1000, 1000)] {
            let claims = claims(&format!(r#"{{"exp":{json}}}"#));
            assert_eq!(claims.seconds("exp"), Ok(Some(down)));
            assert_eq!(claims.seconds_up("exp"), Ok(Some(up)));
        }
        for bad in ["-1", "\"5\"", "null", "[5]", "1e300", "-9223372036854775808", "18446744073709551615"] {
            assert_eq!(claims(&format!(r#"{{"exp":{bad}}}"#)).seconds("exp"), Err(Invalid("exp")), "{bad}");
        }
    }

    #[test]
    fn audiences() {
        assert_eq!(claims(r#"{"aud":"a"}"#).audience(), Ok(vec!["a"]));
        assert_eq!(claims(r#"{"aud":["a","b"]}"#).audience(), Ok(vec!["a", "b"]));
        assert_eq!(claims(r#"{"aud":[]}"#).audience(), Ok(vec![]));
        for bad in ["7", "null", "{}", r#"["a",7]"#] {
            assert_eq!(claims(&format!(r#"{{"aud":{bad}}}"#)).audience(), Err(Invalid("aud")), "{bad}");
        }
    }

    #[test]
    fn scopes() {
        assert_eq!(claims("{}").scope(), Ok(None));
        assert_eq!(claims(r#"{"scope":""}"#).scope(), Ok(Some(Scope::empty())));
        assert_eq!(claims(r#"{"scope":["a"]}"#).scope(), Err(Invalid("scope")));
    }
}
