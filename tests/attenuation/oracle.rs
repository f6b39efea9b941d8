//! The allowed results of a case, computed a second time from its plain values.
//!
//! The oracle follows the documented rules and shares no code with the layer. The oracle does not know the order of the
//! checks: it collects every reason to refuse a request, and accepts each of these reasons.

use crate::{
    support::{ACCESS_TOKEN, AS, IDP, JWT, NOW},
    world::*,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tower_token_exchange::proof::Permission;

/// Codes of reasons.
type Codes = BTreeSet<&'static str>;

/// The allowed results of a request.
#[derive(Debug)]
pub struct Verdict {
    /// The codes of the allowed refusals. If empty, the layer must issue a token.
    pub grounds: Codes,
    /// The allowed tokens. If empty, the layer must refuse the request.
    pub grants: Vec<Bound>,
}

/// The most that a token may contain.
#[derive(Clone, Debug)]
pub struct Bound {
    pub issued_type: &'static str,
    pub sub: String,
    pub aud: BTreeSet<String>,
    pub client_id: &'static str,
    pub scope: Scopes,
    /// Seconds since 1970.
    pub exp: u64,
    /// `None` only for an impersonation.
    pub act: Option<Value>,
    /// The value of each claim that the token may have.
    pub login: [Option<Value>; 3],
    pub extra: Map<String, Value>,
    pub exchanged_from: Option<Value>,
    /// The key that the token is bound to.
    pub key: Option<usize>,
}

/// Who a party is, whatever its names are.
#[derive(PartialEq, Eq)]
enum Identity {
    Client(&'static str),
    /// A subject of the foreign issuer, by its name there.
    Foreign(String),
    Other(Who),
}

/// The actor.
struct Acting {
    party: Who,
    is_client: bool,
}

struct Facts<'a> {
    case: &'a Case,
    client: &'a ClientSpec,
    client_id: &'static str,
    subject: &'a TokenSpec,
    grounds: Codes,
}

pub fn judge(case: &Case) -> Verdict {
    let Ask { client, subject, .. } = &case.ask;
    let mut facts =
        Facts { case, client: &case.clients[*client], client_id: CLIENTS[*client], subject, grounds: BTreeSet::new() };
    let ceiling = facts.ceiling();
    match ceiling {
        Some(ceiling) if facts.grounds.is_empty() => facts.chosen(ceiling),
        _ => Verdict { grounds: facts.grounds, grants: Vec::new() },
    }
}

/// The most that the records allow, and the actor.
struct Ceiling {
    /// Everything except the scope and the lifetime is final.
    bound: Bound,
    milliseconds: u64,
    acting: Acting,
    prior: Vec<Link>,
    targets: Vec<usize>,
    delegation: Result<Vec<Link>, &'static str>,
    impersonation: bool,
}

/// A hop of the chain of actors, with its name space.
#[derive(Clone)]
struct Link {
    party: Who,
    name: Option<Value>,
}

impl Facts<'_> {
    fn refuse_if(&mut self, applies: bool, code: &'static str) {
        if applies {
            self.grounds.insert(code);
        }
    }

    fn ceiling(&mut self) -> Option<Ceiling> {
        let case = self.case;
        self.refuse_if(!self.client.may_exchange, "grant_not_allowed");
        let issued_type = case.ask.requested_type.unwrap_or(ACCESS_TOKEN);
        let can_be_had = issued_type == ACCESS_TOKEN || (issued_type == JWT && self.client.jwt_output);
        self.refuse_if(!can_be_had, "requested_token_type_unsupported");
        let targets = self.targets();
        self.subject_token();
        self.actor_token();
        let acting = self.acting()?;
        let named = self.may_act(&acting);
        self.presenter(named && acting.is_client);
        let permissions = [Permission::Unchanged, Permission::Rebind, Permission::Release];
        if let [Err(codes), Err(_), Err(_)] = permissions.map(|permission| self.binding(permission)) {
            self.grounds.extend(codes);
        }
        let prior = self.prior()?;
        let (delegation, impersonation) = self.chains(&acting, prior.clone());
        if let (Err(code), false) = (delegation.as_ref(), impersonation) {
            self.refuse_if(true, code);
        }

        let left = case.ask.actor.iter().map(|actor| actor.left).chain([self.subject.left]).min()? / 1000;
        let records = targets.iter().filter_map(|target| case.targets[*target].max_lifetime);
        let lifetimes = records.chain(self.client.max_lifetime).chain([case.server.max_lifetime, left]);
        let lifetime = lifetimes.min()?;
        let scope = self.scope(&targets);
        self.refuse_if(scope.is_empty(), "scope_empty");
        if let Some(asked) = self.asked() {
            self.refuse_if(asked.and(scope).is_empty(), "scope_empty");
            self.refuse_if(case.server.strict && !asked.is_within(scope), "scope_exceeded");
        }
        let bound = Bound {
            issued_type,
            sub: self.issued_sub(self.subject),
            aud: targets.iter().map(|target| aud_of(*target)).collect(),
            client_id: self.client_id,
            scope,
            exp: NOW + lifetime,
            act: None,
            login: self.login(),
            extra: self.extra(&targets),
            exchanged_from: self.exchanged_from(issued_type),
            key: None,
        };
        let milliseconds = lifetime * 1000;
        Some(Ceiling { bound, milliseconds, acting, prior, targets, delegation, impersonation })
    }

    /// The requested scope without ignored scope tokens.
    fn asked(&self) -> Option<Scopes> {
        let asked = self.case.ask.scope?.without(self.client.ignored);
        (!asked.is_empty()).then_some(asked)
    }

    fn targets(&mut self) -> Vec<usize> {
        let asked = &self.case.ask.targets;
        self.refuse_if(asked.iter().any(|(_, target)| target.is_none()), "target_unknown");
        let mut targets: Vec<usize> = asked.iter().filter_map(|(_, target)| *target).collect();
        if asked.is_empty() {
            targets.extend(self.client.default_target);
            self.refuse_if(targets.is_empty(), "target_missing");
        }
        targets.sort_unstable();
        targets.dedup();
        self.refuse_if(targets.len() > self.case.server.max_targets, "too_many_targets");
        for target in &targets {
            let called = self.case.targets[*target].callers[self.case.ask.client];
            let listed = self.client.targets.is_none_or(|list| list[*target]);
            self.refuse_if(!called || !listed, "target_not_allowed");
        }
        targets
    }

    fn subject_token(&mut self) {
        let subject = self.subject;
        self.refuse_if(subject.kind == Kind::IdToken && !self.case.issuer.id_tokens, "subject_token_type_unsupported");
        self.token(subject);
        self.refuse_if(subject.authorization_details, "authorization_details_unsupported");
        let malformed = matches!(subject.act, Some(ActSpec::Broken(_)));
        let foreign = subject.kind != Kind::Own;
        self.refuse_if(subject.act.is_some() && foreign && !self.case.issuer.act, "chain_not_trusted");
        self.refuse_if(malformed, "chain_malformed");
    }

    fn actor_token(&mut self) {
        let Some(actor) = &self.case.ask.actor else { return };
        self.refuse_if(actor.kind == Kind::IdToken, "actor_token_type_unsupported");
        self.refuse_if(actor.kind == Kind::Foreign && !self.case.issuer.actor_tokens, "actor_issuer_not_trusted");
        self.token(actor);
        self.refuse_if(actor.act.is_some(), "actor_delegated");
        self.refuse_if(matches!(actor.may_act, Some(MayActSpec::Broken(Value::String(_)))), "may_act_malformed");
    }

    /// The checks for every token.
    fn token(&mut self, token: &TokenSpec) {
        self.refuse_if(token.left < 1000, "token_expired");
        self.refuse_if(token.cnf == Cnf::Unknown, "token_sender_constrained");
        let to_us = match token.kind {
            Kind::Own => true,
            Kind::Foreign => token.aud.iter().any(|name| name == AS),
            Kind::IdToken => token.aud.iter().any(|name| self.ours_by_name_there(name).is_some()),
        };
        self.refuse_if(!to_us, "token_not_for_us");
        self.refuse_if(!self.serves_tenant(token), "tenant_mismatch");
        if token.kind == Kind::Own {
            let is_foreign = token.origin.as_ref().is_some_and(|origin| origin.foreign);
            let has_foreign_name = token.sub.starts_with(PREFIX);
            self.refuse_if(has_foreign_name && !is_foreign, "token_origin_missing");
            self.refuse_if(!has_foreign_name && is_foreign, "token_origin_invalid");
        }
    }

    /// The client that the foreign issuer means by a name.
    fn ours_by_name_there(&self, name: &str) -> Option<&'static str> {
        let index = NAMES_THERE.iter().position(|there| *there == name)?;
        self.case.issuer.client_names[index].then_some(CLIENTS[index])
    }

    /// The client that an issuer means by a name.
    fn client_meant(&self, iss: &str, name: &str) -> Option<&'static str> {
        match iss {
            AS => CLIENTS.into_iter().find(|client| *client == name),
            IDP => self.ours_by_name_there(name),
            _ => None,
        }
    }

    /// A party under its local name.
    fn known_as(&self, iss: &str, sub: &str) -> Who {
        match (iss == IDP).then(|| self.ours_by_name_there(sub)).flatten() {
            Some(client) => who(AS, client),
            None => who(iss, sub),
        }
    }

    /// Who a name means, whatever the name is: a client of ours, a subject of the foreign issuer, or a party that no record
    /// renames.
    fn identity(&self, party: &Who) -> Identity {
        let foreign = match party.iss.as_str() {
            IDP => Some(party.sub.as_str()),
            AS => party.sub.strip_prefix(PREFIX),
            _ => None,
        };
        match foreign {
            Some(sub) => match self.ours_by_name_there(sub) {
                Some(client) => Identity::Client(client),
                None => Identity::Foreign(sub.to_owned()),
            },
            None => match self.client_meant(AS, &party.sub).filter(|_| party.iss == AS) {
                Some(client) => Identity::Client(client),
                None => Identity::Other(party.clone()),
            },
        }
    }

    /// Every name of a party.
    fn all_names(&self, party: &Who) -> Vec<Who> {
        let both = |sub: &str| [who(IDP, sub), who(AS, &format!("{PREFIX}{sub}"))];
        match self.identity(party) {
            Identity::Client(client) => {
                let there = (0..3).filter(|index| self.case.issuer.client_names[*index] && CLIENTS[*index] == client);
                there.flat_map(|index| both(NAMES_THERE[index])).chain([who(AS, client)]).collect()
            }
            Identity::Foreign(sub) => both(&sub).into(),
            Identity::Other(party) => vec![party],
        }
    }

    /// The types of all tokens that led to the subject token, and its own type.
    fn types(&self) -> Vec<&'static str> {
        let earlier = self.subject.origin.iter().filter(|_| self.subject.kind == Kind::Own);
        let mut types: Vec<_> = earlier.flat_map(|origin| origin.types.clone()).collect();
        if !types.contains(&self.subject.token_type()) {
            types.push(self.subject.token_type());
        }
        types
    }

    fn exchanged_from(&self, issued_type: &'static str) -> Option<Value> {
        let foreign = self.subject.kind != Kind::Own || self.subject.sub.starts_with(PREFIX);
        let types = self.types();
        (foreign || types != [issued_type]).then(|| OriginSpec { foreign, types }.to_json())
    }

    /// The party of a token, as its issuer names it.
    fn party(&self, token: &TokenSpec) -> Who {
        match token.kind != Kind::Own && self.case.issuer.tenants {
            true => who(IDP, &format!("{}|{}", token.tenant, token.sub)),
            false => who(token.issuer(), token.sub),
        }
    }

    fn issued_sub(&self, token: &TokenSpec) -> String {
        let there = self.party(token).sub;
        if token.kind == Kind::Own { there } else { format!("{PREFIX}{there}") }
    }

    /// Whether the client serves the tenant of a token, or the tenant that an exchanged token came from.
    fn serves_tenant(&self, token: &TokenSpec) -> bool {
        let party = self.party(token);
        let there = if token.kind == Kind::Own { party.sub.strip_prefix(PREFIX) } else { Some(&*party.sub) };
        there.filter(|_| self.case.issuer.tenants).is_none_or(|there| {
            let tenant = there.split_once('|').map(|(tenant, _)| tenant);
            TENANTS.iter().zip(self.client.tenants).any(|(known, serves)| serves && tenant == Some(known))
        })
    }

    fn acting(&mut self) -> Option<Acting> {
        let itself = who(AS, self.client_id);
        let Some(token) = &self.case.ask.actor else { return Some(Acting { party: itself, is_client: true }) };
        let Who { iss, sub } = self.party(token);
        let party = self.known_as(&iss, &sub);
        // A user may have the name of a client. A token that a client obtained for itself was issued to that client.
        let own_of_a_user = token.kind == Kind::Own && token.client_id != Some(self.client_id);
        if party == itself && !own_of_a_user {
            return Some(Acting { party, is_client: true });
        }
        let carried = self.client.carries.iter().any(|(iss, sub)| party == who(iss, sub));
        self.refuse_if(!carried, "actor_not_carried");
        carried.then_some(Acting { party, is_client: false })
    }

    /// Whether `may_act` names the actor. A mismatch is a reason to refuse.
    fn may_act(&mut self, acting: &Acting) -> bool {
        let (iss, sub, client_id, email) = match &self.subject.may_act {
            None => return false,
            Some(MayActSpec::Broken(_)) => {
                self.refuse_if(true, "may_act_malformed");
                return false;
            }
            Some(MayActSpec::Party { iss, sub, client_id, email }) => (iss, sub, client_id, email),
        };
        let iss = iss.unwrap_or(self.subject.issuer());
        let sub_fits = sub.is_none_or(|sub| self.known_as(iss, sub) == acting.party);
        let client_fits =
            client_id.is_none_or(|client| acting.is_client && self.client_meant(iss, client) == Some(self.client_id));
        // Every token of this world has the same email address, but only an actor token proves the address of the actor.
        let email_fits = !email || self.case.ask.actor.is_some();
        let malformed = sub.is_none() && client_id.is_none();
        let fits = sub_fits && client_fits && email_fits && !malformed;
        self.refuse_if(malformed, "may_act_malformed");
        self.refuse_if(!fits && !malformed, "may_act_mismatch");
        fits
    }

    fn presenter(&mut self, named_by_may_act: bool) {
        let TokenSpec { kind, aud, client_id, azp, .. } = self.subject;
        let (own, iss) = (*kind == Kind::Own, self.subject.issuer());
        self.refuse_if(aud.is_empty(), "presenter_unknown");
        let named = named_by_may_act && (own || self.case.issuer.may_act);
        let me = Some(self.client_id);
        let owns = |name: &String| {
            let mine = |(index, target): (usize, &TargetSpec)| {
                target.owner == Some(self.case.ask.client) && aud_of(index) == *name
            };
            own && self.case.targets.iter().enumerate().any(mine)
        };
        let received = aud.iter().any(|name| self.client_meant(iss, name) == me || owns(name));
        let issued_to = client_id.or(*azp).and_then(|name| self.client_meant(iss, name));
        let to_itself = self.client.self_exchange && *kind != Kind::IdToken && issued_to == me;
        let listed = !own && self.case.issuer.presenters[self.case.ask.client];
        self.refuse_if(!(received || to_itself || named || listed), "presenter_unrelated");
        let several = aud.iter().collect::<BTreeSet<_>>().len() > 1;
        self.refuse_if(several && !self.client.several_audiences && !named, "several_audiences");
    }

    /// The key that the issued token is bound to, which is the key of the proof, or every reason to refuse.
    fn binding(&self, permission: Permission) -> Result<Option<usize>, Codes> {
        let proof = self.case.ask.proof;
        let actor_key = self.case.ask.actor.as_ref().map_or(Cnf::Nothing, |actor| actor.cnf);
        let of_actor = matches!(actor_key, Cnf::Key(key) if proof != Some(key)).then_some("binding_not_proven");
        let codes: Codes = of_actor.into_iter().chain(self.problem_of_binding(permission)).collect();
        if codes.is_empty() { Ok(proof) } else { Err(codes) }
    }

    /// Why a bound subject token cannot be exchanged with this permission.
    fn problem_of_binding(&self, permission: Permission) -> Option<&'static str> {
        let Cnf::Key(key) = self.subject.cnf else { return None };
        let issued_to = self.subject.client_id.or(self.subject.azp);
        let meant = issued_to.and_then(|name| self.client_meant(self.subject.issuer(), name));
        match (self.case.ask.proof, permission) {
            (Some(_), Permission::Rebind) | (_, Permission::Release) => None,
            (Some(proven), _) if proven == key && meant == Some(self.client_id) => None,
            (Some(proven), _) if proven == key => Some("binding_of_other_client"),
            _ => Some("binding_not_proven"),
        }
    }

    /// The actors that the subject token names.
    fn prior(&self) -> Option<Vec<Link>> {
        let link = |hop: &Hop| Link {
            party: who(hop.iss.unwrap_or(self.subject.issuer()), hop.sub),
            name: hop.name.then(|| json!("Somebody")),
        };
        match &self.subject.act {
            None => Some(Vec::new()),
            Some(ActSpec::Broken(_)) => None,
            Some(ActSpec::Chain(hops)) => Some(hops.iter().map(link).collect()),
        }
    }

    fn chains(&self, acting: &Acting, prior: Vec<Link>) -> (Result<Vec<Link>, &'static str>, bool) {
        let impersonation = prior.is_empty() && self.case.ask.actor.is_none();
        let delegation = if self.identity(&acting.party) == self.identity(&self.party(self.subject)) {
            Err("actor_is_subject")
        } else {
            self.extended(prior, acting)
        };
        (delegation, impersonation)
    }

    fn extended(&self, prior: Vec<Link>, acting: &Acting) -> Result<Vec<Link>, &'static str> {
        let identity = self.identity(&acting.party);
        let is_actor = |link: &Link| self.identity(&link.party) == identity;
        let is_current = prior.first().is_some_and(is_actor);
        if !is_current && prior.iter().any(is_actor) && !self.client.repeated_actors {
            return Err("actor_repeated");
        }
        let mut chain = Vec::new();
        if !is_current {
            let party = match identity {
                Identity::Client(client) => who(AS, client),
                Identity::Foreign(sub) => who(IDP, &sub),
                Identity::Other(party) => party,
            };
            chain.push(Link { party, name: None });
        }
        chain.extend(prior);
        if chain.len() > self.case.server.max_depth { Err("chain_too_deep") } else { Ok(chain) }
    }

    fn scope(&self, targets: &[usize]) -> Scopes {
        let everything = Scopes(u8::MAX);
        let at = |index: &usize| {
            let target = &self.case.targets[*index];
            let here = match (self.subject.scope, &target.translation) {
                (None, _) => self.client.scopes_for_scopeless[self.subject.kind as usize],
                (Some(scope), None) => scope,
                (Some(scope), Some(worth)) => worth
                    .iter()
                    .filter(|(upstream, _)| Scopes(1 << upstream).is_within(scope))
                    .fold(Scopes::default(), |sum, (_, here)| sum.or(*here)),
            };
            here.and(target.scopes)
        };
        let caps = targets.iter().map(at).chain(self.client.scopes);
        // A missing target is a reason to refuse already.
        caps.fold(everything, Scopes::and)
    }

    fn login(&self) -> [Option<Value>; 3] {
        let [acr, amr, auth_time] = self.subject.login.clone();
        let acr = match self.subject.kind {
            Kind::Own => acr,
            _ => acr.filter(|acr| self.case.issuer.acr && acr == ACR.0).map(|_| json!(ACR.1)),
        };
        [acr, amr, auth_time]
    }

    fn extra(&self, targets: &[usize]) -> Map<String, Value> {
        let carried = (0..EXTRA.len()).filter(|index| {
            self.subject.extra[*index]
                && targets.iter().all(|target| self.case.targets[*target].claims[*index])
                && (self.subject.kind == Kind::Own || self.case.issuer.claims[*index])
        });
        carried.map(|index| (EXTRA[index].to_owned(), extra_value(EXTRA[index]))).collect()
    }

    // The policy.

    fn chosen(self, ceiling: Ceiling) -> Verdict {
        let outcomes = match &self.case.policy {
            PolicySpec::Rules(rules) => self.by_rules(rules, &ceiling),
            PolicySpec::Service(said) => vec![self.by_service(said, &ceiling)],
        };
        let mut verdict = Verdict { grounds: BTreeSet::new(), grants: Vec::new() };
        for outcome in outcomes {
            match outcome {
                Ok(bound) => verdict.grants.push(bound),
                Err(codes) => verdict.grounds.extend(codes),
            }
        }
        verdict
    }

    /// A matching deny rule refuses. Otherwise one allow rule decides. The rules are checked one by one, because their
    /// grants never add up.
    fn by_rules(&self, rules: &[RuleSpec], ceiling: &Ceiling) -> Vec<Result<Bound, Codes>> {
        if rules.iter().any(|rule| !rule.allows && self.is_about(rule, ceiling)) {
            return vec![Err(["policy_denied"].into())];
        }
        let allows = rules.iter().filter(|rule| rule.allows && self.is_about(rule, ceiling));
        let outcomes: Vec<_> = allows
            .map(|rule| {
                let impersonation = rule.impersonation && !rule.delegation;
                let lifetime = rule.max_lifetime.map_or(u64::MAX, |lifetime| lifetime * 1000);
                let scope = rule.scopes.map_or(ceiling.bound.scope, |scopes| scopes.and(ceiling.bound.scope));
                let lifetime = lifetime.min(ceiling.milliseconds);
                self.granted(ceiling, impersonation, scope, lifetime, rule.max_depth, rule.binding)
            })
            .collect();
        if outcomes.is_empty() { vec![Err(["policy_no_rule"].into())] } else { outcomes }
    }

    fn is_about(&self, rule: &RuleSpec, ceiling: &Ceiling) -> bool {
        let subject = self.subject;
        let own = subject.kind == Kind::Own;
        let party = self.party(subject);
        let is_client = |party: &Who| {
            let known = self.known_as(&party.iss, &party.sub);
            known.iss == AS && CLIENTS.contains(&known.sub.as_str())
        };
        // After an exchange, a client is still recognized as that client.
        let was = subject.sub.strip_prefix(PREFIX).filter(|_| own).map(|sub| who(IDP, sub));
        let issued_to_itself = subject.client_id.or(subject.azp) == Some(subject.sub);
        let is_known = is_client(&party) && (!own || subject.act.is_some());
        let is_a_client = issued_to_itself || is_known || was.as_ref().is_some_and(is_client);
        let names = |party: &Who| {
            rule.issuer.is_none_or(|iss| party.iss == iss)
                && rule.subs.as_ref().is_none_or(|subs| subs.contains(&party.sub.as_str()))
        };
        let claim_fits = rule.claim.is_none_or(|(name, wanted)| match subject.claims().get(name) {
            Some(Value::Array(many)) => many.contains(&json!(wanted)),
            Some(one) => *one == wanted,
            None => false,
        });
        let targets_fit = rule.targets.is_none_or(|list| {
            let mut targets = ceiling.targets.iter().map(|target| list[*target]);
            if rule.allows { targets.all(|listed| listed) } else { targets.any(|listed| listed) }
        });
        let actors_fit = match &rule.actors {
            ActorsSpec::Client => ceiling.acting.is_client,
            ActorsSpec::Any => true,
            ActorsSpec::Parties(parties) if rule.allows => parties.contains(&ceiling.acting.party),
            // A deny rule matches the current actor and the earlier actors, under every name.
            ActorsSpec::Parties(parties) => {
                let earlier = ceiling.prior.iter().map(|link| &link.party);
                let mut actors = earlier.chain([&ceiling.acting.party]).flat_map(|actor| self.all_names(actor));
                actors.any(|name| parties.contains(&name))
            }
        };
        let subject_fits = if rule.allows { names(&party) } else { self.all_names(&party).iter().any(names) };
        let type_fits = rule.token_type.is_none_or(|wanted| match rule.allows {
            true => subject.token_type() == wanted,
            false => self.types().contains(&wanted),
        });
        rule.clients.is_none_or(|list| list[self.case.ask.client])
            && subject_fits
            && type_fits
            && (!rule.allows || rule.or_clients || !is_a_client)
            && claim_fits
            && targets_fit
            && actors_fit
    }

    /// A grant above the ceiling is a defect of the policy.
    fn by_service(&self, said: &Said, ceiling: &Ceiling) -> Result<Bound, Codes> {
        let (impersonation, scope, lifetime, max_depth, binding) = match said {
            Said::Grant { impersonation, scope, lifetime, max_depth, binding } => {
                (impersonation, scope, lifetime, max_depth, binding)
            }
            Said::Deny => return Err(["policy_denied"].into()),
            Said::CannotBeAsked => return Err(["policy_unavailable"].into()),
        };
        let scope = match scope {
            SaidScope::Nothing | SaidScope::AsTheCeiling => ceiling.bound.scope,
            SaidScope::TheCeilingAnd(more) => ceiling.bound.scope.or(*more),
            SaidScope::Exactly(scope) => *scope,
        };
        let lifetime = match lifetime {
            SaidLifetime::Nothing | SaidLifetime::AsTheCeiling => ceiling.milliseconds,
            SaidLifetime::Longer(by) => ceiling.milliseconds + by,
            SaidLifetime::Milliseconds(lifetime) => *lifetime,
        };
        if !scope.is_within(ceiling.bound.scope) || lifetime > ceiling.milliseconds {
            return Err(["policy_widened"].into());
        }
        self.granted(ceiling, *impersonation, scope, lifetime, *max_depth, *binding)
    }

    /// The result of a grant within the ceiling.
    fn granted(
        &self,
        ceiling: &Ceiling,
        impersonation: bool,
        scope: Scopes,
        lifetime: u64,
        max_depth: Option<usize>,
        permission: Permission,
    ) -> Result<Bound, Codes> {
        let key = self.binding(permission);
        let chain = match (impersonation, &ceiling.delegation) {
            (true, _) if ceiling.impersonation => Ok(Vec::new()),
            (true, _) => Err("impersonation_impossible"),
            (false, delegation) => delegation.clone(),
        };
        let asked = self.asked();
        let scope = asked.map_or(scope, |asked| asked.and(scope));
        let too_deep = |chain: &Vec<Link>| max_depth.is_some_and(|depth| chain.len() > depth);
        let too_little = self.case.server.strict && asked.is_some_and(|asked| !asked.is_within(scope));
        let grounds = [
            (true, chain.as_ref().err().copied()),
            (chain.as_ref().is_ok_and(too_deep), Some("chain_too_deep")),
            (lifetime < 1000, Some("policy_denied")),
            (scope.is_empty(), Some("scope_empty")),
            (too_little, Some("scope_exceeded")),
        ];
        let of_binding = key.as_ref().err().into_iter().flatten().copied();
        let grounds = grounds.into_iter().filter(|(applies, _)| *applies).filter_map(|(_, code)| code);
        let codes: Codes = grounds.chain(of_binding).collect();
        let (Ok(chain), Ok(key)) = (chain, key) else { return Err(codes) };
        if !codes.is_empty() {
            return Err(codes);
        }
        let act = chain.iter().rev().fold(None, |inner: Option<Value>, link| {
            let mut act = json!({ "sub": link.party.sub });
            if link.party.iss != AS {
                act["iss"] = link.party.iss.clone().into();
            }
            for (name, value) in [("name", link.name.clone()), ("act", inner)] {
                if let Some(value) = value {
                    act[name] = value;
                }
            }
            Some(act)
        });
        Ok(Bound { scope, exp: NOW + lifetime / 1000, act, key, ..ceiling.bound.clone() })
    }
}

impl Bound {
    /// Returns the first part of a token that exceeds this.
    pub fn exceeded_by(&self, issued: &Issued) -> Option<String> {
        let claims = &issued.claims;
        let claim = |name: &str| claims.get(name).cloned().unwrap_or(Value::Null);
        let scope = issued.scope();
        let typ = if self.issued_type == ACCESS_TOKEN { "at+jwt" } else { "JWT" };
        let token_type = match self.key {
            _ if self.issued_type != ACCESS_TOKEN => "N_A",
            Some(_) => "DPoP",
            None => "Bearer",
        };
        let cnf = self.key.map(|key| json!({ "jkt": jkt(key) }));
        let answer = json!({
            "access_token": null, "issued_token_type": self.issued_type, "token_type": token_type,
            "expires_in": issued.exp() - NOW, "scope": claim("scope"),
        });
        let known = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "act", "exchanged_from", "cnf"];
        let stray = |name: &&String| {
            !known.contains(&name.as_str()) && !LOGIN.contains(&name.as_str()) && !self.extra.contains_key(*name)
        };
        let login_fits = LOGIN
            .into_iter()
            .zip(&self.login)
            .all(|(name, value)| claims.get(name).is_none_or(|is| Some(is) == value.as_ref()));
        let extra_fits = self.extra.iter().all(|(name, value)| claims.get(name).is_none_or(|is| is == value));
        let one_aud_is_text = self.aud.len() > 1 || claims["aud"].is_string();
        let holds = [
            ("iss", claim("iss") == AS),
            ("sub", claim("sub") == json!(self.sub)),
            ("aud", issued.aud() == self.aud && one_aud_is_text),
            ("client_id", claim("client_id") == self.client_id),
            ("scope", !scope.is_empty() && scope.is_within(self.scope)),
            ("exp", NOW < issued.exp() && issued.exp() <= self.exp),
            ("iat", claim("iat") == NOW),
            ("act", claims.get("act") == self.act.as_ref()),
            ("semantics", issued.semantics == Some(if self.act.is_some() { "delegation" } else { "impersonation" })),
            ("exchanged_from", claims.get("exchanged_from") == self.exchanged_from.as_ref()),
            ("cnf", claims.get("cnf") == cnf.as_ref()),
            ("login", login_fits),
            ("extra claims", extra_fits),
            ("no further claims", claims.keys().find(stray).is_none()),
            ("typ", issued.typ == typ),
            ("answer", issued.answer == answer),
        ];
        let broken: Vec<_> = holds.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| what).collect();
        (!broken.is_empty()).then(|| broken.join(", "))
    }

    /// Whether a token grants all of this. Without this check, an oracle that allows too much would find no mistake.
    pub fn is_reached_by(&self, issued: &Issued) -> bool {
        let extra = self.extra.iter().all(|(name, value)| issued.claims.get(name) == Some(value));
        issued.scope() == self.scope && issued.exp() == self.exp && extra
    }
}
