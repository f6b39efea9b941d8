use super::{ACTORS, Client, ClientKeySource, ClientMethods};
use crate::{
    limits::Rate,
    protocol::{Scope, TokenType},
    records::{ClientId, ConfigErrorKind, Party, Place, Problems, TargetId, names::Names, target::CALLERS},
};
use std::time::Duration;

/// A client whose record was checked.
#[derive(Debug)]
pub(crate) struct ClientRecord {
    pub(crate) id: ClientId,
    /// The position among the clients, in the order in which they were given.
    pub(crate) position: usize,
    pub(crate) methods: ClientMethods,
    pub(crate) may_exchange: bool,
    pub(crate) targets: Option<Vec<TargetId>>,
    pub(crate) scopes: Option<Scope>,
    pub(crate) default_target: Option<TargetId>,
    scopeless_subject_scopes: Vec<(TokenType, Scope)>,
    pub(crate) ignored_scopes: Scope,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) max_exchanges: Option<Rate>,
    pub(crate) self_exchange: bool,
    pub(crate) several_audiences: bool,
    pub(crate) repeated_actors: bool,
    pub(crate) jwt_output: bool,
    pub(crate) one_time_subject_tokens: bool,
    /// Whether the client has to send a DPoP proof.
    pub(crate) dpop_bound: bool,
    /// Whether the tokens of the client are bound to its certificate.
    pub(crate) certificate_bound: bool,
    /// Whether the client gets no bearer tokens.
    pub(crate) requires_sender_constraint: bool,
    /// The parties whose actor tokens the client may present.
    pub(crate) carries: Vec<Party>,
    pub(crate) tenants: Vec<String>,
}

impl ClientRecord {
    /// The most that a subject token of this type without a scope can become.
    pub(crate) fn scopes_for_scopeless(&self, token_type: &TokenType) -> Option<&Scope> {
        self.scopeless_subject_scopes.iter().find(|(known, _)| known == token_type).map(|(_, scopes)| scopes)
    }
}

impl Client {
    pub(crate) fn place(&self, position: usize) -> Place<'_> {
        Place::new("client", position, self.id.as_str(), self.wording)
    }

    /// The URL of the key set of the client.
    pub(crate) fn key_set_url(&self) -> Option<&str> {
        match &self.methods.keys {
            Some(ClientKeySource::Remote(uri)) => Some(uri),
            _ => None,
        }
    }

    /// Whether the client needs a layer that supports DPoP.
    pub(crate) fn needs_dpop(&self) -> bool {
        self.dpop_bound
    }

    pub(in crate::records) fn may_request_jwt(&self) -> bool {
        self.jwt_output
    }

    /// Checks the record alone and against the names of the other records.
    pub(in crate::records) fn check(&self, position: usize, names: &Names, problems: &mut Problems) -> ClientRecord {
        let place = self.place(position);
        let id = self.id.as_str();
        if id.is_empty() || !id.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            problems.add(place.wrong("id", "not a client_id: use printable ASCII (RFC 6749 appendix A.1)"));
        }
        for (field, help) in &self.mistakes {
            problems.add(place.wrong(*field, *help));
        }
        self.methods.check(&place, names, problems);
        for (index, id) in self.targets.iter().flatten().enumerate() {
            if names.lacks_target(id) {
                problems.add(
                    place.wrong_member("targets", index, names.unknown_target(id)).of_kind(ConfigErrorKind::Unknown),
                );
            }
        }
        let mut scope = |field, list: &[String]| {
            let scope = Scope::from_tokens(list).map_err(|error| place.wrong(field, error.to_string()));
            problems.check(scope).unwrap_or_default()
        };
        let scopes = self.scopes.as_deref().map(|list| scope("scopes", list));
        let by_type = self.scopeless_subject_scopes.iter();
        let by_type = by_type.map(|(kind, list)| (kind.clone(), scope("scopes_for_scopeless_subjects", list)));
        let scopeless_subject_scopes = by_type.collect();
        let ignored_scopes = scope("ignored_scopes", &self.ignored_scopes);
        self.check_default_target(&place, names, problems);
        if self.max_lifetime.is_some_and(|lifetime| lifetime.as_secs() == 0) {
            problems.add(place.wrong("max_lifetime", "shorter than a second: give 1 s or more"));
        }
        for (index, party) in self.actors.iter().enumerate() {
            if !names.has_issuer(&party.iss) {
                let help = names.unknown_issuer(&party.iss);
                problems.add(place.wrong_member(ACTORS, index, help).of_kind(ConfigErrorKind::Unknown));
            }
        }
        ClientRecord {
            position,
            scopes,
            scopeless_subject_scopes,
            ignored_scopes,
            id: self.id.clone(),
            methods: self.methods.clone(),
            may_exchange: self.may_exchange,
            targets: self.targets.clone(),
            default_target: self.default_target.clone(),
            max_lifetime: self.max_lifetime,
            max_exchanges: self.max_exchanges,
            self_exchange: self.self_exchange,
            several_audiences: self.several_audiences,
            repeated_actors: self.repeated_actors,
            jwt_output: self.jwt_output,
            one_time_subject_tokens: self.one_time_subject_tokens,
            dpop_bound: self.dpop_bound,
            certificate_bound: self.certificate_bound,
            requires_sender_constraint: self.requires_sender_constraint || self.methods.fapi,
            carries: self.actors.clone(),
            tenants: self.tenants.clone(),
        }
    }

    fn check_default_target(&self, place: &Place<'_>, names: &Names, problems: &mut Problems) {
        let Some(id) = &self.default_target else { return };
        let (kind, help) = if names.lacks_target(id) {
            (ConfigErrorKind::Unknown, names.unknown_target(id))
        } else if self.targets.as_ref().is_some_and(|targets| !targets.contains(id)) {
            (
                ConfigErrorKind::Conflict,
                format!("`{id}` is not in the `targets` of the client: add `{id}` to `targets`"),
            )
        } else if !names.lists_client(id, &self.id) {
            let callers = place.word(CALLERS);
            let help = format!("target `{id}` does not list the client: add `{}` to its `{callers}`", self.id);
            (ConfigErrorKind::Conflict, help)
        } else {
            return;
        };
        problems.add(place.wrong("default_target", help).of_kind(kind));
    }
}
