//! The credentials of a client, in the encoding in which the server gets them.
//!
//! Servers decode `Authorization: Basic` in two ways: some form-decode the id and the secret (RFC 6749 section 2.3.1), and
//! some take both as they are (RFC 7617). A text without the characters that form encoding changes reads the same in both
//! ways. An id is sent only if it is such a text, because the answer of the server would otherwise not say which client the
//! server means. A secret is tried in two encodings at most.

use crate::{
    client_auth::{AuthenticationMethod, Credentials},
    protocol::{ClientId, Sensitive, basic_header, form_decode},
    random,
};
use http::{HeaderValue, header::InvalidHeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tower::BoxError;
use zeroize::Zeroizing;

/// The largest number of encodings in which the credentials of one request are tried.
const MAX_ATTEMPTS: usize = 2;
/// Every character that is not unreserved (RFC 3986 section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The words that a server can take for a missing value.
const MISSING: [&str; 6] = ["0", "null", "nil", "none", "undefined", "false"];
/// The groups of letters and digits, from the first to the last of each group. The digits of escapes have groups of their own.
const GROUPS: [(u8, u8); 5] = [(b'0', b'9'), (b'a', b'f'), (b'g', b'z'), (b'A', b'F'), (b'G', b'Z')];

/// A client id and a secret that are tried at the server. Not `Debug`, because the secret must not be shown.
pub(super) struct Attempt {
    client_id: ClientId,
    sent: Sent,
}

/// What the server gets.
enum Sent {
    Basic { id: Vec<u8>, secret: Zeroizing<Vec<u8>> },
    Post { secret: Sensitive },
    Nothing,
}

impl Attempt {
    /// The attempts for the credentials of a request, at most two. `send_as` replaces the method of the client.
    ///
    /// There are none if the server could read another client id, and none if a secret is empty or could be read as empty:
    /// a server could take an empty secret for the missing secret of a public client.
    pub(super) fn all(credentials: &Credentials, send_as: Option<AuthenticationMethod>) -> Vec<Self> {
        if credentials.readings().any(|(client_id, secret)| !is_printable(client_id) || !is_secret(secret)) {
            return Vec::new();
        }
        let mut found: Vec<Self> = match send_as.unwrap_or(credentials.method()) {
            AuthenticationMethod::ClientSecretPost => credentials.readings().map(|(id, text)| post(id, text)).collect(),
            AuthenticationMethod::ClientSecretBasic => match credentials.basic() {
                Some(pair) => of_pair(pair),
                None => credentials.readings().flat_map(|(id, text)| of_text(id.as_bytes(), text.as_bytes())).collect(),
            },
            _ => Vec::new(),
        };
        let is_new: Vec<bool> = (0..found.len())
            .map(|at| found[..at].iter().all(|earlier| earlier.identity() != found[at].identity()))
            .collect();
        let mut is_new = is_new.into_iter();
        found.retain(|_| is_new.next().unwrap_or(false));
        found.truncate(MAX_ATTEMPTS);
        found
    }

    /// A client that does not exist.
    pub(super) fn made_up(method: AuthenticationMethod) -> Result<Self, BoxError> {
        let (id, secret) = (random_text()?, random_text()?);
        Ok(match method {
            AuthenticationMethod::ClientSecretPost => post(&id, &secret),
            _ => basic(id.as_bytes(), secret.into_bytes().into()),
        })
    }

    /// A request without any credentials.
    pub(super) fn nobody() -> Self {
        Self { client_id: "".into(), sent: Sent::Nothing }
    }

    /// The same client with a wrong secret, in the same encoding: the secret with random letters and digits in the places of
    /// its own.
    ///
    /// The wrong secret has the length and every special character of the secret. A server that cannot read one of them, and
    /// answers as if there were no credentials or as if they were wrong, then gives the same answer to both.
    pub(super) fn with_wrong_secret(&self) -> Result<Self, BoxError> {
        let sent = match &self.sent {
            Sent::Basic { id, secret } => Sent::Basic { id: id.clone(), secret: wrong_secret(secret)?.into() },
            Sent::Post { secret } => {
                let wrong = String::from_utf8(wrong_secret(secret.expose().as_bytes())?)?;
                Sent::Post { secret: Sensitive::new(wrong) }
            }
            Sent::Nothing => Sent::Nothing,
        };
        Ok(Self { client_id: self.client_id.clone(), sent })
    }

    pub(super) fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The method by which the server gets the credentials.
    pub(super) fn method(&self) -> AuthenticationMethod {
        match &self.sent {
            Sent::Basic { .. } => AuthenticationMethod::ClientSecretBasic,
            Sent::Post { .. } | Sent::Nothing => AuthenticationMethod::ClientSecretPost,
        }
    }

    /// The parts in which two different attempts differ.
    pub(super) fn identity(&self) -> [&[u8]; 3] {
        let method = self.method().as_str().as_bytes();
        match &self.sent {
            Sent::Basic { id, secret } => [method, id, secret],
            Sent::Post { secret } => [method, self.client_id.as_str().as_bytes(), secret.expose().as_bytes()],
            Sent::Nothing => [b"", b"", b""],
        }
    }

    /// The `Authorization` header, if the credentials are in the header.
    pub(super) fn header(&self) -> Option<Result<HeaderValue, InvalidHeaderValue>> {
        let Sent::Basic { id, secret } = &self.sent else { return None };
        Some(basic_header(&[id, b":", secret]))
    }

    /// The `client_id` and the `client_secret` in the form, if the credentials are in the form.
    pub(super) fn in_form(&self) -> Option<(&str, &str)> {
        let Sent::Post { secret } = &self.sent else { return None };
        Some((self.client_id.as_str(), secret.expose()))
    }
}

fn post(id: &str, secret: &str) -> Attempt {
    Attempt { client_id: id.into(), sent: Sent::Post { secret: Sensitive::new(secret.to_owned()) } }
}

/// An attempt with an id that every server reads alike.
fn basic(id: &[u8], secret: Zeroizing<Vec<u8>>) -> Attempt {
    Attempt { client_id: String::from_utf8_lossy(id).as_ref().into(), sent: Sent::Basic { id: id.to_vec(), secret } }
}

/// The attempts for decoded `Authorization: Basic` credentials.
fn of_pair(pair: &[u8]) -> Vec<Attempt> {
    let Some(colon) = pair.iter().position(|byte| *byte == b':') else { return Vec::new() };
    let (id, secret) = (&pair[..colon], &pair[colon + 1..]);
    let decoded = form_decode(id).zip(form_decode(secret)).filter(|(id, _)| reads_alike(id));
    let encoded = decoded.as_ref().map(|(id, secret)| basic(id, encoded(secret)));
    let unchanged = reads_alike(id).then(|| basic(id, secret.to_vec().into()));
    let plain = decoded.as_ref().map(|(id, secret)| basic(id, secret.to_vec().into()));
    [encoded, unchanged, plain].into_iter().flatten().collect()
}

/// The attempts for an id and a secret that are known exactly.
fn of_text(id: &[u8], secret: &[u8]) -> Vec<Attempt> {
    if !reads_alike(id) {
        return Vec::new();
    }
    vec![basic(id, encoded(secret)), basic(id, secret.to_vec().into())]
}

/// Form-encodes a secret, unless every server reads the secret alike.
fn encoded(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    // An escape has three characters. A buffer that grows would leave a copy.
    let mut encoded = Zeroizing::new(Vec::with_capacity(3 * secret.len()));
    match reads_alike(secret) {
        true => encoded.extend_from_slice(secret),
        false => percent_encode(secret, RESERVED).for_each(|part| encoded.extend_from_slice(part.as_bytes())),
    }
    encoded
}

/// Whether a text is the same before and after form decoding, for every decoder.
fn reads_alike(text: &[u8]) -> bool {
    let is_alike = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'+' | b':' | b'&' | b'=');
    !text.is_empty() && text.iter().all(is_alike)
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Whether no server can read the text as an empty secret. Servers remove spaces and characters outside of ASCII, stop at a
/// NUL, drop broken escapes, or take a word such as `0` or `null` for a missing value.
fn is_secret(text: &str) -> bool {
    let word = text.trim_matches(|c: char| !c.is_alphanumeric());
    is_printable(text)
        && !has_control_escape(text.as_bytes())
        && !MISSING.iter().any(|missing| word.eq_ignore_ascii_case(missing))
        && replaceable(text.as_bytes()).next().is_some()
}

/// Whether a server that decodes the escapes it can read gets a control character.
fn has_control_escape(text: &[u8]) -> bool {
    let value = |escape: &[u8]| u8::from_str_radix(std::str::from_utf8(escape.strip_prefix(b"%")?).ok()?, 16).ok();
    text.windows(3).filter_map(value).any(|byte| byte.is_ascii_control())
}

/// The places of the letters and digits of ASCII that are no part of a percent escape, whole or broken.
fn replaceable(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut of_escape = 0;
    let is_replaceable = move |(_, byte): &(usize, &u8)| match (of_escape, byte) {
        (0, b'%') => {
            of_escape = 2;
            false
        }
        (0, byte) => byte.is_ascii_alphanumeric(),
        _ => {
            of_escape -= 1;
            false
        }
    };
    text.iter().enumerate().filter(is_replaceable).map(|(place, _)| place)
}

/// Replaces each letter and digit by a random other one of the same group.
fn wrong_secret(secret: &[u8]) -> Result<Vec<u8>, BoxError> {
    let mut random = vec![0; secret.len()];
    random::fill(&mut random).ok_or("the system has no randomness")?;
    let mut wrong = secret.to_vec();
    for place in replaceable(secret) {
        let byte = secret[place];
        let Some((first, last)) = GROUPS.into_iter().find(|(first, last)| (*first..=*last).contains(&byte)) else {
            continue;
        };
        let number = last - first + 1;
        let step = 1 + random[place] % (number - 1);
        wrong[place] = first + (byte - first + step) % number;
    }
    Ok(wrong)
}

/// Returns a text that nobody can guess.
pub(super) fn random_text() -> Result<String, BoxError> {
    Ok(random::text::<24>().ok_or("the system has no randomness")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client_auth::ClaimedClient,
        protocol::{Identification, Sender, basic_header},
    };
    use http::{HeaderMap, header::AUTHORIZATION};

    fn credentials(pair: &[u8]) -> Credentials {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, basic_header(&[pair]).unwrap())]);
        let identification = Identification::read(Sender::without_extensions(&headers), b"").unwrap();
        ClaimedClient::read(identification).credentials.unwrap()
    }

    /// What the server gets, as text.
    fn sent(pair: &[u8], send_as: Option<AuthenticationMethod>) -> Vec<(String, String)> {
        let shown = |attempt: Attempt| {
            let [_, id, secret] = attempt.identity().map(|part| String::from_utf8_lossy(part).into_owned());
            assert_eq!(attempt.client_id().as_str(), id);
            (id, secret)
        };
        Attempt::all(&credentials(pair), send_as).into_iter().map(shown).collect()
    }

    #[test]
    fn an_id_is_sent_as_every_server_reads_it() {
        for (pair, expected) in [
            ("my-client:secret", &[("my-client", "secret")][..]),
            // A strict encoder.
            ("my%2Dclient:secret", &[("my-client", "secret")]),
            ("my%2Dclient:se%2Dcret", &[("my-client", "se-cret")]),
            ("my%2Dclient:se%2Fcret", &[("my-client", "se/cret")]),
            ("orders/1:secret", &[("orders/1", "secret")]),
            // An encoder that encodes the secret, an encoder that does not, and an encoder that may be either.
            ("orders:a%2Bb", &[("orders", "a%2Bb"), ("orders", "a+b")]),
            ("orders:a/b", &[("orders", "a/b")]),
            ("orders:a+b", &[("orders", "a%20b"), ("orders", "a+b")]),
            ("orders:100%", &[("orders", "100%")]),
            ("orders:a%2Fb", &[("orders", "a/b"), ("orders", "a%2Fb")]),
            ("orders:a:b", &[("orders", "a%3Ab"), ("orders", "a:b")]),
            ("orders:sécret", &[("orders", "s%C3%A9cret"), ("orders", "sécret")]),
            // A server could read another id.
            ("a+b:secret", &[]),
            ("a%20b:secret", &[]),
            ("https%3A%2F%2Fapp.example:secret", &[]),
            ("a%2525b:secret", &[]),
            ("é:secret", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(id, secret)| (id.to_string(), secret.to_string())).collect();
            assert_eq!(sent(pair.as_bytes(), None), expected, "{pair}");
        }
    }

    #[test]
    fn a_form_holds_any_id() {
        let post = Some(AuthenticationMethod::ClientSecretPost);
        for (pair, expected) in [
            ("orders:a+b", &[("orders", "a b"), ("orders", "a+b")][..]),
            ("https%3A%2F%2Fapp.example:s1", &[("https://app.example", "s1"), ("https%3A%2F%2Fapp.example", "s1")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(id, secret)| (id.to_string(), secret.to_string())).collect();
            assert_eq!(sent(pair.as_bytes(), post), expected, "{pair}");
        }
        let basic = Some(AuthenticationMethod::ClientSecretBasic);
        for (id, secret, expected) in [("orders", "a+b", 2), ("orders", "ab", 1), ("a b", "ab", 0)] {
            let credentials = Credentials::new(AuthenticationMethod::ClientSecretPost, id, secret);
            assert_eq!(Attempt::all(&credentials, basic).len(), expected, "{id} {secret}");
        }
    }

    #[test]
    fn no_server_gets_an_empty_secret() {
        for secret in [
            "",
            " ",
            "%20",
            "+",
            "%2B",
            "%00",
            "%00x",
            "%",
            "%%",
            "%zz\n",
            "%C2%A0",
            "\u{0}x",
            "?",
            "--",
            "%zz",
            "%zz%2",
            "é",
            "%C3%A9",
            "%00x%zz",
            "%%00x",
            "0",
            "0+",
            "%30",
            "null",
            "Undefined",
            "false",
        ] {
            for send_as in [None, Some(AuthenticationMethod::ClientSecretPost)] {
                assert_eq!(sent(format!("orders:{secret}").as_bytes(), send_as), [], "{secret:?}");
            }
        }
        assert_eq!(sent(b"ord%00ers:secret", None), []);
        for secret in ["x%zz", "00", "0x", "nullify", "1"] {
            assert_eq!(sent(format!("orders:{secret}").as_bytes(), None).len(), 1, "{secret}");
        }
    }

    #[test]
    fn a_wrong_secret_has_the_same_form() {
        for pair in ["orders:a%2Bb", "orders:100%", "my%2Dclient:secret", "orders:s\u{e9}", "orders:x%2541", "orders:1"]
        {
            for attempt in Attempt::all(&credentials(pair.as_bytes()), None) {
                let wrong = attempt.with_wrong_secret().unwrap();
                let ([method, id, secret], [wrong_method, wrong_id, wrong_secret]) =
                    (attempt.identity(), wrong.identity());
                assert_eq!((method, id), (wrong_method, wrong_id));
                assert_eq!(wrong_secret.len(), secret.len());
                let replaceable: Vec<usize> = replaceable(secret).collect();
                for (place, (wrong, right)) in wrong_secret.iter().zip(secret).enumerate() {
                    assert_eq!(wrong != right, replaceable.contains(&place), "{pair}");
                    assert_eq!(wrong.is_ascii_digit(), right.is_ascii_digit(), "{pair}");
                }
            }
        }
        let long = Attempt::all(&credentials(b"orders:zq9sXecretA"), None);
        let wrong = || long[0].with_wrong_secret().unwrap().identity()[2].to_vec();
        assert_ne!(wrong(), wrong());
    }
}
