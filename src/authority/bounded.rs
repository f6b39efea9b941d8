use super::{
    acting::{Acting, canonical, canonical_name, origin},
    ceiling::Ceiling,
    chain::ActChain,
    login::Login,
    presenter,
};
use crate::{
    client_auth::Resolved,
    clock::Clock,
    policy::{self, Query},
    protocol::{ClientId, NumericDate, Reason, Rejection, Scope, TargetId, refuse},
    records::{Party, Registry, SubjectMapping, TENANT_SEPARATOR},
    token::{Validated, VerifiedToken, is_name},
};
use std::{sync::Arc, time::Duration};

/// What the records are read with.
#[derive(Clone)]
pub(crate) struct Authority {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) max_lifetime: Duration,
    pub(crate) max_depth: usize,
    pub(crate) strict_scope: bool,
}

/// The fifth stage: everything that the records say about this request. What lies outside is refused already,
/// or cannot be chosen any more.
#[derive(Debug)]
pub(crate) struct Bounded {
    pub(crate) admitted: Resolved,
    pub(crate) subject: VerifiedToken,
    pub(crate) actor_token: Option<VerifiedToken>,
    /// The `sub` of the issued token.
    pub(crate) issued_sub: String,
    pub(crate) origin: Option<Party>,
    pub(crate) subject_is_client: bool,
    pub(crate) actor: Party,
    pub(crate) actor_is_client: bool,
    pub(crate) prior: ActChain,
    pub(crate) ceiling: Ceiling,
    pub(crate) login: Login,
    /// When it was asked what can be granted, in seconds since 1970.
    now: u64,
    /// The chain that a delegation would have, or why there can be none.
    pub(crate) delegation: Result<ActChain, Rejection>,
    pub(crate) impersonation: Result<(), Rejection>,
}

impl Bounded {
    pub(crate) fn by(authority: &Authority, validated: Validated) -> Result<Self, Rejection> {
        let registry = &*authority.registry;
        let Validated { admitted, subject, actor: token_of_actor } = validated;
        let client = &*admitted.client;
        let actor_token = token_of_actor.as_ref();

        let acting = Acting::of(registry, client, actor_token)?;
        let named = acting.named_by_may_act(registry, client, &subject, actor_token)?;
        presenter::check(registry, client, &subject, named && acting.is_client)?;
        presenter::check_tenants(registry, client, &subject, actor_token)?;
        let issued_sub = issued_sub(registry, &subject)?;
        let origin = origin(registry, &subject);
        let party = canonical(registry, &subject);
        // Who it was before an exchange made it ours.
        let before = origin.as_ref().map(|origin| canonical_name(registry, &origin.iss, &origin.sub));
        // What was issued to a client for itself names it twice, and it need not be one that is known here (RFC 9068
        // section 2.2).
        let names_itself = subject
            .presenter
            .as_deref()
            .is_some_and(|presenter| subject.claims.get("sub").is_some_and(|sub| sub == presenter));
        // A user of ours may be called as a client is. After an exchange, `client_id` is whoever asked for it, and tells
        // no more.
        let is_client = |party: &Party| registry.is_own(&party.iss) && registry.client(&party.sub).is_some();
        let is_known = is_client(&party) && (!subject.own || subject.claims.contains("act"));
        let subject_is_client = names_itself || is_known || before.as_ref().is_some_and(is_client);
        let prior = ActChain::of(&subject)?;

        let impersonation = if prior.is_empty() && actor_token.is_none() {
            Ok(())
        } else {
            Err(refuse(Reason::ImpersonationImpossible))
        };
        let issued_subject = Party::new(registry.own_issuer(), &issued_sub);
        let actor_as_subject = actor_token.and_then(|actor| self::issued_sub(registry, actor).ok());
        let same = [Some(&party), Some(&issued_subject), before.as_ref()].contains(&Some(&acting.party))
            || actor_as_subject.is_some_and(|name| name == issued_sub);
        let delegation = if same {
            Err(refuse(Reason::ActorIsSubject))
        } else {
            prior.clone().extended(registry, &acting.party, client.repeated_actors, authority.max_depth)
        };
        if let (Err(reason), Err(_)) = (&delegation, &impersonation) {
            return Err(reason.clone());
        }

        let ceiling = Ceiling::of(authority, &admitted, &subject, actor_token)?;
        check_asked(admitted.scope.as_ref(), &ceiling.scope, authority.strict_scope)?;
        let now = authority.clock.seconds();
        Ok(Self {
            login: Login::of(&subject, now),
            now,
            issued_sub,
            origin,
            subject_is_client,
            actor: acting.party,
            actor_is_client: acting.is_client,
            prior,
            ceiling,
            delegation,
            impersonation,
            subject,
            actor_token: token_of_actor,
            admitted,
        })
    }

    /// The question to the policy.
    pub(crate) fn query(&self) -> Query {
        Query {
            client_id: ClientId::from(&self.admitted.client.id),
            subject: policy::Subject {
                party: self.subject.party(),
                issued_sub: self.issued_sub.clone(),
                origin: self.origin.clone(),
                is_client: self.subject_is_client,
                token_type: self.subject.token_type.clone(),
                acr: self.login.acr.clone(),
                auth_time: self.login.auth_seconds().map(NumericDate::from_seconds),
                claims: self.subject.claims.clone(),
            },
            actor: policy::Actor {
                party: self.actor.clone(),
                is_client: self.actor_is_client,
                by_token: self.actor_token.is_some(),
                token_type: self.actor_token.as_ref().map(|actor| actor.token_type.clone()),
            },
            prior_actors: self.prior.parties().cloned().collect(),
            targets: self.admitted.targets.iter().map(|target| TargetId::from(&target.id)).collect(),
            requested_scope: self.admitted.scope.clone(),
            max_scope: self.ceiling.scope.clone(),
            max_lifetime: self.ceiling.lifetime,
            requested_token_type: self.admitted.issue_as.clone(),
            now: NumericDate::from_seconds(self.now),
            sender_constrained: false,
            delegation_possible: self.delegation.is_ok(),
            impersonation_possible: self.impersonation.is_ok(),
        }
    }
}

/// Refuses what the ceiling already leaves nothing of, before anybody is asked.
fn check_asked(asked: Option<&Scope>, ceiling: &Scope, strict: bool) -> Result<(), Rejection> {
    let Some(asked) = asked else { return Ok(()) };
    let beyond = asked.difference(ceiling);
    if beyond.len() == asked.len() {
        return Err(
            refuse(Reason::ScopeEmpty).because(format_args!("of `{asked}` nothing is under the ceiling `{ceiling}`"))
        );
    }
    if strict && !beyond.is_empty() {
        return Err(refuse(Reason::ScopeExceeded).because(format_args!("`{beyond}` is above the ceiling")));
    }
    Ok(())
}

/// What the subject is called in a token of ours.
fn issued_sub(registry: &Registry, subject: &VerifiedToken) -> Result<String, Rejection> {
    let not_mapped = |detail: &str| refuse(Reason::SubjectNotMapped).because(detail);
    let mapped = match &subject.issuer.subjects {
        // Only our own issuer's record has no mapping.
        None => return Ok(subject.sub.clone()),
        Some(SubjectMapping::Keep) => subject.sub.clone(),
        Some(SubjectMapping::Prefix(prefix)) => format!("{prefix}{}", subject.sub),
        Some(SubjectMapping::Claim(claim)) => match subject.claims.get(claim).and_then(|value| value.as_str()) {
            Some(name) if subject.issuer.has_several_tenants() => {
                let tenant = subject.issuer.tenant_of(&subject.sub).unwrap_or_default();
                format!("{tenant}{TENANT_SEPARATOR}{name}")
            }
            Some(name) => name.to_owned(),
            None => return Err(not_mapped(&format!("no string claim `{claim}`"))),
        },
    };
    if !is_name(&mapped) {
        return Err(not_mapped("what became of it is no name"));
    }
    // A client's name in the mouth of a foreign issuer would be a client that nobody registered.
    if registry.client(&mapped).is_some() {
        return Err(not_mapped(&format!("`{mapped}` is a client's name here")));
    }
    Ok(mapped)
}
