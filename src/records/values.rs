//! The values of a document: how durations, token types and lists are written.

use crate::protocol::TokenType;
use serde::{Deserialize, Deserializer, de};
use std::{fmt, marker::PhantomData, time::Duration};

/// Reads the duration of a field, such as `30s`, `5m` or `1h 30m`.
pub(crate) fn duration(field: &str, text: Option<String>) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |error| format!("{field}: `{text}` is not a duration ({error}): write `30s` or `5m`");
    humantime::parse_duration(&text).map(Some).map_err(wrong)
}

/// Reads a token type in a field: a URI, or a short name for a type of RFC 8693 section 3.
pub(crate) fn token_type(field: &str, name: &str) -> Result<TokenType, String> {
    match name {
        "access_token" => Ok(TokenType::ACCESS_TOKEN),
        "id_token" => Ok(TokenType::ID_TOKEN),
        "jwt" => Ok(TokenType::JWT),
        // A misspelt name would be a type that no client ever declares.
        _ => TokenType::new(name).map_err(|_| {
            format!("{field}: `{name}` is not a token type: write a URI, `jwt`, `access_token` or `id_token`")
        }),
    }
}

/// Reads a table with a list of texts for each token type.
pub(crate) fn lists_by_token_type<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(TokenType, Vec<String>)>, D::Error> {
    struct Lists;

    impl<'de> de::Visitor<'de> for Lists {
        type Value = Vec<(TokenType, Vec<String>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table with a list for each token type, such as `{ id_token = [\"read\"] }`")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
            let mut lists: Self::Value = Vec::new();
            while let Some((name, list)) = table.next_entry::<String, Vec<String>>()? {
                let token_type = token_type("token type", &name).map_err(de::Error::custom)?;
                if lists.iter().any(|(known, _)| *known == token_type) {
                    return Err(de::Error::custom(format!("`{token_type}` occurs twice: keep one list")));
                }
                lists.push((token_type, list));
            }
            Ok(lists)
        }
    }

    deserializer.deserialize_map(Lists)
}

/// Reads one text, or a list of texts.
pub(crate) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a list of texts")]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    Ok(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(text) => vec![text],
        OneOrMore::More(list) => list,
    })
}

/// A word, or the value of a table or a list.
pub(crate) enum WordOr<T> {
    Word(String),
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WordOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Either<T> {
            type Value = WordOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a table")
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(WordOr::Word(word.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(table)).map(WordOr::Table)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                T::deserialize(de::value::SeqAccessDeserializer::new(list)).map(WordOr::Table)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// One table, or an array of tables.
pub(crate) struct OneOrMany<T>(Vec<T>);

impl<T> OneOrMany<T> {
    pub(crate) fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Tables<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table or an array of tables")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(table)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, tables: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(tables)).map(OneOrMany)
            }
        }

        deserializer.deserialize_any(Tables(PhantomData))
    }
}
