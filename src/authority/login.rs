use crate::{protocol::NumericDate, token::VerifiedToken};
use serde_json::Value;
use std::time::Duration;

/// The tolerance for an `auth_time` in the future: the clocks of two servers differ.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(60);

/// The claims about the login of the subject (RFC 9068 section 2.2.1). The issued token states them, and the policy
/// reads them.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// The claim `auth_time`, unchanged. Absent if the claim is no time, or is in the future.
    pub(crate) auth_time: Option<Value>,
    /// The claim `acr`. A foreign value is translated by the record of its issuer, or absent.
    pub(crate) acr: Option<String>,
    /// The claim `amr`, unchanged. Absent if the claim is no list of strings.
    pub(crate) amr: Option<Value>,
}

impl Login {
    /// Reads the claims of a subject token.
    pub(super) fn read(subject: &VerifiedToken, now: NumericDate) -> Self {
        let claim = |name| subject.claims.get(name);
        let latest = (now + CLOCK_DIFFERENCE).seconds() as f64;
        let is_past = |value: &&Value| value.as_f64().is_some_and(|time| (0.0..=latest).contains(&time));
        let is_list = |value: &&Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        Self {
            auth_time: claim("auth_time").filter(is_past).cloned(),
            acr: claim("acr").and_then(Value::as_str).and_then(|acr| match subject.own {
                true => Some(acr.to_owned()),
                false => subject.issuer.acr_named(acr).map(str::to_owned),
            }),
            amr: claim("amr").filter(is_list).cloned(),
        }
    }

    /// The time of the login, rounded down, so that no login counts as more recent than it is.
    pub(crate) fn authenticated_at(&self) -> Option<NumericDate> {
        let time = self.auth_time.as_ref()?;
        time.as_u64().or_else(|| Some(time.as_f64()? as u64)).map(NumericDate::from_seconds)
    }
}
