use crate::{records::IssuerRecord, token::VerifiedToken};
use serde_json::Value;

/// How the subject once logged in: what the issued token will say of it, and so what the policy is told
/// (RFC 9068 section 2.2.1). Each is as the subject token has it, or not there.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) auth_time: Option<Value>,
    /// What a foreign one means here only its issuer's record can say.
    pub(crate) acr: Option<String>,
    pub(crate) amr: Option<Value>,
}

impl Login {
    pub(super) fn read(subject: &VerifiedToken, now: u64) -> Self {
        let claim = |name| subject.claims.get(name);
        // Nobody logged in later than now; a minute is for clocks.
        let is_past = |value: &&Value| value.as_f64().is_some_and(|time| (0.0..=(now + 60) as f64).contains(&time));
        let is_list = |value: &&Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        Self {
            auth_time: claim("auth_time").filter(is_past).cloned(),
            acr: claim("acr").and_then(Value::as_str).and_then(|acr| match subject.own {
                true => Some(acr.to_owned()),
                false => mapped_acr(&subject.issuer, acr),
            }),
            amr: claim("amr").filter(is_list).cloned(),
        }
    }

    /// In whole seconds since 1970, rounded down, so that a login is never taken for younger than it is.
    pub(crate) fn auth_seconds(&self) -> Option<u64> {
        let time = self.auth_time.as_ref()?;
        time.as_u64().or_else(|| Some(time.as_f64()? as u64))
    }
}

fn mapped_acr(issuer: &IssuerRecord, acr: &str) -> Option<String> {
    issuer.acr_named(acr).map(str::to_owned)
}
