use super::Facts;
use crate::{
    protocol::{Detail, NumericDate, Reason, Rejection, Scope, refuse},
    records::{ClientRecord, TargetRecord},
    token::VerifiedToken,
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

/// The most that the records and the received tokens allow. No later step raises the ceiling.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    pub(crate) scope: Scope,
    pub(crate) lifetime: Duration,
    /// The time at which the first of the received tokens expires.
    pub(crate) not_after: NumericDate,
}

/// A step that lowers the ceiling: the source of the limit, and the ceiling after the step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CeilingStep<'a> {
    Scope(LimitSource<'a>, &'a Scope),
    Lifetime(LimitSource<'a>, Duration),
}

/// The source of a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LimitSource<'a> {
    SubjectToken,
    ActorToken,
    /// The scopes that a client has for subject tokens without a scope.
    ScopelessSubjects,
    /// The translation of the scope in the record of a target.
    Translation(&'a TargetRecord),
    Target(&'a TargetRecord),
    /// The scope that all targets have in common.
    SeveralTargets,
    Client,
    Layer,
}

impl Ceiling {
    /// Computes the ceiling. `trace` receives each step that lowers the ceiling, in order.
    pub(crate) fn compute(
        facts: &Facts<'_>,
        max_lifetime: Duration,
        now: NumericDate,
        mut trace: impl FnMut(CeilingStep<'_>),
    ) -> Result<Self, Rejection> {
        let lifetime = lifetime(facts, max_lifetime, now, &mut trace);
        if lifetime < Duration::from_secs(1) {
            return Err(refuse(Reason::TokenExpired));
        }
        let Facts { client, targets, subject, actor_token, .. } = *facts;
        let not_after = actor_token.map_or(subject.expires_at, |actor| actor.expires_at.min(subject.expires_at));
        Ok(Self { scope: scope(client, targets, subject, &mut trace)?, lifetime, not_after })
    }

    /// Refuses the request if no part of the requested scope is within the ceiling. In strict mode, refuses the request if
    /// a part of the requested scope is not within the ceiling.
    pub(super) fn check_requested(&self, requested: Option<&Scope>, strict: bool) -> Result<(), Rejection> {
        let Some(requested) = requested else { return Ok(()) };
        let ceiling = &self.scope;
        let beyond = requested.difference(ceiling);
        if beyond.len() == requested.len() {
            let detail = Detail::from("no part of the requested scope ").unverified_list(requested.iter());
            let detail = detail.words(format_args!(" is within the ceiling `{ceiling}`"));
            return Err(refuse(Reason::ScopeEmpty).with_detail(detail));
        }
        if strict && !beyond.is_empty() {
            let detail = Detail::default().unverified_list(beyond.iter()).words(" exceeds the ceiling");
            return Err(refuse(Reason::ScopeExceeded).with_detail(detail));
        }
        Ok(())
    }
}

/// The shortest of all limits of the lifetime.
fn lifetime(
    facts: &Facts<'_>,
    max_lifetime: Duration,
    now: NumericDate,
    trace: &mut impl FnMut(CeilingStep<'_>),
) -> Duration {
    let Facts { client, targets, subject, actor_token, .. } = *facts;
    let remaining = |token: &VerifiedToken| token.expires_at.saturating_since(now);
    let records = targets.iter().map(|target| (LimitSource::Target(target), target.max_lifetime));
    let others = [
        (LimitSource::Client, client.max_lifetime),
        (LimitSource::SubjectToken, Some(remaining(subject))),
        (LimitSource::ActorToken, actor_token.map(remaining)),
    ];
    trace(CeilingStep::Lifetime(LimitSource::Layer, max_lifetime));
    records.chain(others).fold(max_lifetime, |longest, (source, limit)| match limit {
        Some(limit) if limit < longest => {
            trace(CeilingStep::Lifetime(source, limit));
            limit
        }
        _ => longest,
    })
}

/// The scope that the subject token, every target and the client allow. If a scope token had a meaning at some of the
/// targets only, the issued token would be ambiguous (RFC 9068 section 3).
fn scope(
    client: &ClientRecord,
    targets: &[Arc<TargetRecord>],
    subject: &VerifiedToken,
    trace: &mut impl FnMut(CeilingStep<'_>),
) -> Result<Scope, Rejection> {
    let none = Scope::default();
    let (source, received) = match &subject.scope {
        Some(scope) => (LimitSource::SubjectToken, scope),
        None => {
            let scopes = client.scopes_for_scopeless(&subject.type_without_scope());
            (LimitSource::ScopelessSubjects, scopes.unwrap_or(&none))
        }
    };
    trace(CeilingStep::Scope(source, received));
    let mut ceiling: Option<Scope> = None;
    for target in targets {
        let meaning = match &target.translation {
            // The scopes in the record of the client are scopes of the target, so these scopes are not translated.
            Some(entries) if subject.scope.is_some() => {
                let meaning = translate(received, entries);
                trace(CeilingStep::Scope(LimitSource::Translation(target), &meaning));
                Cow::Owned(meaning)
            }
            _ => Cow::Borrowed(received),
        };
        let at_target = meaning.intersection(&target.scopes);
        trace(CeilingStep::Scope(LimitSource::Target(target), &at_target));
        ceiling = Some(match ceiling {
            Some(at_others) => {
                let common = at_others.intersection(&at_target);
                trace(CeilingStep::Scope(LimitSource::SeveralTargets, &common));
                common
            }
            None => at_target,
        });
    }
    let mut ceiling = ceiling.unwrap_or_default();
    if let Some(scopes) = &client.scopes {
        ceiling = ceiling.intersection(scopes);
        trace(CeilingStep::Scope(LimitSource::Client, &ceiling));
    }
    if ceiling.is_empty() {
        let detail = match &subject.scope {
            Some(scope) => format!("the scope `{scope}` of the subject token allows nothing at the target"),
            None => {
                let token_type = subject.type_without_scope();
                format!("the subject token has no scope, and the client has no scopes for such tokens (`{token_type}`)")
            }
        };
        return Err(refuse(Reason::ScopeEmpty).with_detail(detail));
    }
    Ok(ceiling)
}

/// The scope that a scope of a subject token means at a target.
fn translate(scope: &Scope, entries: &BTreeMap<String, Scope>) -> Scope {
    let meaning = scope.iter().filter_map(|token| entries.get(token)).flat_map(Scope::iter);
    // The check of the records has made sure that each entry is a part of the scopes of the target.
    Scope::from_tokens(meaning).unwrap_or_default()
}
