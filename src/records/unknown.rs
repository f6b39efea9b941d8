/// The most names that are compared with an unknown name.
const MAX_COMPARED: usize = 10_000;

/// The help for a name that no record has, with the most similar name of a record.
pub(super) fn unknown<T: AsRef<str>>(kind: &str, name: impl AsRef<str>, known: impl IntoIterator<Item = T>) -> String {
    let name = name.as_ref();
    match similar(name, known) {
        Some(similar) => format!("no {kind} `{name}`: did you mean `{similar}`? If not, add a record for `{name}`"),
        None => format!("no {kind} `{name}`: add a record for it, or correct the name"),
    }
}

fn similar<T: AsRef<str>>(name: &str, known: impl IntoIterator<Item = T>) -> Option<String> {
    let name = name.to_lowercase();
    let length = name.chars().count();
    // Something of the name has to stay.
    let most = (1 + length / 5).min(length.checked_sub(1)?);
    let close = |known: &str| {
        let distance = distance(&name, &known.to_lowercase(), most)?;
        Some((distance, known.to_owned()))
    };
    let known = known.into_iter().take(MAX_COMPARED);
    known.filter_map(|known| close(known.as_ref())).min().map(|(_, known)| known)
}

/// The number of inserted, removed and replaced characters between two texts (Levenshtein), if at most `most`.
fn distance(one: &str, other: &str, most: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().collect();
    if one.chars().count().abs_diff(other.len()) > most {
        return None;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, one) in one.chars().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (index, other) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(one != *other);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_suggested() {
        let known = ["orders", "billing", "https://idp.example", "a"];
        for (name, expected) in [
            ("order", Some("orders")),
            ("Orders", Some("orders")),
            ("odrers", Some("orders")),
            ("bling", Some("billing")),
            ("https://idp.exmaple", Some("https://idp.example")),
            ("https://idp.example/", Some("https://idp.example")),
            ("b", None),
            ("ledger", None),
            ("reports", None),
            ("", None),
        ] {
            assert_eq!(similar(name, known).as_deref(), expected, "{name}");
        }
        assert_eq!(similar("orders", Vec::<String>::new()), None);
    }

    #[test]
    fn a_distance_counts_changed_characters() {
        for (one, other, expected) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("é", "e", 1), ("orders", "orders", 0)]
        {
            assert_eq!(distance(one, other, 3), Some(expected), "{one} {other}");
            assert_eq!(distance(other, one, 3), Some(expected), "{other} {one}");
        }
        assert_eq!(distance("kitten", "sitting", 2), None);
    }
}
