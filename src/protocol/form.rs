use super::{Reason, Rejection, Sensitive, refuse, wiped_on_drop};
use data_encoding::BASE64;
use http::{HeaderValue, header::InvalidHeaderValue};
use memchr::{memchr, memchr_iter, memchr2};
use percent_encoding::percent_decode_str;
use std::{borrow::Cow, mem};
use zeroize::Zeroizing;

/// The largest number of parameters in a form. No real client sends as many.
const MAX_PARAMETERS: usize = 64;

/// A form that was read strictly (RFC 6749 section 3.2 and appendix B).
///
/// A parameter other than `resource` and `audience` may not be repeated, and nothing in the form may be malformed.
#[derive(Default)]
pub(crate) struct Form {
    /// The values of [`SINGLE`]. Each of these parameters can have a token or a secret, if only by a mistake of the client.
    single: [Option<Sensitive>; SINGLE.len()],
    pub(crate) resources: Vec<String>,
    pub(crate) audiences: Vec<String>,
}

const SINGLE: [&str; 11] = [
    "actor_token",
    "actor_token_type",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "grant_type",
    "requested_token_type",
    "scope",
    "subject_token",
    "subject_token_type",
];

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let mut form = Self::default();
        let (mut seen, mut seen_others) = ([false; SINGLE.len()], Vec::new());
        for (count, pair) in form_pairs(body).filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = match memchr(b'=', pair) {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            let (name, value) = (Decoded::read(name)?, Decoded::read(value)?);
            if count == MAX_PARAMETERS {
                return Err(refuse(Reason::TooManyParameters));
            }
            // Empty and unknown parameters may not be repeated either: RFC 6749 section 3.2 forbids every repeat, and
            // another parser may read a parameter that this parser ignores.
            match (name.expose(), position(name.expose())) {
                ("resource", _) => form.resources.extend(value.non_empty()?.map(|value| value.expose().to_owned())),
                ("audience", _) => form.audiences.extend(value.non_empty()?.map(|value| value.expose().to_owned())),
                (_, Some(at)) => {
                    if mem::replace(&mut seen[at], true) {
                        return Err(refuse(Reason::RepeatedParameter));
                    }
                    form.single[at] = value.non_empty()?.map(Decoded::into_sensitive);
                }
                _ if seen_others.contains(&name) => return Err(refuse(Reason::RepeatedParameter)),
                _ => seen_others.push(name),
            }
        }
        Ok(form)
    }

    /// Removes and returns a parameter. An empty parameter counts as absent (RFC 6749 section 3.2).
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        self.take_sensitive(name).map(Sensitive::into_string)
    }

    /// Removes and returns a parameter that is a token or a secret.
    pub(crate) fn take_sensitive(&mut self, name: &'static str) -> Option<Sensitive> {
        self.single[position(name)?].take()
    }
}

/// Returns the parameters of a form: names with values, which are still encoded.
pub(crate) fn form_pairs(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b'&', form).chain([form.len()]).map(move |end| &form[mem::replace(&mut start, end + 1)..end])
}

fn position(name: &str) -> Option<usize> {
    SINGLE.iter().position(|known| *known == name)
}

/// A name or a value of a form. A text without escapes is not copied.
enum Decoded<'a> {
    Plain(&'a str),
    Escaped(Sensitive),
}

impl<'a> Decoded<'a> {
    /// Form-decodes a text. A broken escape, text that is not UTF-8 and a NUL are errors.
    fn read(text: &'a [u8]) -> Result<Self, Rejection> {
        let decoded = if memchr2(b'+', b'%', text).is_none() {
            std::str::from_utf8(text).ok().map(Self::Plain)
        } else {
            form_decode(text).and_then(Sensitive::from_utf8).map(Self::Escaped)
        };
        decoded
            .filter(|text| memchr(0, text.expose().as_bytes()).is_none())
            .ok_or_else(|| refuse(Reason::MalformedForm))
    }

    fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(text) => text.expose(),
        }
    }

    /// The value of a known parameter. An empty value counts as absent, and control characters are an error.
    fn non_empty(self) -> Result<Option<Self>, Rejection> {
        let text = self.expose();
        // All control characters of ASCII are looked for at once, because a token is long.
        let is_control = |found, byte: &u8| found | byte.is_ascii_control();
        if text.as_bytes().iter().fold(false, is_control) || (!text.is_ascii() && text.chars().any(char::is_control)) {
            return Err(refuse(Reason::MalformedForm));
        }
        Ok((!text.is_empty()).then_some(self))
    }

    fn into_sensitive(self) -> Sensitive {
        match self {
            Self::Plain(text) => Sensitive::new(text.to_owned()),
            Self::Escaped(text) => text,
        }
    }
}

impl PartialEq for Decoded<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// Decodes `application/x-www-form-urlencoded`. Returns `None` if an escape is broken.
pub(crate) fn form_decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    // The buffer never grows, because a buffer that grows leaves a copy.
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next()?, rest.next()?);
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?
            }
            plain => *plain,
        });
    }
    Some(decoded)
}

/// Returns every value of this name in a form that was not checked.
pub(crate) fn form_values<'a>(form: &'a [u8], name: &'a str) -> impl Iterator<Item = Sensitive> + 'a {
    form_urlencoded::parse(form).filter_map(move |(found, value)| {
        let value = Sensitive::new(value.into_owned());
        (found == name).then_some(value)
    })
}

/// Decodes percent escapes as a lenient server does: a broken escape stays as it is.
pub(crate) fn lenient_percent_decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Returns the `Authorization` header for this client, with the id and the secret form-encoded (RFC 6749 section 2.3.1).
pub(crate) fn basic_authorization(client_id: &str, secret: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let (id, secret) = (form_encode(client_id), Zeroizing::new(form_encode(secret)));
    basic_header(&[id.as_bytes(), b":", secret.as_bytes()])
}

/// Form-encodes a text (RFC 6749 appendix B).
pub(crate) fn form_encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Returns the `Authorization` header for the parts of an id and a secret that are joined by a colon.
pub(crate) fn basic_header(pair: &[&[u8]]) -> Result<HeaderValue, InvalidHeaderValue> {
    let pair = Zeroizing::new(pair.concat());
    let mut header = b"Basic ".to_vec();
    header.resize(header.len() + BASE64.encode_len(pair.len()), 0);
    BASE64.encode_mut(&pair, &mut header[b"Basic ".len()..]);
    let mut header = HeaderValue::from_maybe_shared(wiped_on_drop(header))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Form, Reason> {
        Form::parse(body.as_bytes()).map_err(|rejection| rejection.reason())
    }

    #[test]
    fn the_encoding_example_of_rfc_6749_appendix_b() {
        let mut form = parse("client_secret=+%25%26%2B%C2%A3%E2%82%AC").unwrap();
        assert_eq!(form.take("client_secret").as_deref(), Some(" %&+£€"));
    }

    #[test]
    fn a_form_is_read_strictly() {
        let many: String = (0..65).map(|n| format!("x{n}=1&")).collect();
        let cases: &[(&str, Option<Reason>)] = &[
            ("", None),
            ("&&a=b&", None),
            ("a", None),
            ("resource=a&resource=b&audience=c&audience=d", None),
            ("unknown=1&unknown=2", Some(Reason::RepeatedParameter)),
            ("options=%7B%0A%7D", None),
            ("scope=a&scope=b", Some(Reason::RepeatedParameter)),
            ("scope=&scope=b", Some(Reason::RepeatedParameter)),
            ("scope=a&sc%6Fpe=b", Some(Reason::RepeatedParameter)),
            ("grant_type=a&grant_type=a", Some(Reason::RepeatedParameter)),
            ("a=%", Some(Reason::MalformedForm)),
            ("a=%4", Some(Reason::MalformedForm)),
            ("a=%zz", Some(Reason::MalformedForm)),
            ("%=a", Some(Reason::MalformedForm)),
            ("a=%ff", Some(Reason::MalformedForm)),
            ("a=%00", Some(Reason::MalformedForm)),
            ("scope=a%0Ab", Some(Reason::MalformedForm)),
            ("resource=%1f", Some(Reason::MalformedForm)),
            (&many, Some(Reason::TooManyParameters)),
        ];
        for (body, refused) in cases {
            assert_eq!(parse(body).err(), *refused, "{body}");
        }
    }

    #[test]
    fn the_lenient_decoder_keeps_broken_escapes() {
        for (text, read) in [
            ("/token", "/token"),
            ("/%74oke%6E", "/token"),
            ("/%2574oken", "/%74oken"),
            ("/a+b", "/a+b"),
            ("%zz%4", "%zz%4"),
            ("%e2%82%ac%ff", "€\u{fffd}"),
        ] {
            assert_eq!(lenient_percent_decode(text), read, "{text}");
        }
    }

    #[test]
    fn an_empty_parameter_is_absent() {
        let mut form = parse("scope=&audience=&resource=").unwrap();
        assert_eq!(form.take("scope"), None);
        assert!(form.audiences.is_empty() && form.resources.is_empty());
    }
}
