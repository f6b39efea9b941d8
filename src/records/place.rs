use super::ConfigError;

/// How the user of a record wrote the record, and therefore which names a mistake uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wording {
    /// With keys of a document.
    Keys,
    /// With methods of a builder.
    #[default]
    Methods,
}

/// A field of a record: the key in a document, and the method that sets the field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    key: &'static str,
    method: &'static str,
}

impl Field {
    pub(crate) const fn new(key: &'static str, method: &'static str) -> Self {
        Self { key, method }
    }

    pub(crate) fn name(self, wording: Wording) -> &'static str {
        match wording {
            Wording::Keys => self.key,
            Wording::Methods => self.method,
        }
    }
}

/// A field whose key and method have the same name.
impl From<&'static str> for Field {
    fn from(name: &'static str) -> Self {
        Self { key: name, method: name }
    }
}

/// The place of a record: its kind, its position among the records of that kind, and its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    kind: &'static str,
    position: usize,
    name: &'a str,
    wording: Wording,
}

impl<'a> Place<'a> {
    pub(crate) fn new(kind: &'static str, position: usize, name: &'a str, wording: Wording) -> Self {
        Self { kind, position, name, wording }
    }

    /// The name of a field in the words of the user of the record.
    pub(crate) fn word(&self, field: impl Into<Field>) -> &'static str {
        field.into().name(self.wording)
    }

    pub(super) fn wording(&self) -> Wording {
        self.wording
    }

    /// The path in a document, as in [`ConfigError::place`].
    pub(crate) fn path(&self) -> String {
        record_path(self.kind, self.position)
    }

    /// A mistake in a field.
    pub(crate) fn wrong(&self, field: impl Into<Field>, help: impl Into<String>) -> ConfigError {
        let field = field.into();
        self.wrong_at(field, field.key, help)
    }

    /// A mistake in one member of a list.
    pub(crate) fn wrong_member(&self, field: impl Into<Field>, index: usize, help: impl Into<String>) -> ConfigError {
        let field = field.into();
        self.wrong_at(field, &format!("{}[{index}]", field.key), help)
    }

    /// A mistake in a part of a field, by the path of the part within the record.
    pub(crate) fn wrong_at(&self, field: impl Into<Field>, path: &str, help: impl Into<String>) -> ConfigError {
        let Self { kind, name, wording, .. } = *self;
        let field = format!("{kind} `{name}`: {}", field.into().name(wording));
        ConfigError::at(field, format!("{}.{path}", self.path()), help)
    }

    /// A mistake in the record as a whole.
    pub(crate) fn wrong_whole(&self, help: impl Into<String>) -> ConfigError {
        ConfigError::at(format!("{} `{}`", self.kind, self.name), self.path(), help)
    }
}

/// The path of a record in a document, such as `rule[3]`.
pub(crate) fn record_path(kind: &str, position: usize) -> String {
    format!("{kind}[{position}]")
}
