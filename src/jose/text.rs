use serde::de::{self, DeserializeSeed, Deserializer, Visitor};
use std::fmt;

/// A string in a JSON text. A string without escapes is not copied.
#[derive(Clone)]
pub(super) enum Text {
    /// The bytes from `start` to `end` of the JSON text.
    InJson {
        start: usize,
        end: usize,
    },
    Own(String),
}

impl Text {
    /// Whether the string is this text. `json` is the JSON text that the string was read from.
    pub(super) fn is(&self, json: &str, text: &str) -> bool {
        match self {
            // The comparison of bytes does not look for the ends of characters.
            Self::InJson { start, end } => {
                end - start == text.len() && json.as_bytes()[*start..*end] == *text.as_bytes()
            }
            Self::Own(own) => own == text,
        }
    }

    /// The string. `json` is the JSON text that the string was read from.
    pub(super) fn of<'a>(&'a self, json: &'a str) -> &'a str {
        match self {
            Self::InJson { start, end } => &json[*start..*end],
            Self::Own(text) => text,
        }
    }
}

/// Reads a string of this JSON text.
#[derive(Clone, Copy)]
pub(super) struct TextVisitor<'j>(pub(super) &'j str);

impl<'de> DeserializeSeed<'de> for TextVisitor<'_> {
    type Value = Text;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextVisitor<'_> {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text, E> {
        // The string is a part of the JSON text, so the difference of the addresses is its position.
        let start = text.as_ptr().addr() - self.0.as_ptr().addr();
        Ok(Text::InJson { start, end: start + text.len() })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::Own(text.to_owned()))
    }
}
