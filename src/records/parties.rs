//! The names of one party: at its own issuer, and in this authorization server.

use super::{IssuerRecord, Party, Registry, SubjectId, SubjectMapping};

impl Registry {
    /// Every name of the party that has these names, as far as the records show. The given names come first.
    ///
    /// * A client of ours has its id, and the names by which foreign issuers name the client.
    /// * A foreign subject has the name that its issuer uses, and the name that the issuer's record maps to here.
    pub(crate) fn names_of(&self, known: impl IntoIterator<Item = Party>) -> Vec<Party> {
        let mut names = Vec::new();
        known.into_iter().for_each(|name| add(&mut names, name));
        let mut next = 0;
        // Each name leads to further names.
        while let Some(name) = names.get(next) {
            let found = self.other_names_of(name);
            found.into_iter().for_each(|name| add(&mut names, name));
            next += 1;
        }
        names
    }

    fn other_names_of(&self, name: &Party) -> Vec<Party> {
        let own = |sub: SubjectId| Party::new(self.own_issuer(), sub);
        if self.is_own(&name.iss) {
            return match self.client(&name.sub) {
                Some(client) => self.foreign_names_of(client.id.as_str()).to_vec(),
                None => self.origin_of(&name.sub).into_iter().collect(),
            };
        }
        let Some(issuer) = self.issuer(&name.iss) else { return Vec::new() };
        let client = issuer.client_named(&name.sub).map(|client| own(client.into()));
        // No foreign subject gets the name of a client.
        let mapped = issuer.mapped_name(&name.sub).filter(|sub| self.client(sub).is_none());
        client.into_iter().chain(mapped.map(own)).collect()
    }

    /// The foreign issuer whose subject has this name here. `None` for the name of a client or of a subject of our own
    /// issuer.
    pub(crate) fn issuer_of_foreign_name(&self, own_sub: &str) -> Option<&IssuerRecord> {
        if self.client(own_sub).is_some() {
            return None;
        }
        self.issuers().map(AsRef::as_ref).find(|issuer| issuer.can_map_to(own_sub))
    }

    /// The foreign subject that has this name here. `None` if the name does not show the subject.
    pub(crate) fn origin_of(&self, own_sub: &str) -> Option<Party> {
        let issuer = self.issuer_of_foreign_name(own_sub)?;
        match &issuer.subjects {
            Some(SubjectMapping::Prefix(prefix)) => {
                Some(Party::new(&issuer.id, own_sub.strip_prefix(prefix.as_str())?))
            }
            Some(SubjectMapping::Keep) => Some(Party::new(&issuer.id, own_sub)),
            // The value of the claim does not show the `sub` of the issuer.
            Some(SubjectMapping::Claim(_)) | None => None,
        }
    }
}

/// Adds a name that is not in the list. A party has few names, so that the list is short.
fn add(names: &mut Vec<Party>, name: Party) {
    if !names.contains(&name) {
        names.push(name);
    }
}

impl IssuerRecord {
    /// The name that a subject of this foreign issuer has here. `None` if only a claim of the token shows the name.
    fn mapped_name(&self, sub: &SubjectId) -> Option<SubjectId> {
        match self.subjects.as_ref()? {
            SubjectMapping::Prefix(prefix) => Some(format!("{prefix}{sub}").into()),
            SubjectMapping::Keep => Some(sub.clone()),
            SubjectMapping::Claim(_) => None,
        }
    }

    /// Whether a subject of this foreign issuer can have this name here.
    fn can_map_to(&self, own_sub: &str) -> bool {
        match &self.subjects {
            Some(SubjectMapping::Prefix(prefix)) => own_sub.starts_with(prefix.as_str()),
            Some(SubjectMapping::Keep | SubjectMapping::Claim(_)) => true,
            None => false,
        }
    }
}
