use super::{Names, Rule, Subjects};
use std::fmt;

/// In a line, for a person: who may, where, for whom, and how far. Conditions on tokens and logins are only said to be
/// there.
///
/// ```
/// use tower_token_exchange::policy::{Rule, Subjects};
///
/// let rule = Rule::allow("orders", Subjects::of_issuer("https://idp.example"), "billing").scopes(["read"]);
/// assert_eq!(rule.to_string(), "allow orders, at billing, for users of https://idp.example: delegation, scopes read");
/// ```
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.allows { "allow" } else { "deny" };
        write!(
            f,
            "{effect} {}, at {}, for ",
            listed(&self.clients, "any client"),
            listed(&self.targets, "any target")
        )?;
        write_subjects(f, &self.subjects)?;
        if self.allows {
            f.write_str(match (self.delegation, self.impersonation) {
                (true, true) => ": delegation and impersonation",
                (_, true) => ": impersonation",
                (_, false) => ": delegation",
            })?;
            let scopes = self.scopes.as_ref().map_or("no scopes".to_owned(), |scopes| match scopes.listed() {
                Some(_) => format!("scopes {}", listed(scopes, "")),
                None => "any scope".to_owned(),
            });
            write!(f, ", {scopes}")?;
        }
        if self.login.is_some() || self.by_token || self.bound {
            f.write_str(", under conditions")?;
        }
        if self.shadow { f.write_str(" (on trial)") } else { Ok(()) }
    }
}

fn write_subjects(f: &mut fmt::Formatter<'_>, subjects: &Subjects) -> fmt::Result {
    f.write_str(if subjects.clients { "users and clients of " } else { "users of " })?;
    f.write_str(subjects.issuer.as_deref().unwrap_or("any issuer"))?;
    if subjects.subs.listed().is_some() {
        write!(f, " named {}", listed(&subjects.subs, ""))?;
    }
    if subjects.asks_for_more() { f.write_str(" whose tokens fit") } else { Ok(()) }
}

fn listed(names: &Names, any: &str) -> String {
    names.listed().map_or_else(|| any.to_owned(), |names| names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_reads_as_what_it_does() {
        let any = || Rule::allow(Names::any(), Subjects::any().or_clients(), Names::any());
        let bob = Subjects::of_issuer("https://idp.example").named(["bob", "eve"]).in_group("sales");
        for (rule, text) in [
            (
                any().scopes(Names::any()).impersonation().require_acr(["phr"]),
                "allow any client, at any target, for users and clients of any issuer: impersonation, any scope, under conditions",
            ),
            (
                Rule::allow(["a", "b"], bob.clone(), "t")
                    .scopes(["read", "write"])
                    .delegation()
                    .impersonation()
                    .shadow(),
                "allow a b, at t, for users of https://idp.example named bob eve whose tokens fit: delegation and impersonation, scopes read write (on trial)",
            ),
            (
                Rule::deny("a", bob, "t"),
                "deny a, at t, for users of https://idp.example named bob eve whose tokens fit",
            ),
            (any(), "allow any client, at any target, for users and clients of any issuer: delegation, no scopes"),
        ] {
            assert_eq!(rule.to_string(), text);
        }
    }
}
