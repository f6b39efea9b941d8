//! Reductions of a case. No reduction may widen the issued token.

use crate::{
    cases::mend,
    world::{ActorsSpec, Case, PolicySpec, RuleSpec, Said, Scopes},
};
use proptest::{prelude::*, sample::select};

/// One reduction. The numbers select the reduced part and the amount.
#[derive(Clone, Debug)]
pub enum Change {
    ScopeOfRequest(Scopes),
    ScopeOfSubject(Scopes),
    ScopeOfClient(Scopes),
    ScopeOfTarget(Scopes),
    ScopeOfPolicy(Scopes),
    Translation(usize),
    Lifetime(Lifetime, u64),
    DepthOfServer,
    DepthOfPolicy(usize),
    Permission(Permission),
}

#[derive(Clone, Copy, Debug)]
pub enum Lifetime {
    Server,
    Client,
    Target,
    Subject,
    Actor,
    Policy,
}

#[derive(Clone, Copy, Debug)]
pub enum Permission {
    Exchange,
    SelfExchange,
    SeveralAudiences,
    RepeatedActors,
    JwtOutput,
    Carries,
    ListedTarget,
    Caller,
    Owner,
    DefaultTarget,
    CarriedClaims,
    Presenter,
    IdTokens,
    ActorTokens,
    TrustedAct,
    TrustedMayAct,
    Acr,
    BelievedClaims,
    SeveralTargets,
    ClientsAsSubjects,
    OtherActors,
}

pub fn fewer_scopes() -> impl Strategy<Value = Change> {
    let bit = || (0..6_u32).prop_map(|bit| Scopes(1 << bit));
    let some = move || prop_oneof![3 => bit(), 1 => any::<u8>().prop_map(Scopes)];
    prop_oneof![
        some().prop_map(Change::ScopeOfRequest),
        some().prop_map(Change::ScopeOfSubject),
        some().prop_map(Change::ScopeOfClient),
        some().prop_map(Change::ScopeOfTarget),
        some().prop_map(Change::ScopeOfPolicy),
        (0..5_usize).prop_map(Change::Translation),
    ]
}

pub fn shorter_lifetimes() -> impl Strategy<Value = Change> {
    use Lifetime::*;
    let what = select(vec![Server, Client, Target, Subject, Actor, Policy]);
    (what, 0..100_u64).prop_map(|(what, percent)| Change::Lifetime(what, percent))
}

pub fn lower_depths() -> impl Strategy<Value = Change> {
    prop_oneof![Just(Change::DepthOfServer), (0..4_usize).prop_map(Change::DepthOfPolicy)]
}

pub fn fewer_permissions() -> impl Strategy<Value = Change> {
    use Permission::*;
    let all = vec![
        Exchange,
        SelfExchange,
        SeveralAudiences,
        RepeatedActors,
        JwtOutput,
        Carries,
        ListedTarget,
        Caller,
        Owner,
        DefaultTarget,
        CarriedClaims,
        Presenter,
        IdTokens,
        ActorTokens,
        TrustedAct,
        TrustedMayAct,
        Acr,
        BelievedClaims,
        SeveralTargets,
        ClientsAsSubjects,
        OtherActors,
    ];
    select(all).prop_map(Change::Permission)
}

impl Change {
    /// The reduced case, or `None` if the case cannot be reduced in this way.
    pub fn applied(&self, before: &Case) -> Option<Case> {
        let mut case = before.clone();
        match self {
            Self::ScopeOfRequest(less) => {
                let counts = before.ask.scope?.without(before.clients[before.ask.client].ignored);
                let left = counts.without(*less);
                // A request without a scope requests the whole ceiling.
                if left.is_empty() || left == counts {
                    return None;
                }
                case.ask.scope = Some(before.ask.scope?.without(*less));
            }
            Self::ScopeOfSubject(less) => case.ask.subject.scope = Some(before.ask.subject.scope?.without(*less)),
            Self::ScopeOfClient(less) => {
                let client = &mut case.clients[before.ask.client];
                client.scopes = Some(client.scopes.unwrap_or(Scopes(0b111111)).without(*less));
                client.scopes_for_scopeless = client.scopes_for_scopeless.map(|scopes| scopes.without(*less));
            }
            Self::ScopeOfTarget(less) => {
                let target = &mut case.targets[a_target(before)?];
                target.scopes = target.scopes.without(*less);
                // A target needs a scope.
                if target.scopes.is_empty() {
                    return None;
                }
            }
            Self::ScopeOfPolicy(less) => {
                let rule = the_allow(&mut case)?;
                let left = rule.scopes.unwrap_or(Scopes(0b111111)).without(*less);
                if left.is_empty() {
                    return None;
                }
                rule.scopes = Some(left);
            }
            Self::Translation(entry) => {
                let worth = case.targets[a_target(before)?].translation.as_mut()?;
                // Without an entry, scopes would not be translated.
                if worth.len() < 2 || *entry >= worth.len() {
                    return None;
                }
                worth.remove(*entry);
            }
            Self::Lifetime(what, percent) => shorten(&mut case, *what, *percent)?,
            Self::DepthOfServer => case.server.max_depth = before.server.max_depth.checked_sub(1).filter(|d| *d > 0)?,
            Self::DepthOfPolicy(depth) => {
                let max_depth = match &mut case.policy {
                    PolicySpec::Service(Said::Grant { max_depth, .. }) => max_depth,
                    _ => &mut the_allow(&mut case)?.max_depth,
                };
                *max_depth = Some(max_depth.map_or(*depth, |before| before.min(*depth)));
            }
            Self::Permission(permission) => withdraw(&mut case, *permission)?,
        }
        mend(&mut case);
        Some(case)
    }
}

/// A requested target.
fn a_target(case: &Case) -> Option<usize> {
    let asked = case.ask.targets.iter().find_map(|(_, target)| *target);
    asked.or(case.clients[case.ask.client].default_target)
}

/// The first allow rule.
fn the_allow(case: &mut Case) -> Option<&mut RuleSpec> {
    match &mut case.policy {
        PolicySpec::Rules(rules) => rules.iter_mut().find(|rule| rule.allows),
        PolicySpec::Service(_) => None,
    }
}

fn shorten(case: &mut Case, what: Lifetime, percent: u64) -> Option<()> {
    let shorter = |lifetime: u64| (lifetime * percent / 100).max(1);
    let target = a_target(case);
    let lifetime = match what {
        Lifetime::Server => {
            case.server.max_lifetime = shorter(case.server.max_lifetime);
            return Some(());
        }
        Lifetime::Subject => {
            case.ask.subject.left = case.ask.subject.left * percent / 100;
            return Some(());
        }
        Lifetime::Actor => {
            let actor = case.ask.actor.as_mut()?;
            actor.left = actor.left * percent / 100;
            return Some(());
        }
        Lifetime::Client => &mut case.clients[case.ask.client].max_lifetime,
        Lifetime::Target => &mut case.targets[target?].max_lifetime,
        Lifetime::Policy => match &mut case.policy {
            // A service that exceeded the ceiling may be within the ceiling after the reduction.
            PolicySpec::Service(_) => return None,
            PolicySpec::Rules(_) => &mut the_allow(case)?.max_lifetime,
        },
    };
    *lifetime = Some(shorter(lifetime.unwrap_or(400)));
    Some(())
}

fn withdraw(case: &mut Case, permission: Permission) -> Option<()> {
    use Permission::*;
    let index = case.ask.client;
    let target = a_target(case);
    let client = &mut case.clients[index];
    let switch = match permission {
        Exchange => &mut client.may_exchange,
        SelfExchange => &mut client.self_exchange,
        SeveralAudiences => &mut client.several_audiences,
        RepeatedActors => &mut client.repeated_actors,
        JwtOutput => &mut client.jwt_output,
        Carries => return client.carries.pop().map(drop),
        ListedTarget => &mut client.targets.get_or_insert([true; 3])[target?],
        DefaultTarget => return client.default_target.take().map(drop),
        Caller => &mut case.targets[target?].callers[index],
        Owner => {
            case.targets.iter_mut().filter(|target| target.owner == Some(index)).for_each(|target| target.owner = None);
            return Some(());
        }
        CarriedClaims => {
            case.targets[target?].claims = [false; 3];
            return Some(());
        }
        BelievedClaims => {
            case.issuer.claims = [false; 3];
            return Some(());
        }
        Presenter => &mut case.issuer.presenters[index],
        IdTokens => &mut case.issuer.id_tokens,
        ActorTokens => &mut case.issuer.actor_tokens,
        TrustedAct => &mut case.issuer.act,
        TrustedMayAct => &mut case.issuer.may_act,
        Acr => &mut case.issuer.acr,
        SeveralTargets => {
            case.server.max_targets = 1;
            return Some(());
        }
        ClientsAsSubjects => &mut the_allow(case)?.or_clients,
        OtherActors => {
            let actors = &mut the_allow(case)?.actors;
            if matches!(actors, ActorsSpec::Any) {
                *actors = ActorsSpec::Client;
            }
            return Some(());
        }
    };
    std::mem::take(switch).then_some(())
}
