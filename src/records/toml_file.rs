use super::ConfigError;
use serde::de::DeserializeOwned;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// A TOML file that says on which line a mistake is: whether serde finds it, the layer, or its user (feature `toml`).
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
/// "#);
/// let layer = TokenExchangeLayer::builder("https://as.example")
///     .document(file.parse::<Document>()?)
///     .signer(LocalSigner::generate(Algorithm::ES256)?)
///     .build();
/// let mistake = file.locate(&layer.unwrap_err());
/// assert!(mistake.to_string().starts_with("records.toml:4: client[0].secret: shorter than 16 characters"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TomlFile {
    path: PathBuf,
    text: String,
}

/// A mistake in a file, as `file:line: field: the way out`; what cannot be located has no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}{what}", Line(*line))]
pub struct LocateError {
    file: String,
    line: Option<usize>,
    what: String,
}

impl TomlFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Those of the system, with the name of the file.
    pub fn read(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self { path, text }),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        }
    }

    /// A text that is there already, and the name of its file.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// What it holds, such as a [`Document`](super::Document).
    ///
    /// # Errors
    /// What is no TOML, or not of that type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, LocateError> {
        toml::from_str(&self.text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| self.line_of(span.start));
            self.mistake(Some(line), error.message().to_owned())
        })
    }

    /// A mistake that only the layer could find, with the line that it is on.
    pub fn locate(&self, error: &ConfigError) -> LocateError {
        match error.place() {
            Some(place) => self.wrong(place, error.help()),
            None => self.mistake(None, error.to_string()),
        }
    }

    /// A mistake at a place such as `rule[3].targets[0]`, which is counted as in [`ConfigError::place`]. Where only a part of
    /// that stands in the file, the line is that of the part.
    pub fn wrong(&self, place: &str, help: impl fmt::Display) -> LocateError {
        self.mistake(self.line_of_place(place), format!("{place}: {help}"))
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path as the file means it: beside itself, if it is relative.
    pub fn beside(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn mistake(&self, line: Option<usize>, what: String) -> LocateError {
        LocateError { file: self.path.display().to_string(), line, what }
    }

    fn line_of_place(&self, place: &str) -> Option<usize> {
        let document = DeTable::parse(&self.text).ok()?;
        let mut here = None;
        let mut value: Option<&DeValue<'_>> = None;
        for step in place.split(['.', '[']) {
            let next = match (value, step.strip_suffix(']')) {
                (None, _) => document.get_ref().get(step),
                (Some(DeValue::Table(table)), _) => table.get(step),
                (Some(DeValue::Array(list)), Some(index)) => index.parse::<usize>().ok().and_then(|at| list.get(at)),
                // One name may stand in place of a list.
                (Some(_), _) => None,
            };
            let Some(next) = next else { break };
            here = Some(next.span().start);
            value = Some(next.get_ref());
        }
        here.map(|offset| self.line_of(offset))
    }

    fn line_of(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }
}

impl LocateError {
    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl From<LocateError> for String {
    fn from(mistake: LocateError) -> Self {
        mistake.to_string()
    }
}

struct Line(Option<usize>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "{line}: "),
            None => f.write_str(" "),
        }
    }
}

// It may hold secrets.
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
    fn a_place_is_found_as_far_as_it_is_there() {
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
    fn what_is_no_toml_has_a_line_too() {
        for (text, line) in [("a = \n", 1), ("a = 1\na = 2\n", 2), ("[[client]]\nid = \"x\"\n\ncolour = 3\n", 4)] {
            let mistake = TomlFile::new("x.toml", text).parse::<crate::Document>().unwrap_err();
            assert_eq!(mistake.line(), Some(line), "{mistake}");
        }
        // A file that is broken has no places.
        assert_eq!(TomlFile::new("x.toml", "a = ").wrong("a", "no").line(), None);
        let error = TomlFile::read("no/such/file.toml").unwrap_err();
        assert!(error.to_string().starts_with("no/such/file.toml: "), "{error}");
    }
}
