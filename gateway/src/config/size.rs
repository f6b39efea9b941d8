use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};
use std::num::NonZeroU64;

const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A size of a file, such as `100MiB`.
#[derive(JsonSchema)]
#[schemars(inline)]
pub(super) struct SizeText(#[expect(dead_code, reason = "the type exists for its schema")] String);

/// Reads a number of bytes, with one of the units `KiB`, `MiB` and `GiB`.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroU64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = UNITS.into_iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        NonZeroU64::new(number.checked_mul(bytes)?)
    });
    let help = || D::Error::custom(format!("`{text}` is not a size; write one such as `100MiB` or `1GiB`"));
    bytes.map(Some).ok_or_else(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::{IntoDeserializer, value};

    #[test]
    fn a_size_has_a_number_and_a_unit() {
        for (text, bytes) in [
            ("100MiB", Some(100 << 20)),
            ("1 GiB", Some(1 << 30)),
            ("4KiB", Some(4096)),
            ("0MiB", None),
            ("100", None),
            ("100MB", None),
            ("-1MiB", None),
            ("99999999999999999GiB", None),
        ] {
            let read = size(IntoDeserializer::<value::Error>::into_deserializer(text));
            assert_eq!(read.ok().flatten().map(NonZeroU64::get), bytes, "{text}");
        }
    }
}
