use super::members::Members;
use crate::protocol::{Scope, ScopeError};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr, sync::Arc};

/// The claims of a token (RFC 7519 section 4): names with JSON values.
///
/// A clone shares the claims, so a clone is cheap. The `Debug` output has the names of the claims and no values, because
/// the values may be personal data.
///
/// ```
/// use serde_json::json;
/// use tower_token_exchange::token::Claims;
///
/// let mut claims = Claims::from_json(r#"{"sub":"alice","groups":["staff"]}"#)?;
/// claims.insert("email", "alice@example.org");
/// assert_eq!(claims.get("groups"), Some(&json!(["staff"])));
/// assert!(claims.contains("email") && !claims.contains("phone"));
///
/// let built = Claims::from_iter([("sub", json!("alice"))]);
/// assert_eq!(built.names().collect::<Vec<_>>(), ["sub"]);
/// # Ok::<(), tower_token_exchange::token::ClaimsError>(())
/// ```
#[derive(Clone, Default)]
pub struct Claims(Arc<Members>);

/// A text that is not a set of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("claims are one JSON object without duplicate members, at most 16 levels deep (RFC 7519 section 4)")]
#[non_exhaustive]
pub struct ClaimsError;

/// A claim that is present, and does not have the form that its definition requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) &'static str);

/// The largest time for which a double-precision number can represent every second (2^53 - 1).
const LAST_SECOND: f64 = 9_007_199_254_740_991.0;

impl Claims {
    /// Creates an empty set of claims.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads claims from the text of one JSON object.
    ///
    /// # Errors
    /// [`ClaimsError`] if the text is not one JSON object, has a duplicate member, or is more than 16 levels deep.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, ClaimsError> {
        Members::parse(json.as_ref()).map(|members| Self(Arc::new(members))).ok_or(ClaimsError)
    }

    /// Returns the value of a claim.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns whether there is a claim of this name. A claim with the value `null` counts.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Adds a claim, or replaces the claim of the same name. Earlier clones do not change.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        Arc::make_mut(&mut self.0).insert(name.into(), value.into());
    }

    /// Removes a claim. Earlier clones do not change.
    pub(crate) fn remove(&mut self, name: &str) {
        if self.contains(name) {
            Arc::make_mut(&mut self.0).remove(name);
        }
    }

    /// Iterates over the names of the claims. The order has no meaning.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }

    /// Iterates over the claims. The order has no meaning.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter()
    }

    /// Returns the number of claims.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no claims.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Returns a copy of the claims as the members of a JSON object.
    pub(crate) fn to_members(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }

    /// Returns a claim that is a string. `None` for every other value.
    pub(crate) fn string(&self, name: &str) -> Option<&str> {
        self.0.string(name)
    }

    /// Returns a claim that must be a string and not empty.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>, Invalid> {
        match self.string(name) {
            Some(text) if !text.is_empty() => Ok(Some(text)),
            None if !self.contains(name) => Ok(None),
            _ => Err(Invalid(name)),
        }
    }

    /// Returns `aud`: one string or an array of strings (RFC 7519 section 4.1.3). An absent claim is an empty list.
    pub(crate) fn audience(&self) -> Result<impl Iterator<Item = &str>, Invalid> {
        let one = self.string("aud");
        let other = if one.is_some() { None } else { self.get("aud") };
        let many = match other {
            None => &[][..],
            Some(Value::Array(many)) if many.iter().all(Value::is_string) => many,
            Some(_) => return Err(Invalid("aud")),
        };
        Ok(one.into_iter().chain(many.iter().filter_map(Value::as_str)))
    }

    /// Returns `scope`, which is one string (RFC 8693 section 4.2). An empty string is an empty scope.
    pub(crate) fn scope(&self) -> Result<Option<Scope>, Invalid> {
        match self.string("scope") {
            Some("") => Ok(Some(Scope::empty())),
            Some(text) => text.parse().map(Some).map_err(|_| Invalid("scope")),
            None if self.contains("scope") => Err(Invalid("scope")),
            None => Ok(None),
        }
    }

    /// Returns the scope in a claim of another name than `scope`: one string, or an array of strings.
    pub(crate) fn scope_in(&self, name: &str) -> Result<Option<Scope>, ScopeError> {
        match self.get(name) {
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

    /// Returns a time in seconds since 1970, rounded down. A NumericDate is a number that is not negative and may have a
    /// fraction (RFC 7519 section 2).
    pub(crate) fn seconds(&self, name: &'static str) -> Result<Option<u64>, Invalid> {
        self.date(name).map(|date| date.map(|date| date.floor() as u64))
    }

    /// Returns the same as [`Claims::seconds`], rounded up.
    pub(crate) fn seconds_rounded_up(&self, name: &'static str) -> Result<Option<u64>, Invalid> {
        self.date(name).map(|date| date.map(|date| date.ceil() as u64))
    }

    fn date(&self, name: &'static str) -> Result<Option<f64>, Invalid> {
        match self.0.number(name) {
            Some(number) => match number.as_f64() {
                Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => Ok(Some(seconds)),
                _ => Err(Invalid(name)),
            },
            None if self.contains(name) => Err(Invalid(name)),
            None => Ok(None),
        }
    }
}

impl PartialEq for Claims {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(name, value)| other.get(name) == Some(value);
        Arc::ptr_eq(&self.0, &other.0) || (self.len() == other.len() && self.iter().all(is_same))
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(members: Map<String, Value>) -> Self {
        Self(Arc::new(members.into()))
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Claims {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(claims: I) -> Self {
        Map::from_iter(claims.into_iter().map(|(name, value)| (name.into(), value.into()))).into()
    }
}

impl<N: Into<String>, V: Into<Value>> Extend<(N, V)> for Claims {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, claims: I) {
        claims.into_iter().for_each(|(name, value)| self.insert(name, value));
    }
}

impl FromStr for Claims {
    type Err = ClaimsError;

    fn from_str(json: &str) -> Result<Self, ClaimsError> {
        Self::from_json(json)
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

// The values may be personal data, and a log must not contain personal data.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::from_json(json).unwrap()
    }

    #[test]
    fn a_changed_clone_leaves_the_original_alone() {
        let original = claims(r#"{"sub":"alice"}"#);
        let mut changed = original.clone();
        changed.extend([("email", "alice@example.org")]);
        assert_eq!((original.len(), changed.len()), (1, 2));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        assert_eq!(format!("{:?}", claims(r#"{"sub":"alice"}"#)), r#"{"sub"}"#);
    }

    #[test]
    fn a_replaced_claim_has_its_new_value() {
        let mut changed = claims(r#"{"sub":"alice","n":1}"#);
        assert_eq!(changed.get("sub"), Some(&"alice".into()));
        changed.insert("sub", "bob");
        changed.remove("n");
        assert_eq!((changed.string("sub"), changed.get("sub")), (Some("bob"), Some(&"bob".into())));
        assert_eq!((changed.len(), changed.contains("n")), (1, false));
    }

    #[test]
    fn a_date_is_no_negative_number() {
        for (json, down, up) in [("5", 5, 5), ("5.5", 5, 6), ("0", 0, 0), ("1.0e3", 1000, 1000)] {
            let claims = claims(&format!(r#"{{"exp":{json}}}"#));
            assert_eq!(claims.seconds("exp"), Ok(Some(down)));
            assert_eq!(claims.seconds_rounded_up("exp"), Ok(Some(up)));
        }
        for bad in ["-1", "\"5\"", "null", "[5]", "1e300", "-9223372036854775808", "18446744073709551615"] {
            assert_eq!(claims(&format!(r#"{{"exp":{bad}}}"#)).seconds("exp"), Err(Invalid("exp")), "{bad}");
        }
    }

    #[test]
    fn an_audience_is_one_string_or_many() {
        for (json, audience) in
            [(r#"{"aud":"a"}"#, &["a"][..]), (r#"{"aud":["a","b"]}"#, &["a", "b"]), (r#"{"aud":[]}"#, &[]), ("{}", &[])]
        {
            assert!(claims(json).audience().unwrap().eq(audience.iter().copied()), "{json}");
        }
        for bad in ["7", "null", "{}", r#"["a",7]"#] {
            assert_eq!(claims(&format!(r#"{{"aud":{bad}}}"#)).audience().err(), Some(Invalid("aud")), "{bad}");
        }
    }

    #[test]
    fn a_scope_is_one_string() {
        assert_eq!(claims("{}").scope(), Ok(None));
        assert_eq!(claims(r#"{"scope":""}"#).scope(), Ok(Some(Scope::empty())));
        assert_eq!(claims(r#"{"scope":["a"]}"#).scope(), Err(Invalid("scope")));
    }
}
