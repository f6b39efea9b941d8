use super::bounded::Authority;
use crate::{
    client_auth::Resolved,
    protocol::{Reason, Rejection, Scope, refuse},
    records::{ClientRecord, TargetRecord},
    token::VerifiedToken,
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

/// The most that can be granted. Nothing behind it can raise it.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    pub(crate) scope: Scope,
    pub(crate) lifetime: Duration,
    /// When the first of the tokens handed in expires, in seconds since 1970.
    pub(crate) expires_at: u64,
}

/// One thing that a ceiling is lowered by, and what it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lowered<'a> {
    Scope(By<'a>, &'a Scope),
    Lifetime(By<'a>, Duration),
}

/// What lowers a ceiling.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    SubjectToken,
    ActorToken,
    /// Instead of a subject token without a known scope.
    ScopelessSubjects,
    Translation(&'a TargetRecord),
    Target(&'a TargetRecord),
    /// A scope must mean something at every target.
    SeveralTargets,
    Client,
    Layer,
}

impl Ceiling {
    pub(super) fn of(
        authority: &Authority,
        admitted: &Resolved,
        subject: &VerifiedToken,
        actor: Option<&VerifiedToken>,
    ) -> Result<Self, Rejection> {
        Self::noting(authority, admitted, subject, actor, &mut |_| {})
    }

    /// The same, with all that lowers it told in its order.
    pub(crate) fn noting(
        authority: &Authority,
        admitted: &Resolved,
        subject: &VerifiedToken,
        actor: Option<&VerifiedToken>,
        note: &mut impl FnMut(Lowered<'_>),
    ) -> Result<Self, Rejection> {
        let Resolved { client, targets, .. } = admitted;
        let expires_at = actor.map_or(subject.expires_at, |actor| actor.expires_at.min(subject.expires_at));
        let now = authority.clock.seconds();
        let left = |token: &VerifiedToken| Duration::from_secs(token.expires_at.saturating_sub(now));
        let records = targets.iter().map(|target| (By::Target(target), target.max_lifetime));
        let tokens = [(By::SubjectToken, Some(left(subject))), (By::ActorToken, actor.map(left))];
        let bounds = records.chain([(By::Client, client.max_lifetime)]).chain(tokens);
        note(Lowered::Lifetime(By::Layer, authority.max_lifetime));
        let lifetime = bounds.fold(authority.max_lifetime, |longest, (by, bound)| {
            let lowered = bound.map_or(longest, |bound| bound.min(longest));
            if lowered < longest {
                note(Lowered::Lifetime(by, lowered));
            }
            lowered
        });
        if lifetime < Duration::from_secs(1) {
            return Err(refuse(Reason::TokenExpired));
        }
        Ok(Self { scope: scope(client, targets, subject, note)?, lifetime, expires_at })
    }
}

/// Every scope must mean something at every target, or the token would be ambiguous (RFC 9068 section 3).
fn scope(
    client: &ClientRecord,
    targets: &[Arc<TargetRecord>],
    subject: &VerifiedToken,
    note: &mut impl FnMut(Lowered<'_>),
) -> Result<Scope, Rejection> {
    let (by, upstream) = match &subject.scope {
        Some(scope) => (By::SubjectToken, scope),
        None => (By::ScopelessSubjects, &client.scopeless_subject_scopes),
    };
    note(Lowered::Scope(by, upstream));
    let mut ceiling: Option<Scope> = None;
    for target in targets {
        let worth = match &target.translation {
            // A record's own set is in the target's words already.
            Some(entries) if subject.scope.is_some() => {
                let worth = translated(upstream, entries);
                note(Lowered::Scope(By::Translation(target), &worth));
                Cow::Owned(worth)
            }
            _ => Cow::Borrowed(upstream),
        };
        let here = worth.intersection(&target.scopes);
        note(Lowered::Scope(By::Target(target), &here));
        ceiling = Some(match ceiling {
            Some(before) => {
                let common = before.intersection(&here);
                note(Lowered::Scope(By::SeveralTargets, &common));
                common
            }
            None => here,
        });
    }
    let mut ceiling = ceiling.unwrap_or_default();
    if let Some(cap) = &client.scopes {
        ceiling = ceiling.intersection(cap);
        note(Lowered::Scope(By::Client, &ceiling));
    }
    if ceiling.is_empty() {
        let worth = match &subject.scope {
            Some(scope) => format!("the subject's scope `{scope}` is worth nothing at the target"),
            None => "the subject has no known scope and the client no scopes for such subjects".to_owned(),
        };
        return Err(refuse(Reason::ScopeEmpty).because(worth));
    }
    Ok(ceiling)
}

fn translated(scope: &Scope, entries: &BTreeMap<String, Scope>) -> Scope {
    let worth = scope.iter().filter_map(|token| entries.get(token)).flat_map(Scope::iter);
    // The tokens come out of records that were checked, and are no more than a target's own.
    Scope::from_tokens(worth).unwrap_or_default()
}
