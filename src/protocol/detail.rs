use super::{Sensitive, escaped};
use std::fmt;

/// The particulars of a refusal: words that may stand in a log, and texts that nobody has verified.
///
/// An unverified text is what a client wrote into a parameter or a token. The text can be a secret in the wrong place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detail(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Words(String),
    Unverified(Sensitive),
}

impl<T: fmt::Display> From<T> for Detail {
    fn from(words: T) -> Self {
        Self(vec![Piece::Words(escaped(&words.to_string()))])
    }
}

impl Detail {
    /// Adds words of this crate, of a record, or of a verified token.
    pub(crate) fn words(mut self, words: impl fmt::Display) -> Self {
        self.0.extend(Self::from(words).0);
        self
    }

    /// Adds a text that nobody has verified.
    pub(crate) fn unverified(mut self, text: &str) -> Self {
        self.0.push(Piece::Unverified(Sensitive::new(text.to_owned())));
        self
    }

    /// Adds texts that nobody has verified, with a space between two texts.
    pub(crate) fn unverified_list<'a>(self, texts: impl Iterator<Item = &'a str>) -> Self {
        texts.enumerate().fold(self, |detail, (position, text)| {
            let detail = if position == 0 { detail } else { detail.words(" ") };
            detail.unverified(text)
        })
    }

    /// Adds the pieces of another detail.
    pub(crate) fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the detail as text. The function describes each unverified text.
    pub(crate) fn to_text(&self, describe: impl Fn(&str) -> String) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Unverified(text) => describe(text.expose()),
        });
        pieces.collect()
    }

    /// Returns the detail with every unverified text in clear, for the operator who sent the request.
    pub(crate) fn in_clear(&self) -> String {
        self.to_text(|text| format!("`{}`", escaped(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unverified_texts_are_described() {
        let detail = Detail::from("alg ").unverified("s3cret").words(", kid ").followed_by(Detail::from("a\nb"));
        assert_eq!(detail.to_text(|text| format!("<{}>", text.len())), "alg <6>, kid a\\u{a}b");
        assert_eq!(detail.in_clear(), "alg `s3cret`, kid a\\u{a}b");
        assert!(!format!("{detail:?}").contains("s3cret"));
    }
}
