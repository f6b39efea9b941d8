use super::bounded::Authority;
use crate::{
    client::Admitted,
    protocol::{Reason, Rejection, Scope, refuse},
    registry::{ClientRecord, TargetRecord},
    verify::VerifiedToken,
};
use std::{sync::Arc, time::Duration};

/// The most that can be granted. Nothing behind it can raise it.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    pub(crate) scope: Scope,
    pub(crate) lifetime: Duration,
    /// When the first of the tokens handed in expires, in seconds since 1970.
    pub(crate) expires_at: u64,
}

impl Ceiling {
    pub(super) fn of(
        authority: &Authority,
        admitted: &Admitted,
        subject: &VerifiedToken,
        actor: Option<&VerifiedToken>,
    ) -> Result<Self, Rejection> {
        let Admitted { client, targets, .. } = admitted;
        let expires_at = actor.map_or(subject.expires_at, |actor| actor.expires_at.min(subject.expires_at));
        let left = Duration::from_secs(expires_at.saturating_sub(authority.clock.seconds()));
        let records = targets.iter().filter_map(|target| target.max_lifetime).chain(client.max_lifetime);
        let lifetime = records.fold(authority.max_lifetime, Duration::min).min(left);
        if lifetime < Duration::from_secs(1) {
            return Err(refuse(Reason::TokenExpired));
        }
        Ok(Self { scope: scope(client, targets, subject)?, lifetime, expires_at })
    }
}

/// Every scope must mean something at every target, or the token would be ambiguous (RFC 9068 section 3).
fn scope(client: &ClientRecord, targets: &[Arc<TargetRecord>], subject: &VerifiedToken) -> Result<Scope, Rejection> {
    let mut ceiling: Option<Scope> = None;
    for target in targets {
        let here = match &subject.scope {
            Some(scope) => translated(scope, target).intersection(&target.scopes),
            None => client.scopeless_subject_scopes.intersection(&target.scopes),
        };
        ceiling = Some(match ceiling {
            Some(before) => before.intersection(&here),
            None => here,
        });
    }
    let ceiling = ceiling.unwrap_or_default();
    let ceiling = client.scopes.as_ref().map_or(ceiling.clone(), |cap| ceiling.intersection(cap));
    if ceiling.is_empty() {
        let worth = match &subject.scope {
            Some(scope) => format!("the subject's scope `{scope}` is worth nothing at the target"),
            None => "the subject has no known scope and the client no scopes for such subjects".to_owned(),
        };
        return Err(refuse(Reason::ScopeEmpty).because(worth));
    }
    Ok(ceiling)
}

fn translated(scope: &Scope, target: &TargetRecord) -> Scope {
    match &target.translation {
        None => scope.clone(),
        Some(entries) => {
            let worth = scope.iter().filter_map(|token| entries.get(token)).flat_map(Scope::iter);
            // The tokens come out of records that were checked, and are no more than a target's own.
            Scope::from_tokens(worth).unwrap_or_default()
        }
    }
}
