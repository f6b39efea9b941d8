use super::Facts;
use crate::{
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
pub(crate) enum CeilingStep<'a> {
    Scope(LimitSource<'a>, &'a Scope),
    Lifetime(LimitSource<'a>, Duration),
}

/// What lowers a ceiling.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LimitSource<'a> {
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
    /// Computes the ceiling. `trace` receives each step that lowers the ceiling, in order.
    pub(crate) fn compute(
        facts: &Facts<'_>,
        max_lifetime: Duration,
        now: u64,
        mut trace: impl FnMut(CeilingStep<'_>),
    ) -> Result<Self, Rejection> {
        let Facts { client, targets, subject, actor_token, .. } = *facts;
        let expires_at = actor_token.map_or(subject.expires_at, |actor| actor.expires_at.min(subject.expires_at));
        let left = |token: &VerifiedToken| Duration::from_secs(token.expires_at.saturating_sub(now));
        let records = targets.iter().map(|target| (LimitSource::Target(target), target.max_lifetime));
        let tokens =
            [(LimitSource::SubjectToken, Some(left(subject))), (LimitSource::ActorToken, actor_token.map(left))];
        let limits = records.chain([(LimitSource::Client, client.max_lifetime)]).chain(tokens);
        trace(CeilingStep::Lifetime(LimitSource::Layer, max_lifetime));
        let lifetime = limits.fold(max_lifetime, |longest, (source, limit)| {
            let lowered = limit.map_or(longest, |limit| limit.min(longest));
            if lowered < longest {
                trace(CeilingStep::Lifetime(source, lowered));
            }
            lowered
        });
        if lifetime < Duration::from_secs(1) {
            return Err(refuse(Reason::TokenExpired));
        }
        Ok(Self { scope: scope(client, targets, subject, &mut trace)?, lifetime, expires_at })
    }

    /// Refuses a requested scope that the ceiling leaves nothing of, before the policy is asked.
    pub(super) fn check_requested(&self, requested: Option<&Scope>, strict: bool) -> Result<(), Rejection> {
        let Some(requested) = requested else { return Ok(()) };
        let ceiling = &self.scope;
        let beyond = requested.difference(ceiling);
        if beyond.len() == requested.len() {
            let detail = format!("of `{requested}` nothing is under the ceiling `{ceiling}`");
            return Err(refuse(Reason::ScopeEmpty).with_detail(detail));
        }
        if strict && !beyond.is_empty() {
            return Err(refuse(Reason::ScopeExceeded).with_detail(format_args!("`{beyond}` is above the ceiling")));
        }
        Ok(())
    }
}

/// Every scope must mean something at every target, or the token would be ambiguous (RFC 9068 section 3).
fn scope(
    client: &ClientRecord,
    targets: &[Arc<TargetRecord>],
    subject: &VerifiedToken,
    trace: &mut impl FnMut(CeilingStep<'_>),
) -> Result<Scope, Rejection> {
    let (source, upstream) = match &subject.scope {
        Some(scope) => (LimitSource::SubjectToken, scope),
        None => (LimitSource::ScopelessSubjects, &client.scopeless_subject_scopes),
    };
    trace(CeilingStep::Scope(source, upstream));
    let mut ceiling: Option<Scope> = None;
    for target in targets {
        let worth = match &target.translation {
            // A record's own set is in the target's words already.
            Some(entries) if subject.scope.is_some() => {
                let worth = translated(upstream, entries);
                trace(CeilingStep::Scope(LimitSource::Translation(target), &worth));
                Cow::Owned(worth)
            }
            _ => Cow::Borrowed(upstream),
        };
        let here = worth.intersection(&target.scopes);
        trace(CeilingStep::Scope(LimitSource::Target(target), &here));
        ceiling = Some(match ceiling {
            Some(before) => {
                let common = before.intersection(&here);
                trace(CeilingStep::Scope(LimitSource::SeveralTargets, &common));
                common
            }
            None => here,
        });
    }
    let mut ceiling = ceiling.unwrap_or_default();
    if let Some(cap) = &client.scopes {
        ceiling = ceiling.intersection(cap);
        trace(CeilingStep::Scope(LimitSource::Client, &ceiling));
    }
    if ceiling.is_empty() {
        let worth = match &subject.scope {
            Some(scope) => format!("the subject's scope `{scope}` is worth nothing at the target"),
            None => "the subject has no known scope and the client no scopes for such subjects".to_owned(),
        };
        return Err(refuse(Reason::ScopeEmpty).with_detail(worth));
    }
    Ok(ceiling)
}

fn translated(scope: &Scope, entries: &BTreeMap<String, Scope>) -> Scope {
    let worth = scope.iter().filter_map(|token| entries.get(token)).flat_map(Scope::iter);
    // The tokens come out of records that were checked, and are no more than a target's own.
    Scope::from_tokens(worth).unwrap_or_default()
}
