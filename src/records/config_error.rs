/// A mistake in the configuration: where it is, and the way out.
///
/// ```
/// use tower_token_exchange::{Client, TokenExchangeLayer, signing::{Algorithm, LocalSigner}};
///
/// let error = TokenExchangeLayer::builder("https://as.example")
///     .clients([Client::new("orders").secret("short")])
///     .signer(LocalSigner::generate(Algorithm::ES256).unwrap())
///     .build()
///     .unwrap_err();
/// assert!(error.to_string().starts_with("client `orders`: secret: shorter than 16 characters"));
/// assert_eq!(error.place(), Some("client[0].secret"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {help}")]
pub struct ConfigError {
    field: String,
    place: Option<String>,
    help: String,
}

impl ConfigError {
    pub(crate) fn new(field: impl Into<String>, help: impl Into<String>) -> Self {
        Self { field: field.into(), place: None, help: help.into() }
    }

    /// The field, with the record that holds it.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The place in a [`Document`](crate::Document), such as `rule[3].targets[0]`: records and list members are counted
    /// from 0, in the order in which they were given. `None` for what is not in a record.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// What is wrong with it, and what to do about it.
    pub fn help(&self) -> &str {
        &self.help
    }
}

/// A record: its kind, its position among those of its kind, and its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) kind: &'static str,
    pub(crate) position: usize,
    pub(crate) name: &'a str,
}

impl Record<'_> {
    /// Where it is in a document, as in [`ConfigError::place`].
    pub(crate) fn place(&self) -> String {
        format!("{}[{}]", self.kind, self.position)
    }

    /// A mistake in one of its fields.
    pub(crate) fn wrong(&self, field: &str, help: impl Into<String>) -> ConfigError {
        self.wrong_at(field, field, help)
    }

    /// A mistake in one member of a list.
    pub(crate) fn wrong_member(&self, field: &str, index: usize, help: impl Into<String>) -> ConfigError {
        self.wrong_at(field, &format!("{field}[{index}]"), help)
    }

    /// A mistake in a field that is called otherwise in a document.
    pub(crate) fn wrong_at(&self, field: &str, path: &str, help: impl Into<String>) -> ConfigError {
        let Self { kind, name, .. } = self;
        ConfigError {
            field: format!("{kind} `{name}`: {field}"),
            place: Some(format!("{}.{path}", self.place())),
            help: help.into(),
        }
    }

    /// A mistake in the record as a whole.
    pub(crate) fn wrong_whole(&self, help: impl Into<String>) -> ConfigError {
        let Self { kind, name, .. } = self;
        ConfigError { field: format!("{kind} `{name}`"), place: Some(self.place()), help: help.into() }
    }
}
