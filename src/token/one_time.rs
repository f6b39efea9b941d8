//! Subject tokens that may be exchanged once.

use super::{VerifiedToken, Verifier};
use crate::{
    jose::signed_part,
    protocol::{DeclaredToken, Reason, Rejection, refuse, sha256_of_secret},
    records::ClientRecord,
    replay::{UseKey, UseKind},
};
use data_encoding::BASE64URL_NOPAD;
use std::time::Duration;

/// The longest time that a replay store has to remember the use of a subject token.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Verifier {
    /// The name under which a subject token is used up, if the record of its issuer or the record of the client says that the
    /// token may be exchanged once.
    pub(crate) fn one_time_key(
        &self,
        subject: &VerifiedToken,
        declared: &DeclaredToken,
        client: &ClientRecord,
    ) -> Result<Option<UseKey>, Rejection> {
        if !subject.issuer.one_time_subject_tokens && !client.one_time_subject_tokens {
            return Ok(None);
        }
        let left = subject.expires_at.saturating_since(self.settings.now());
        if left > MAX_LIFETIME {
            let detail =
                format!("the token expires in {} s, and the limit is {} s", left.as_secs(), MAX_LIFETIME.as_secs());
            return Err(refuse(Reason::OneTimeTokenTooLong).with_detail(detail));
        }
        let id = match subject.claims.text("jti").ok().flatten() {
            Some(jti) => format!("jti:{jti}"),
            None if self.plugs.contains_key(&declared.token_type) => {
                let detail = "the token verifier returned no `jti`";
                return Err(refuse(Reason::OneTimeTokenUnidentified).with_detail(detail));
            }
            None => text_id(declared.token.expose()).ok_or_else(|| {
                let detail = "no `jti`, and characters that no token has (RFC 6750 section 2.1)";
                refuse(Reason::OneTimeTokenUnidentified).with_detail(detail)
            })?,
        };
        Ok(Some(UseKey::new(UseKind::SubjectToken, &subject.issuer.id, id)))
    }
}

/// The identity of a token without `jti`. `None` for a text that a lenient server could read like another text.
///
/// The signature never counts: one content can have several ECDSA signatures, and some servers accept several spellings of one
/// signature. Padding does not count for the same reason.
fn text_id(token: &str) -> Option<String> {
    let unpadded = token.trim_end_matches('=');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if !unpadded.bytes().all(is_plain) {
        return None;
    }
    let (form, content) = match signed_part(unpadded) {
        Some(signed) => ("signed", signed),
        None => ("opaque", unpadded),
    };
    Some(format!("{form}:{}", BASE64URL_NOPAD.encode(&sha256_of_secret(content))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_token_has_one_identity() {
        // The header is `{"alg":"ES256"}`.
        let jwt = "eyJhbGciOiJFUzI1NiJ9.e30.";
        let same: [(String, &[&str]); 2] = [
            (format!("{jwt}AAAA"), &["AAAB", "AAA", "AA", "AB", "AA==", "", "_+_/"]),
            ("opaque-token".to_owned(), &[]),
        ];
        for (token, signatures) in same {
            let id = text_id(&token);
            assert!(id.is_some() && id == text_id(&format!("{token}==")), "{token}");
            for other in signatures {
                assert_eq!(text_id(&format!("{jwt}{other}")), id, "{other}");
            }
        }
    }

    #[test]
    fn different_tokens_have_different_identities() {
        let tokens = [
            "a",
            "A",
            "a.b.c",
            "a.b.d",
            "eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
            "eyJhbGciOiJFUzI1NiJ9.e31.AAAA",
            "v1.e30.AAAA",
        ];
        let ids: std::collections::HashSet<_> = tokens.iter().map(|token| text_id(token).unwrap()).collect();
        assert_eq!(ids.len(), tokens.len());
    }

    #[test]
    fn a_text_with_other_characters_has_no_identity() {
        for text in ["a b", " a", "a\t", "a%20", "a=b", "ä", "a,b", "\"a\""] {
            assert_eq!(text_id(text), None, "{text}");
        }
    }
}
