use super::IssuedTokens;
use crate::protocol::{any_parameter, any_string};

/// The number of candidates that are verified. A request with more of them counts as one with an issued token.
const MAX_CANDIDATES: usize = 16;

impl IssuedTokens<'_> {
    /// Whether a server could read an issued token for the parameter `token` of a form or a query.
    pub(crate) fn any_in_form(&self, form: &[u8]) -> bool {
        let mut candidates = 0;
        any_parameter(form, "token", |value| self.is_issued(value, &mut candidates))
    }

    /// Whether any string in a JSON text is an issued token. `None` if the text is not JSON.
    pub(crate) fn any_in_json(&self, json: &[u8]) -> Option<bool> {
        let mut candidates = 0;
        any_string(json, |text| self.is_issued(text, &mut candidates))
    }

    fn is_issued(&self, text: &str, candidates: &mut usize) -> bool {
        // A JWS has three segments (RFC 7515 section 7.1).
        if text.split('.').count() != 3 {
            return false;
        }
        *candidates += 1;
        *candidates > MAX_CANDIDATES || self.verify(text).is_some()
    }
}
