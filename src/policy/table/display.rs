use super::{Actors, Names, Rule, Subjects};
use crate::proof::Permission;
use std::fmt;

/// Writes the rule as one line for a person: effect, clients, targets, subjects, semantics, scopes, actors and limits.
/// Conditions on tokens and logins are only mentioned.
///
/// ```
/// use tower_token_exchange::policy::{Rule, Subjects};
///
/// let rule = Rule::allow("orders", Subjects::of_issuer("https://idp.example"), "billing").scopes(["read"]);
/// assert_eq!(rule.to_string(), "allow orders, at billing, for users of https://idp.example: delegation, scopes read");
/// ```
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = listed(&self.clients, "any client");
        let targets = listed(&self.targets, "any target");
        write!(f, "{} {clients}, at {targets}, for ", self.effect)?;
        write_subjects(f, &self.subjects)?;
        if self.is_allow() {
            f.write_str(match (self.delegation, self.impersonation) {
                (true, true) => ": delegation and impersonation",
                (_, true) => ": impersonation",
                (_, false) => ": delegation",
            })?;
            match &self.scopes {
                None => f.write_str(", no scopes")?,
                Some(scopes) if scopes.listed().is_none() => f.write_str(", any scope")?,
                Some(scopes) => write!(f, ", scopes {}", listed(scopes, ""))?,
            }
        }
        let actors = self.actor_texts();
        if !actors.is_empty() {
            write!(f, ", actors {}", actors.join(" and "))?;
        }
        if let Some(lifetime) = self.max_lifetime {
            write!(f, ", at most {} s", lifetime.as_secs())?;
        }
        if let Some(depth) = self.max_depth {
            write!(f, ", at most {depth} actors in `act`")?;
        }
        f.write_str(match self.binding {
            Permission::Unchanged => "",
            Permission::Rebind => ", may rebind bound tokens",
            Permission::Release => ", may release bound tokens",
        })?;
        if self.login.is_some() || self.requires_actor_token || self.requires_sender_constraint {
            f.write_str(", under conditions")?;
        }
        if self.shadow { f.write_str(" (shadow rule)") } else { Ok(()) }
    }
}

fn write_subjects(f: &mut fmt::Formatter<'_>, subjects: &Subjects) -> fmt::Result {
    write_names(f, subjects)?;
    if subjects.has_token_conditions() { f.write_str(" with certain tokens") } else { Ok(()) }
}

fn write_names(f: &mut fmt::Formatter<'_>, subjects: &Subjects) -> fmt::Result {
    f.write_str(if subjects.or_clients { "users and clients of " } else { "users of " })?;
    f.write_str(subjects.issuer.as_deref().unwrap_or("any issuer"))?;
    if subjects.names.listed().is_some() {
        write!(f, " named {}", listed(&subjects.names, ""))?;
    }
    Ok(())
}

impl Rule {
    /// The actors, as texts for a person. Empty if the usual actors may act: for an allow rule the client, for a deny rule any
    /// actor.
    pub(crate) fn actor_texts(&self) -> Vec<String> {
        let usual_actors = if self.is_allow() { Actors::client() } else { Actors::any() };
        if self.actors == usual_actors {
            return Vec::new();
        }
        let listed = self.actors.listed().iter().map(|party| format!("{} of {}", party.sub, party.iss));
        let listed: Vec<_> = listed.collect();
        match listed.is_empty() {
            false => listed,
            true if self.actors == Actors::any() => vec!["any".to_owned()],
            true => vec!["the client".to_owned()],
        }
    }

    /// What the rule requires or permits beside its lists and limits, as texts for a person.
    pub(crate) fn condition_texts(&self) -> Vec<String> {
        let login = self.login.as_deref();
        let acr = login.and_then(|login| login.acr_values.as_ref());
        let age = login.and_then(|login| login.max_age);
        let texts = [
            self.requires_actor_token.then(|| "with an actor token".to_owned()),
            self.requires_sender_constraint.then(|| "bound tokens only".to_owned()),
            acr.map(|values| format!("login with acr {}", values.join(" or "))),
            age.map(|age| format!("login at most {} s ago", age.as_secs())),
            match self.binding {
                Permission::Unchanged => None,
                Permission::Rebind => Some("may rebind bound tokens".to_owned()),
                Permission::Release => Some("may release bound tokens".to_owned()),
            },
        ];
        texts.into_iter().flatten().collect()
    }
}

/// Writes the subjects as a text for a person: their issuer, names, claims and token types.
///
/// ```
/// use tower_token_exchange::policy::Subjects;
///
/// let sales = Subjects::of_issuer("https://idp.example").in_group("sales");
/// assert_eq!(sales.to_string(), "users of https://idp.example with groups = sales");
/// assert_eq!(Subjects::any().or_clients().to_string(), "users and clients of any issuer");
/// ```
impl fmt::Display for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(f, self)?;
        for (number, (claim, value)) in self.claims().iter().enumerate() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(f, "{} {claim} = {value}", if number == 0 { " with" } else { " and" })?;
        }
        for (number, token_type) in self.types().iter().enumerate() {
            write!(f, "{} {token_type}", if number == 0 { " by" } else { " or" })?;
        }
        Ok(())
    }
}

fn listed(names: &Names, any: &str) -> String {
    names.listed().map_or_else(|| any.to_owned(), |names| names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Party;
    use std::time::Duration;

    #[test]
    fn the_text_of_a_rule_states_its_effect() {
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
                "allow a b, at t, for users of https://idp.example named bob eve with certain tokens: delegation and impersonation, scopes read write (shadow rule)",
            ),
            (
                Rule::deny("a", bob, "t"),
                "deny a, at t, for users of https://idp.example named bob eve with certain tokens",
            ),
            (any(), "allow any client, at any target, for users and clients of any issuer: delegation, no scopes"),
            (
                any()
                    .scopes(["read"])
                    .actors(Actors::parties([Party::new("https://as.example", "agent")]))
                    .max_lifetime(Duration::from_secs(60))
                    .max_depth(2),
                "allow any client, at any target, for users and clients of any issuer: delegation, scopes read, actors agent of https://as.example, at most 60 s, at most 2 actors in `act`",
            ),
            (
                any().scopes(["read"]).actors(Actors::any()),
                "allow any client, at any target, for users and clients of any issuer: delegation, scopes read, actors any",
            ),
        ] {
            assert_eq!(rule.to_string(), text);
        }
    }
}
