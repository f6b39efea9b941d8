//! Claims that name somebody only if the issuer has verified their value (OpenID Connect Core 1.0 section 5.1).

use crate::{
    jose::Claims,
    protocol::{Reason, Rejection, refuse},
    records::TokenRules,
};
use serde_json::Value;

/// The claims that users often enter themselves, so that a token needs a statement of the issuer about the value.
const NEEDS_STATEMENT: [&str; 2] = ["email", "phone_number"];

/// Checks that the issuer has verified the value of a claim that names the subject.
///
/// The statement about the claim `email` is `email_verified`. Some issuers write the text `true` instead of the boolean. A
/// statement that is present has to be true, whatever the claim and the record.
pub(super) fn check_is_verified(rules: Option<&TokenRules>, claims: &Claims, claim: &str) -> Result<(), Rejection> {
    let statement = format!("{claim}_verified");
    let is_always_verified = rules.is_some_and(|rules| rules.always_verified.iter().any(|known| known == claim));
    let is_verified = match claims.get(&statement) {
        Some(Value::Bool(is_verified)) => *is_verified,
        Some(Value::String(text)) => text == "true",
        Some(_) => false,
        None => is_always_verified || !NEEDS_STATEMENT.contains(&claim),
    };
    if is_verified {
        return Ok(());
    }
    let detail = format!("the claim `{statement}` does not say that `{claim}` is verified");
    Err(refuse(Reason::SubjectClaimUnverified).with_detail(detail))
}
