use crate::protocol::{self, Sensitive, form_decode};
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use zeroize::Zeroizing;

/// Returns the client id and the secret of decoded `Authorization: Basic` credentials in which nothing is encoded. Such
/// credentials have one reading. Returns `None` for all other credentials, and for an empty client id.
pub(crate) fn plain_reading(bytes: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.split_once(':').filter(|(id, _)| !id.is_empty() && !has_encoding(bytes))
}

/// Returns every pair of a client id and a secret that decoded `Authorization: Basic` credentials can mean, the standard
/// reading first. Returns `None` if there is no such pair.
///
/// RFC 6749 section 2.3.1 says that the client form-encodes the id and the secret, joins them with a colon, and encodes
/// the result in base64. Some deployed clients omit the form encoding or write Latin-1, which gives a second reading.
pub(crate) fn readings(bytes: &[u8]) -> Option<Vec<(String, Sensitive)>> {
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let (id, secret) = (&bytes[..colon], &bytes[colon + 1..]);
    // Most ids and secrets have nothing to decode, and have one reading.
    let is_plain = !has_encoding(bytes);
    let mut found: Vec<(String, Sensitive)> = Vec::with_capacity(2 - usize::from(is_plain));
    let decoded = if is_plain { None } else { form_decode(id).zip(form_decode(secret)) };
    let decoded = decoded.as_ref().map(|(id, secret)| (id.as_slice(), secret.as_slice()));
    for (id, secret) in decoded.into_iter().chain([(id, secret)]) {
        let reading = (text(id), Sensitive::new(text(secret)));
        if !reading.0.is_empty() && !found.contains(&reading) {
            found.push(reading);
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Whether a part of the credentials can be form-encoded.
fn has_encoding(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'%' | b'+'))
}

/// Decodes base64 in the standard or the URL alphabet, with or without padding.
pub(crate) fn decode_base64(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    let unpadded = token.trim_end_matches('=');
    if token.len() - unpadded.len() > 2 {
        return None;
    }
    // A text with characters of both alphabets is read too.
    if unpadded.bytes().any(|byte| matches!(byte, b'-' | b'_')) {
        let url = unpadded.bytes().map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => other,
        });
        return protocol::decode_base64(&BASE64URL_NOPAD, &Zeroizing::new(url.collect::<Vec<u8>>()));
    }
    protocol::decode_base64(&BASE64_NOPAD, unpadded.as_bytes())
}

/// Decodes UTF-8, or Latin-1 if the bytes are not UTF-8.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            // A character of Latin-1 has up to two bytes. A text that grows would leave a copy.
            let mut text = String::with_capacity(2 * bytes.len());
            text.extend(bytes.iter().map(|byte| char::from(*byte)));
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::{BASE64, BASE64URL};

    const ID: &str = "cl-1.a_b~x";
    const SECRET: &str = "s+e%c:r t/é&=\"x";

    fn reads(token: &str) -> bool {
        let expected = (ID.to_owned(), Sensitive::new(SECRET.to_owned()));
        read(token).is_some_and(|readings| readings.contains(&expected))
    }

    fn read(token: &str) -> Option<Vec<(String, Sensitive)>> {
        readings(&decode_base64(token)?)
    }

    #[test]
    fn every_encoding_of_real_clients_is_read() {
        let raw = format!("{ID}:{SECRET}");
        let latin1: Vec<u8> = raw.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let minimal = "cl-1.a_b~x:s%2Be%25c%3Ar+t%2F%C3%A9%26%3D%22x";
        let tilde = "cl-1.a_b%7Ex:s%2Be%25c%3Ar%20t%2F%C3%A9%26%3D%22x";
        let everything = "cl%2D1%2Ea%5Fb%7Ex:s%2Be%25c%3Ar+t%2F%C3%A9%26%3D%22x";
        let latin1_encoded = b"cl-1.a_b~x:s%2Be%25c%3Ar%20t%2F%E9%26%3D%22x";
        for bytes in
            [raw.as_bytes(), &latin1, minimal.as_bytes(), tilde.as_bytes(), everything.as_bytes(), latin1_encoded]
        {
            let padded = BASE64.encode(bytes);
            assert!(reads(&padded), "{padded}");
            assert!(reads(padded.trim_end_matches('=')));
            assert!(reads(&BASE64URL.encode(bytes)));
            assert!(reads(&BASE64URL_NOPAD.encode(bytes)));
        }
    }

    #[test]
    fn plain_credentials_have_one_reading() {
        for (pair, is_plain) in [
            (&b"orders:s3cret"[..], true),
            (b"orders:a:b", true),
            (b"orders:", true),
            ("\u{e9}:\u{e9}".as_bytes(), true),
            (b"orders:\xe9", false),
            (b"or%64ers:s3cret", false),
            (b"orders:a+b", false),
            (b"orders:100%", false),
            (b":s3cret", false),
            (b"orders", false),
        ] {
            let plain = plain_reading(pair).map(|(id, secret)| (id.to_owned(), Sensitive::new(secret.to_owned())));
            assert_eq!(plain.is_some(), is_plain, "{pair:?}");
            if let Some(plain) = plain {
                assert_eq!(readings(pair), Some(vec![plain]), "{pair:?}");
            }
        }
    }

    #[test]
    fn malformed_credentials_have_no_reading() {
        for bad in ["", "%%%", "=", "====", "bm9jb2xvbg==", "OnNlY3JldA==", "e W8="] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
