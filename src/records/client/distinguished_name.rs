use std::collections::BTreeSet;

/// The attribute types that a name may have in short form, with their object identifiers: those of RFC 4514 section 3, and those
/// that OpenSSL writes.
const TYPES: [(&str, &str); 14] = [
    ("CN", "2.5.4.3"),
    ("SN", "2.5.4.4"),
    ("SERIALNUMBER", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("TITLE", "2.5.4.12"),
    ("GN", "2.5.4.42"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("EMAILADDRESS", "1.2.840.113549.1.9.1"),
];

/// One part of a name: object identifiers with values. Most parts have one pair.
type Part = BTreeSet<(String, String)>;

/// A distinguished name (X.501). Names are compared value by value, with their case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DistinguishedName(
    /// In the order of a certificate, which begins with the most general part.
    Vec<Part>,
);

impl DistinguishedName {
    /// The name with these parts, in the order of a certificate. Each part has object identifiers with values.
    pub(crate) fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// Reads a name in the text form of RFC 4514, which begins with the most specific part. A value of the form `#…` is not
    /// supported.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.chars().peekable();
        let (mut parts, mut part) = (Vec::new(), Part::new());
        loop {
            let kind: String = std::iter::from_fn(|| rest.next_if(|c| !"=,+".contains(*c))).collect();
            rest.next_if_eq(&'=')?;
            let (value, end) = value(&mut rest)?;
            part.insert((object_identifier(kind.trim())?, value));
            match end {
                Some('+') => {}
                end => {
                    parts.push(std::mem::take(&mut part));
                    if end.is_none() {
                        break;
                    }
                }
            }
        }
        parts.reverse();
        Some(Self(parts))
    }
}

fn object_identifier(kind: &str) -> Option<String> {
    let kind = kind.to_ascii_uppercase();
    if let Some((_, known)) = TYPES.iter().find(|(short, _)| *short == kind) {
        return Some((*known).to_owned());
    }
    let is_number = |arc: &str| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
    (kind.contains('.') && kind.split('.').all(is_number)).then_some(kind)
}

/// Reads a value up to the separator, which is returned too. A backslash stands before a special character, or before the two
/// hexadecimal digits of one byte.
fn value(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<(String, Option<char>)> {
    while rest.next_if_eq(&' ').is_some() {}
    if rest.peek() == Some(&'#') {
        return None;
    }
    let (mut bytes, mut length) = (Vec::new(), 0);
    let end = loop {
        match rest.next() {
            end @ (None | Some(',' | '+')) => break end,
            Some('\\') => {
                let escaped = rest.next()?;
                match escaped.to_digit(16) {
                    Some(high) => bytes.push(u8::try_from(high * 16 + rest.next()?.to_digit(16)?).ok()?),
                    None => bytes.extend(escaped.encode_utf8(&mut [0; 4]).bytes()),
                }
                length = bytes.len();
            }
            Some('"' | ';' | '<' | '>' | '\0') => return None,
            Some(c) => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                // Spaces before a separator do not belong to the value.
                length = if c == ' ' { length } else { bytes.len() };
            }
        }
    };
    bytes.truncate(length);
    let value = String::from_utf8(bytes).ok()?;
    (!value.is_empty()).then_some((value, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parts: &[&[(&str, &str)]]) -> Option<DistinguishedName> {
        let pair = |(kind, value): &(&str, &str)| ((*kind).to_owned(), (*value).to_owned());
        Some(DistinguishedName::new(parts.iter().map(|part| part.iter().map(pair).collect())))
    }

    #[test]
    fn a_name_is_read_as_rfc_4514_writes_it() {
        let orders = [("2.5.4.3", "orders")];
        for (text, expected) in [
            ("CN=orders", name(&[&orders])),
            ("cn=orders", name(&[&orders])),
            ("2.5.4.3=orders", name(&[&orders])),
            ("CN=orders,O=Example", name(&[&[("2.5.4.10", "Example")], &orders])),
            ("CN=orders, O=Example ", name(&[&[("2.5.4.10", "Example")], &orders])),
            ("O=Example\\, Inc.", name(&[&[("2.5.4.10", "Example, Inc.")]])),
            ("O=\\20Example\\ ", name(&[&[("2.5.4.10", " Example ")]])),
            ("O=Ex\\C3\\A4mple", name(&[&[("2.5.4.10", "Exämple")]])),
            ("O=Exämple", name(&[&[("2.5.4.10", "Exämple")]])),
            ("OU=a+CN=b", name(&[&[("2.5.4.3", "b"), ("2.5.4.11", "a")]])),
            ("CN=b+OU=a", name(&[&[("2.5.4.3", "b"), ("2.5.4.11", "a")]])),
            ("O=a=b", name(&[&[("2.5.4.10", "a=b")]])),
            ("", None),
            ("orders", None),
            ("CN=", None),
            ("CN=orders,", None),
            ("XX=orders", None),
            ("CN=#0c01", None),
            ("CN=\"orders\"", None),
            ("CN=orders\\", None),
            ("CN=a\\zz", name(&[&[("2.5.4.3", "azz")]])),
            ("/CN=orders", None),
        ] {
            assert_eq!(DistinguishedName::parse(text), expected, "{text}");
        }
        assert_ne!(DistinguishedName::parse("CN=a,O=b"), DistinguishedName::parse("O=b,CN=a"), "the order counts");
        assert_ne!(DistinguishedName::parse("CN=a"), DistinguishedName::parse("CN=A"), "the case counts");
    }
}
