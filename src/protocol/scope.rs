use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr, sync::Arc};

/// The largest number of scope tokens in a scope.
const MAX_TOKENS: usize = 64;
/// The largest number of bytes in a scope token.
const MAX_TOKEN_BYTES: usize = 256;

/// A list of scope tokens (RFC 6749 section 3.3), without repeats and in the given order.
///
/// A scope has at most 64 tokens of at most 256 bytes each. Tokens are compared byte for byte. A clone shares the text, so a
/// clone is cheap.
///
/// ```
/// use tower_token_exchange::Scope;
///
/// let requested: Scope = "orders:read orders:write".parse()?;
/// let granted = requested.intersection(&"orders:read profile".parse()?);
/// assert_eq!(granted.to_string(), "orders:read");
/// # Ok::<(), tower_token_exchange::error::ScopeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope(
    /// The tokens with one space between two tokens. `None` without tokens.
    Option<Arc<str>>,
);

/// A text that is not a list of scope tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a scope: use 1 to 64 tokens with one space between two tokens; a token has 1 to 256 printable ASCII characters other than `\"` and `\\`"
)]
#[non_exhaustive]
pub struct ScopeError;

impl Scope {
    /// The scope without any token.
    pub const fn empty() -> Self {
        Self(None)
    }

    /// A scope from its tokens. A repeated token counts once.
    ///
    /// # Errors
    /// [`ScopeError`] if a token breaks the grammar of RFC 6749 section 3.3, or if a limit is exceeded.
    pub fn from_tokens<T: AsRef<str>>(tokens: impl IntoIterator<Item = T>) -> Result<Self, ScopeError> {
        let (mut text, mut count) = (String::new(), 0);
        for token in tokens {
            let token = token.as_ref();
            if !is_scope_token(token) {
                return Err(ScopeError);
            }
            if count > 0 && text.split(' ').any(|known| known == token) {
                continue;
            }
            // The check comes before the next comparison, so that a huge list costs no more than an allowed list.
            if count == MAX_TOKENS {
                return Err(ScopeError);
            }
            if count > 0 {
                text.push(' ');
            }
            text.push_str(token);
            count += 1;
        }
        Ok(Self::from_text(&text))
    }

    /// The scope of a text that has the grammar of a scope and no repeats, or is empty.
    fn from_text(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }

    /// Whether the scope has no tokens.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether the scope has this token.
    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|own| own == token)
    }

    /// The tokens with one space between two tokens.
    pub(crate) fn as_text(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Iterates over the tokens in order.
    pub fn iter(&self) -> ScopeTokens<'_> {
        let rest = self.as_text();
        let spaces = rest.bytes().filter(|byte| *byte == b' ').count();
        ScopeTokens { rest, left: spaces + usize::from(!self.is_empty()) }
    }

    /// The tokens that are in both scopes, in the order of `self`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let common = self.iter().filter(|token| other.contains(token));
        // Scopes are often equal, or one is a part of the other. Then the text is shared.
        if common.clone().eq(other) { other.clone() } else { self.keep(|token| other.contains(token)) }
    }

    /// The tokens of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.keep(|token| !other.contains(token))
    }

    /// The tokens for which the condition holds.
    pub(crate) fn keep(&self, condition: impl Fn(&str) -> bool) -> Self {
        if self.iter().all(&condition) {
            return self.clone();
        }
        let mut text = String::with_capacity(self.as_text().len());
        for token in self.iter().filter(|token| condition(token)) {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(token);
        }
        Self::from_text(&text)
    }

    /// Whether `other` has every token of `self`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|token| other.contains(token))
    }
}

/// An iterator over the tokens of a [`Scope`].
#[derive(Clone, Debug)]
pub struct ScopeTokens<'a> {
    rest: &'a str,
    left: usize,
}

impl<'a> Iterator for ScopeTokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        let (token, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        self.rest = rest;
        Some(token)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ScopeTokens<'_> {}

impl<'a> IntoIterator for &'a Scope {
    type Item = &'a str;
    type IntoIter = ScopeTokens<'a>;

    fn into_iter(self) -> ScopeTokens<'a> {
        self.iter()
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// Reads a list with single spaces between the tokens. An empty text is an error.
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let is_new = |(position, token)| {
            position < MAX_TOKENS
                && is_scope_token(token)
                && !text.split(' ').take(position).any(|earlier| earlier == token)
        };
        // A text without repeats is the text of the scope.
        if text.split(' ').enumerate().all(is_new) {
            Ok(Self::from_text(text))
        } else {
            Self::from_tokens(text.split(' '))
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_text())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({self})")
    }
}

/// A scope is serialized as a text with spaces between the tokens.
impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_text())
    }
}

/// A scope is deserialized from a text with spaces between the tokens. An empty text is the empty scope.
impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(Self::empty()) } else { text.parse().map_err(de::Error::custom) }
    }
}

fn is_scope_token(token: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&token.len())
        && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_follow_the_grammar_of_rfc_6749() {
        for good in ["a", "a b", "orders:read https://x.example/y", "!", "~"] {
            assert_eq!(good.parse::<Scope>().unwrap().to_string(), good);
        }
        let long = "x".repeat(257);
        let many = (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        for bad in ["", " ", "a  b", " a", "a ", "a\tb", "a\"", "a\\b", "é", "a\u{0}", &long, &many] {
            assert_eq!(bad.parse::<Scope>(), Err(ScopeError), "{bad:?}");
        }
    }

    #[test]
    fn a_huge_list_is_refused_fast() {
        // Comparing every pair of tokens would take minutes.
        let list = (0..500_000).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(list.parse::<Scope>(), Err(ScopeError));
    }

    #[test]
    fn a_repeated_token_counts_once() {
        assert_eq!("a b a".parse::<Scope>().unwrap().to_string(), "a b");
    }

    #[test]
    fn common_and_other_tokens_keep_their_order() {
        let scope = |text: &str| if text.is_empty() { Scope::empty() } else { text.parse().unwrap() };
        for (own, other, common, rest) in [
            ("a b", "a b", "a b", ""),
            ("a b", "b a", "a b", ""),
            ("a b", "b", "b", "a"),
            ("a b", "a c", "a", "b"),
            ("a b c", "c a", "a c", "b"),
            ("a b", "ab", "", "a b"),
            ("a", "", "", "a"),
            ("", "a", "", ""),
            ("", "", "", ""),
        ] {
            let (own, other) = (scope(own), scope(other));
            assert_eq!(own.intersection(&other), scope(common), "{own:?} and {other:?}");
            assert_eq!(own.difference(&other), scope(rest), "{own:?} without {other:?}");
            assert_eq!((own.is_empty(), own.len()), (own.iter().next().is_none(), own.iter().count()));
        }
    }

    #[test]
    fn scopes_are_case_sensitive() {
        let lower: Scope = "read".parse().unwrap();
        assert!(lower.intersection(&"Read".parse().unwrap()).is_empty());
    }

    #[test]
    fn scopes_survive_json() {
        for text in ["", "a b"] {
            let json = serde_json::Value::from(text);
            let scope: Scope = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&scope).unwrap(), json);
        }
        assert!(serde_json::from_str::<Scope>(r#""a  b""#).is_err());
    }

    #[test]
    fn scopes_iterate_in_order() {
        let scope: Scope = "b a".parse().unwrap();
        assert_eq!((&scope).into_iter().collect::<Vec<_>>(), ["b", "a"]);
    }
}
