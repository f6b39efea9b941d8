use super::ConfigError;
use serde::de::DeserializeOwned;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// A TOML file whose mistakes are reported with their lines (feature `toml`).
///
/// [`parse`](Self::parse) reports the mistakes that serde finds. [`locate`](Self::locate) finds the lines of the mistakes
/// that the layer finds. [`wrong`](Self::wrong) reports a mistake that the user of the file finds.
///
/// ```
/// use tower_token_exchange::{
///     Document, TokenExchangeLayer,
///     records::TomlFile,
///     signing::{Algorithm, LocalSigner},
/// };
///
/// let file = TomlFile::new("records.toml", r#"
/// [[client]]
/// id = "orders"
/// secret = "short"
///
/// [[target]]
/// id = "billing"
/// callers = ["order"]
/// scopes = ["read"]
///
/// [[rule]]
/// clients = "orders"
/// subjects = "any"
/// targets = "billing"
/// scopes = ["read"]
/// "#);
/// let error = TokenExchangeLayer::builder("https://as.example")
///     .document(file.parse::<Document>()?)
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build()
///     .unwrap_err();
///
/// let located = file.locate(&error).to_string();
/// let lines: Vec<&str> = located.lines().collect();
/// assert!(lines[0].starts_with("records.toml:4: client[0].secret: shorter than 16 characters"));
/// assert!(lines[1].starts_with("records.toml:8: target[0].callers[0]: no client `order`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TomlFile {
    path: PathBuf,
    text: String,
}

/// One or more mistakes in a file. Each is written as `file:line: place: help`, without the line if the place is not in
/// the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.mistakes.join("\n"))]
pub struct LocateError {
    /// The line of the first mistake.
    line: Option<usize>,
    mistakes: Vec<String>,
}

impl TomlFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The error of the system, with the name of the file.
    pub fn read(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    /// Creates a file from its name and its text, without reading the file.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Parses the text as a type that serde can read, such as a [`Document`](crate::Document).
    ///
    /// # Errors
    /// A text that is not TOML, or does not have the type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, LocateError> {
        toml::from_str(&self.text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| self.line_of(span.start));
            self.mistake(Some(line), error.message().to_owned())
        })
    }

    /// Finds the lines of the mistakes that the layer found.
    pub fn locate(&self, error: &ConfigError) -> LocateError {
        let located = error.problems().iter().map(|problem| match problem.place() {
            Some(place) => self.wrong(place, problem.help()),
            None => self.mistake(None, problem.to_string()),
        });
        let located: Vec<_> = located.collect();
        LocateError {
            line: located.first().and_then(LocateError::line),
            mistakes: located.into_iter().flat_map(|error| error.mistakes).collect(),
        }
    }

    /// Reports a mistake at a place such as `rule[3].targets[0]`; see
    /// [`ConfigProblem::place`](super::ConfigProblem::place).
    ///
    /// If only the first part of the place is in the file, the line is the line of that part.
    pub fn wrong(&self, place: &str, help: impl fmt::Display) -> LocateError {
        self.mistake(self.line_of_place(place), format!("{place}: {help}"))
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Resolves a path that the file names: a relative path starts in the directory of the file.
    pub fn beside(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn mistake(&self, line: Option<usize>, what: String) -> LocateError {
        let file = self.path.display();
        let mistake = match line {
            Some(line) => format!("{file}:{line}: {what}"),
            None => format!("{file}: {what}"),
        };
        LocateError { line, mistakes: vec![mistake] }
    }

    fn line_of_place(&self, place: &str) -> Option<usize> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut offset = None;
        let mut value: Option<&DeValue<'_>> = None;
        for step in place.split(['.', '[']) {
            let next = match (value, step.strip_suffix(']')) {
                (None, _) => document.get_ref().get(step),
                (Some(DeValue::Table(table)), _) => table.get(step),
                (Some(DeValue::Array(list)), Some(index)) => index.parse::<usize>().ok().and_then(|at| list.get(at)),
                // A single name may replace a list.
                (Some(_), _) => None,
            };
            let Some(next) = next else { break };
            offset = Some(next.span().start);
            value = Some(next.get_ref());
        }
        offset.map(|offset| self.line_of(offset))
    }

    fn line_of(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

impl LocateError {
    /// The line of the first mistake, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

// The text may contain secrets.
impl fmt::Debug for TomlFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TomlFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a = 1\n[[rule]]\ntargets = \"one\"\n[[rule]]\ntargets = [\n  \"one\",\n  \"two\",\n]\n[t]\nu = { v = 1 }\n";

    #[test]
    fn a_place_has_the_line_of_its_last_known_part() {
        let file = TomlFile::new("dir/x.toml", TEXT);
        for (place, line) in [
            ("a", Some(1)),
            ("rule", Some(2)),
            ("rule[0]", Some(2)),
            ("rule[0].targets", Some(3)),
            ("rule[0].targets[0]", Some(3)),
            ("rule[1]", Some(4)),
            ("rule[1].targets[1]", Some(7)),
            ("rule[1].scopes", Some(4)),
            ("rule[2].targets", Some(2)),
            ("rule[x]", Some(2)),
            ("t.u.v", Some(10)),
            ("t.u.w.x", Some(10)),
            ("nothing", None),
            ("", None),
        ] {
            assert_eq!(file.wrong(place, "no").line(), line, "{place}");
        }
        assert_eq!(file.wrong("t.u.v", "give 2").to_string(), "dir/x.toml:10: t.u.v: give 2");
        assert_eq!(file.wrong("nothing", "add it").to_string(), "dir/x.toml: nothing: add it");
        assert_eq!(file.beside("y.pem"), Path::new("dir/y.pem"));
        assert_eq!(file.beside("/y.pem"), Path::new("/y.pem"));
        assert!(!format!("{file:?}").contains("targets"));
    }

    #[test]
    fn a_syntax_error_has_a_line() {
        for (text, line) in [("a = \n", 1), ("a = 1\na = 2\n", 2), ("[[client]]\nid = \"x\"\n\ncolour = 3\n", 4)] {
            let mistake = TomlFile::new("x.toml", text).parse::<crate::Document>().unwrap_err();
            assert_eq!(mistake.line(), Some(line), "{mistake}");
        }
        // A file with a syntax error has no places.
        assert_eq!(TomlFile::new("x.toml", "a = ").wrong("a", "no").line(), None);
        let error = TomlFile::read("no/such/file.toml").unwrap_err();
        assert!(error.to_string().starts_with("no/such/file.toml: "), "{error}");
    }
}
