use super::Rule;
use crate::policy::{Denial, Query};
use std::time::Duration;

/// How a subject must have logged in for a rule to allow it (RFC 9470).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Login {
    /// Any of these, in the order of the rule, which is told to the client.
    pub(super) acr_values: Option<Vec<String>>,
    pub(super) max_age: Option<Duration>,
}

impl Rule {
    /// Allows it to subjects whose login was one of these (`acr`), the best first. Where that alone is amiss, and no
    /// other rule allows it, the client is told (RFC 9470): 400, `insufficient_user_authentication`, with `acr_values`,
    /// and `max_age` if the rule has one. Values of a foreign issuer count as its record translates them
    /// ([`Issuer::map_acr`](crate::Issuer::map_acr)), and not at all without.
    ///
    /// ```
    /// use tower_token_exchange::{policy::{Decision, Query, Rule, Subjects, Table}, records::Party};
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "payments").scopes(["pay"]).require_acr(["phrh", "phr"]);
    /// let table = Table::new([rule])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "payments");
    /// query.subject.acr = Some("pwd".to_owned());
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)));
    /// query.subject.acr = Some("phr".to_owned());
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    #[must_use]
    pub fn require_acr<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.login.get_or_insert_default().acr_values = Some(values.into_iter().map(Into::into).collect());
        self
    }

    /// Allows it to subjects who logged in no longer ago than this (`auth_time`), in whole seconds, by the layer's
    /// clock; who does not say when has not. Where that alone is amiss, the client is told as with
    /// [`require_acr`](Self::require_acr).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_token_exchange::{
    ///     policy::{Decision, Query, Rule, Subjects, Table},
    ///     records::Party,
    ///     token::NumericDate,
    /// };
    ///
    /// let rule = Rule::allow("orders", Subjects::any(), "payments").scopes(["pay"]);
    /// let table = Table::new([rule.max_auth_age(Duration::from_secs(300))])?;
    ///
    /// let mut query = Query::new("orders", Party::new("https://as.example", "alice"), "payments");
    /// query.now = NumericDate::from_seconds(1_000);
    /// query.subject.auth_time = Some(NumericDate::from_seconds(699));
    /// assert!(matches!(table.decide(&query), Decision::Deny(_)));
    /// query.subject.auth_time = Some(NumericDate::from_seconds(700));
    /// assert!(matches!(table.decide(&query), Decision::Allow(_)));
    /// # Ok::<(), tower_token_exchange::ConfigError>(())
    /// ```
    #[must_use]
    pub fn max_auth_age(mut self, age: Duration) -> Self {
        self.login.get_or_insert_default().max_age = Some(age);
        self
    }
}

impl Login {
    pub(super) fn is_strong_enough(&self, query: &Query) -> bool {
        let found = query.subject.acr.as_ref();
        self.acr_values.as_ref().is_none_or(|wanted| found.is_some_and(|found| wanted.contains(found)))
    }

    pub(super) fn is_young_enough(&self, query: &Query) -> bool {
        self.max_age.is_none_or(|most| age(query).is_some_and(|age| age <= most.as_secs()))
    }

    /// Tells what it would take; the audit, also what there was.
    pub(super) fn denial(&self, rule: &str, query: &Query) -> Denial {
        let acr = query.subject.acr.as_ref().map_or("no acr".to_owned(), |acr| format!("acr `{acr}`"));
        let age = age(query).map_or("nobody knows when".to_owned(), |age| format!("{age} s ago"));
        let acr_values = self.acr_values.iter().flatten();
        Denial::step_up(acr_values, self.max_age).reason(format!("{rule}: logged in {age}, with {acr}"))
    }
}

/// How long ago the subject logged in, in seconds.
fn age(query: &Query) -> Option<u64> {
    query.subject.auth_time.map(|time| query.now.saturating_since(time).as_secs())
}
