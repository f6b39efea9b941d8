use std::fmt;

/// At most so many scope tokens in one list.
const MAX_TOKENS: usize = 64;
/// At most so many bytes in one scope token.
const MAX_TOKEN_BYTES: usize = 256;

/// A list of scope tokens (RFC 6749 section 3.3): each at most once, in the order given, compared byte for byte.
///
/// At most 64 tokens of at most 256 bytes each.
///
/// ```
/// use tower_token_exchange::Scope;
///
/// let asked: Scope = "orders:read orders:write".parse()?;
/// let granted = asked.intersection(&"orders:read profile".parse()?);
/// assert_eq!(granted.to_string(), "orders:read");
/// # Ok::<(), tower_token_exchange::error::ScopeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Scope(Vec<Box<str>>);

/// A text that is not a scope list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is a list of 1 to 64 tokens of printable ASCII without `\"` and `\\`, at most 256 bytes each, one space between"
)]
#[non_exhaustive]
pub struct ScopeError;

impl Scope {
    /// The scope with nothing in it.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// A scope from its tokens.
    pub fn from_tokens<T: AsRef<str>>(tokens: impl IntoIterator<Item = T>) -> Result<Self, ScopeError> {
        let mut scope = Self::empty();
        for token in tokens {
            let token = token.as_ref();
            if !is_scope_token(token) {
                return Err(ScopeError);
            }
            if scope.contains(token) {
                continue;
            }
            // Before the next comparison, so that a long list costs no more than a short one.
            if scope.0.len() == MAX_TOKENS {
                return Err(ScopeError);
            }
            scope.0.push(token.into());
        }
        Ok(scope)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many tokens are in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this very token is in it.
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|own| **own == *token)
    }

    /// The tokens, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|token| &**token)
    }

    /// What is in both, in the order of `self`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|token| other.contains(token)).cloned().collect())
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|token| !other.contains(token)).cloned().collect())
    }

    /// Whether everything in `self` is in `other` too.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|token| other.contains(token))
    }
}

impl std::str::FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::from_tokens(text.split(' '))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, token) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({self})")
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
    fn grammar() {
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
    fn a_list_that_is_far_too_long_is_not_compared_with_itself() {
        // Each with each, this would take minutes.
        let list = (0..500_000).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(list.parse::<Scope>(), Err(ScopeError));
    }

    #[test]
    fn a_repeated_token_counts_once() {
        assert_eq!("a b a".parse::<Scope>().unwrap().to_string(), "a b");
    }

    #[test]
    fn case_matters() {
        let lower: Scope = "read".parse().unwrap();
        assert!(lower.intersection(&"Read".parse().unwrap()).is_empty());
    }
}
