use crate::protocol::named_values;
use std::fmt;

/// One or more mistakes in the configuration, in the order of the configuration.
///
/// [`Display`](fmt::Display) writes one mistake per line. [`field`](Self::field), [`place`](Self::place),
/// [`help`](Self::help) and [`kind`](Self::kind) describe the first mistake.
///
/// ```
/// use tower_token_exchange::{
///     Client, Target, TokenExchangeLayer,
///     error::ConfigErrorKind,
///     policy::{Rule, Subjects},
///     signing::{Algorithm, LocalSigner},
/// };
///
/// let error = TokenExchangeLayer::builder("https://as.example")
///     .clients([Client::new("orders").secret("short")])
///     .targets([Target::new("billing").allow_clients(["order"]).scopes(["read"])])
///     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()
///     .unwrap_err();
///
/// assert_eq!(error.problems().len(), 2);
/// assert_eq!(error.place(), Some("client[0].secret"));
/// assert!(error.to_string().starts_with("client `orders`: secret: shorter than 16 characters"));
///
/// let unknown = &error.problems()[1];
/// assert_eq!(unknown.kind(), ConfigErrorKind::Unknown);
/// assert_eq!(unknown.place(), Some("target[0].callers[0]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Never empty.
    problems: Vec<ConfigProblem>,
}

/// One mistake in the configuration: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    kind: ConfigErrorKind,
    field: String,
    place: Option<String>,
    help: String,
}

/// The kind of a mistake in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// A required value is missing.
    Missing,
    /// A value has the wrong form or is out of range.
    Invalid,
    /// A name refers to a record that does not exist.
    Unknown,
    /// A value occurs twice, but has to be unique.
    Duplicate,
    /// Two values contradict each other.
    Conflict,
}

impl ConfigErrorKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[Self::Missing, Self::Invalid, Self::Unknown, Self::Duplicate, Self::Conflict];

    /// The name, such as `duplicate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
        }
    }
}

named_values!(ConfigErrorKind, as_str, "a kind of configuration error");

impl ConfigError {
    /// A mistake that is not in a record.
    pub(crate) fn new(field: impl Into<String>, help: impl Into<String>) -> Self {
        Self::from_problem(field.into(), None, help.into())
    }

    /// A mistake in a record.
    pub(super) fn at(field: String, place: String, help: impl Into<String>) -> Self {
        Self::from_problem(field, Some(place), help.into())
    }

    fn from_problem(field: String, place: Option<String>, help: String) -> Self {
        Self { problems: vec![ConfigProblem { kind: ConfigErrorKind::Invalid, field, place, help }] }
    }

    pub(crate) fn of_kind(mut self, kind: ConfigErrorKind) -> Self {
        self.problems.iter_mut().for_each(|problem| problem.kind = kind);
        self
    }

    /// All mistakes, at least one.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }

    /// The field of the first mistake; see [`ConfigProblem::field`].
    pub fn field(&self) -> &str {
        self.problems[0].field()
    }

    /// The place of the first mistake; see [`ConfigProblem::place`].
    pub fn place(&self) -> Option<&str> {
        self.problems[0].place()
    }

    /// The help for the first mistake; see [`ConfigProblem::help`].
    pub fn help(&self) -> &str {
        self.problems[0].help()
    }

    /// The kind of the first mistake.
    pub fn kind(&self) -> ConfigErrorKind {
        self.problems[0].kind()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(problem, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl ConfigProblem {
    /// The record and its field, such as ``client `orders`: secret``.
    ///
    /// The field is the key of a record that was read from a document, and the method of a record that was built in
    /// code.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The path in a [`Document`](crate::Document), such as `rule[3].targets[0]`.
    ///
    /// The path consists of keys. Records and members of lists are counted from 0, in the order of the document.
    /// `None` for a mistake that is not in a record.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// What is wrong with the field, and what to do.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// The kind of the mistake.
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.help)
    }
}

/// The mistakes that were found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<ConfigProblem>);

impl Problems {
    pub(crate) fn add(&mut self, error: ConfigError) {
        self.0.extend(error.problems);
    }

    /// Adds the mistakes of a check that failed.
    pub(crate) fn check<T>(&mut self, checked: Result<T, ConfigError>) -> Option<T> {
        checked.map_err(|error| self.add(error)).ok()
    }

    /// The value, unless a mistake was found.
    pub(crate) fn or<T>(self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() { Ok(value) } else { Err(ConfigError { problems: self.0 }) }
    }
}
