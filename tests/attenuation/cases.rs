//! Random cases. Most parts of a case are correct, so that many cases end in a token. Each possible mistake occurs in some
//! cases.

use crate::{
    support::{ACCESS_TOKEN, AS, ID_TOKEN, IDP, JWT, NOW},
    world::*,
};
use proptest::{
    array::uniform3,
    bool::{Weighted, weighted},
    collection::vec,
    option,
    prelude::*,
    sample::select,
};
use serde_json::{Value, json};
use tower_token_exchange::proof::Permission;

pub fn any_case() -> impl Strategy<Value = Case> {
    let policy = prop_oneof![4 => prop_oneof![1 => vec(rule(), 0..2), 9 => vec(rule(), 2..5)].prop_map(PolicySpec::Rules), 5 => said().prop_map(PolicySpec::Service)];
    case(policy)
}

/// Cases with a policy whose decision for a smaller request is predictable: one allow rule with deny rules, or a service.
pub fn case_with_one_grant() -> impl Strategy<Value = Case> {
    let rules = (allow(), vec(deny(), 0..2)).prop_map(|(allow, mut rules)| {
        rules.push(allow);
        PolicySpec::Rules(rules)
    });
    case(prop_oneof![2 => rules, 1 => said().prop_map(PolicySpec::Service)])
}

/// Cases with one allow rule for each client, or a service.
pub fn case_with_a_grant_for_each_client() -> impl Strategy<Value = Case> {
    let rules = (uniform3(allow()), option::weighted(0.2, deny())).prop_map(|(mut allows, deny)| {
        for (index, allow) in allows.iter_mut().enumerate() {
            let mut only = [false; 3];
            only[index] = true;
            allow.clients = Some(only);
        }
        PolicySpec::Rules(allows.into_iter().chain(deny).collect())
    });
    case(prop_oneof![3 => rules, 1 => said().prop_map(PolicySpec::Service)])
}

/// Cases with a table of several allow rules.
pub fn case_with_many_grants() -> impl Strategy<Value = Case> {
    case((vec(allow(), 2..5), option::weighted(0.2, deny())).prop_map(|(mut rules, deny)| {
        rules.extend(deny);
        PolicySpec::Rules(rules)
    }))
}

pub fn case(policy: impl Strategy<Value = PolicySpec>) -> impl Strategy<Value = Case> {
    (server(), uniform3(client()), uniform3(target()), issuer(), policy, ask()).prop_map(
        |(server, clients, targets, issuer, policy, dice)| {
            let ask = dice.ask(&clients, &targets);
            let mut case = Case { server, clients, targets, issuer, policy, ask };
            mend(&mut case);
            case
        },
    )
}

/// Removes what the builder of the layer refuses.
pub fn mend(case: &mut Case) {
    for (index, client) in case.clients.iter_mut().enumerate() {
        let can_be_called =
            |target: &usize| case.targets[*target].callers[index] && client.targets.is_none_or(|list| list[*target]);
        client.default_target = client.default_target.filter(can_be_called);
    }
    // `act` and `may_act` do not name a tenant.
    if case.issuer.tenants {
        (case.issuer.act, case.issuer.may_act) = (false, false);
    }
    for target in &mut case.targets {
        for (_, here) in target.translation.iter_mut().flatten() {
            *here = here.and(target.scopes);
        }
    }
}

fn percent(percent: u32) -> Weighted {
    weighted(f64::from(percent) / 100.0)
}

/// Most of the scopes in records.
fn most_scopes() -> impl Strategy<Value = Scopes> {
    (any::<u8>(), any::<u8>()).prop_map(|(some, more)| Scopes((some | more) & 0b11111))
}

/// Any scopes, also the scope that is in no record.
fn some_scopes() -> impl Strategy<Value = Scopes> {
    (1..0b111111_u8).prop_map(Scopes)
}

fn lifetime() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(1_u64), 8 => 2..600_u64]
}

fn server() -> BoxedStrategy<ServerSpec> {
    let max_depth = prop_oneof![1 => Just(1_usize), 1 => Just(2), 4 => Just(3), 14 => 4..6_usize];
    (prop_oneof![300..301_u64, lifetime()], prop_oneof![2 => Just(1_usize), 5 => 2..4_usize], max_depth, percent(7))
        .prop_map(|(max_lifetime, max_targets, max_depth, strict)| ServerSpec {
            max_lifetime,
            max_targets,
            max_depth,
            strict,
        })
        .boxed()
}

fn client() -> BoxedStrategy<ClientSpec> {
    let carried = [
        (AS, "helper"),
        (AS, "alice"),
        (AS, "web"),
        (IDP, "agent-7"),
        (IDP, "red|agent-7"),
        (IDP, "bob"),
        (AS, "idp|bob"),
    ];
    let lists = (
        option::weighted(0.2, uniform3(percent(94))),
        option::weighted(0.3, most_scopes()),
        uniform3(most_scopes()),
        prop_oneof![4 => Just(Scopes(0)), 1 => select(vec![Scopes(1), Scopes(0b100001)])],
        option::weighted(0.9, 0..3_usize),
        option::weighted(0.3, lifetime()),
    );
    let switches = (percent(99), percent(50), percent(70), percent(50), percent(92));
    (lists, switches, vec(percent(65), carried.len()), [percent(90), percent(70)])
        .prop_map(move |(lists, switches, carries, tenants)| {
            let (targets, scopes, scopes_for_scopeless, ignored, default_target, max_lifetime) = lists;
            let (may_exchange, self_exchange, several_audiences, repeated_actors, jwt_output) = switches;
            let carries = carried.into_iter().zip(carries).filter(|(_, is_in)| *is_in);
            ClientSpec {
                may_exchange,
                targets,
                scopes,
                scopes_for_scopeless,
                ignored,
                default_target,
                max_lifetime,
                self_exchange,
                several_audiences,
                repeated_actors,
                jwt_output,
                tenants,
                carries: carries.map(|(party, _)| party).collect(),
            }
        })
        .boxed()
}

fn target() -> BoxedStrategy<TargetSpec> {
    let entries = vec(option::weighted(0.75, some_scopes()), 5).prop_map(|entries| {
        let entries: Vec<_> = entries.into_iter().enumerate().filter_map(|(bit, here)| Some((bit, here?))).collect();
        // An empty translation is no translation.
        (!entries.is_empty()).then_some(entries)
    });
    let scopes = most_scopes().prop_map(|scopes| scopes.or(Scopes(0b00010)));
    (
        option::weighted(0.8, 0..3_usize),
        uniform3(percent(98)),
        scopes,
        prop_oneof![3 => Just(None), 2 => entries],
        uniform3(percent(50)),
        option::weighted(0.3, lifetime()),
    )
        .prop_map(|(owner, callers, scopes, translation, claims, max_lifetime)| TargetSpec {
            owner,
            callers,
            scopes,
            translation,
            claims,
            max_lifetime,
        })
        .boxed()
}

fn issuer() -> BoxedStrategy<IssuerSpec> {
    let switches = (percent(95), percent(85), percent(80), percent(60), percent(60));
    (uniform3(percent(93)), uniform3(percent(88)), switches, uniform3(percent(60)), percent(15))
        .prop_map(|(client_names, presenters, (id_tokens, actor_tokens, act, may_act, acr), claims, tenants)| {
            IssuerSpec { client_names, presenters, tenants, id_tokens, actor_tokens, act, may_act, acr, claims }
        })
        .boxed()
}

fn actors() -> impl Strategy<Value = ActorsSpec> {
    let parties = [
        who(AS, "orders"),
        who(AS, "billing"),
        who(IDP, "agent-7"),
        who(AS, "idp|agent-7"),
        who(IDP, "billing-there"),
        who(AS, "helper"),
        who(AS, "idp|bob"),
        who(IDP, "red|agent-7"),
    ];
    prop_oneof![
        3 => Just(ActorsSpec::Client),
        6 => Just(ActorsSpec::Any),
        1 => vec(select(parties.to_vec()), 1..4).prop_map(ActorsSpec::Parties),
    ]
}

fn rule() -> impl Strategy<Value = RuleSpec> {
    prop_oneof![8 => allow(), 1 => deny()]
}

pub fn allow() -> BoxedStrategy<RuleSpec> {
    let subjects = (
        option::weighted(0.2, select(vec![AS, IDP])),
        option::weighted(0.2, vec(select(vec!["alice", "bob", "orders", "idp|bob"]), 1..4)),
        percent(75),
        option::weighted(0.1, claim()),
        option::weighted(0.1, token_type()),
    );
    let limits = (
        option::weighted(0.35, lifetime()),
        option::weighted(0.2, prop_oneof![1 => 0..3_usize, 3 => 3..6_usize]),
        binding(),
    );
    let semantics = prop_oneof![6 => Just((false, false)), 1 => Just((true, true)), 3 => Just((false, true))];
    let scopes =
        option::weighted(0.6, prop_oneof![some_scopes(), most_scopes().prop_map(|scopes| scopes.or(Scopes(1)))]);
    (some3(92), subjects, some3(92), actors(), scopes, semantics, limits)
        .prop_map(
            |(clients, (issuer, subs, or_clients, claim, token_type), targets, actors, scopes, semantics, limits)| {
                RuleSpec {
                    allows: true,
                    clients,
                    issuer,
                    // A name without an issuer would mean a different party at each issuer.
                    subs: subs.filter(|_| issuer.is_some()),
                    or_clients,
                    token_type,
                    claim,
                    targets,
                    actors,
                    scopes,
                    delegation: semantics.0,
                    impersonation: semantics.1,
                    max_lifetime: limits.0,
                    max_depth: limits.1,
                    binding: limits.2,
                }
            },
        )
        .boxed()
}

/// A deny rule that matches few requests.
pub fn deny() -> BoxedStrategy<RuleSpec> {
    let subjects = (
        option::weighted(0.4, select(vec![AS, IDP])),
        option::weighted(0.6, vec(select(DENIED.to_vec()), 1..3)),
        option::weighted(0.2, claim()),
        option::weighted(0.3, token_type()),
    );
    (some3(40), subjects, some3(40), actors())
        .prop_map(|(clients, (issuer, subs, claim, token_type), targets, actors)| RuleSpec {
            allows: false,
            // The builder refuses an empty list, which never matches.
            clients: clients.filter(|some| some.contains(&true)),
            issuer,
            subs,
            or_clients: false,
            token_type,
            claim,
            targets: targets.filter(|some| some.contains(&true)),
            actors,
            scopes: None,
            delegation: false,
            impersonation: false,
            max_lifetime: None,
            max_depth: None,
            binding: Permission::Unchanged,
        })
        .boxed()
}

fn binding() -> impl Strategy<Value = Permission> {
    prop_oneof![3 => Just(Permission::Unchanged), 2 => Just(Permission::Rebind), 1 => Just(Permission::Release)]
}

fn some3(each: u32) -> impl Strategy<Value = Option<Some3>> {
    option::weighted(0.5, uniform3(percent(each)))
}

fn token_type() -> impl Strategy<Value = &'static str> {
    select(vec![ACCESS_TOKEN, JWT, ID_TOKEN])
}

fn claim() -> impl Strategy<Value = (&'static str, &'static str)> {
    select(vec![("tenant", "the-tenant"), ("groups", "staff"), ("groups", "nobody"), ("internal", "x")])
}

/// An answer of an honest, a malicious or a broken policy.
fn said() -> BoxedStrategy<Said> {
    let scope = prop_oneof![
        6 => Just(SaidScope::Nothing),
        6 => Just(SaidScope::AsTheCeiling),
        1 => some_scopes().prop_map(SaidScope::TheCeilingAnd),
        1 => some_scopes().prop_map(SaidScope::Exactly),
        2 => select(vec![0, 1, 2, 4]).prop_map(|scopes| SaidScope::Exactly(Scopes(scopes))),
    ];
    let lifetime = prop_oneof![
        9 => Just(SaidLifetime::Nothing),
        5 => Just(SaidLifetime::AsTheCeiling),
        1 => prop_oneof![Just(1), Just(1000), 1..10_000_000_u64].prop_map(SaidLifetime::Longer),
        2 => prop_oneof![0..2000_u64, 0..400_000_u64].prop_map(SaidLifetime::Milliseconds),
    ];
    let max_depth = option::weighted(0.3, prop_oneof![1 => 0..3_usize, 3 => 3..6_usize, 1 => Just(usize::MAX)]);
    let grant = (percent(25), scope, lifetime, max_depth, binding());
    let grant = grant.prop_map(|(impersonation, scope, lifetime, max_depth, binding)| Said::Grant {
        impersonation,
        scope,
        lifetime,
        max_depth,
        binding,
    });
    prop_oneof![30 => grant, 1 => Just(Said::Deny), 1 => Just(Said::CannotBeAsked)].boxed()
}

/// A request whose numbers are resolved to names for its client.
#[derive(Clone, Debug)]
struct Dice {
    client: usize,
    subject: TokenDice,
    actor: Option<(Actor, TokenDice)>,
    targets: Vec<(bool, Option<usize>)>,
    scope: Option<Scopes>,
    requested_type: Option<&'static str>,
    proof: Option<usize>,
}

#[derive(Clone, Debug)]
struct TokenDice {
    kind: Kind,
    sub: &'static str,
    origin: Option<OriginSpec>,
    /// Whether the origin fits the subject.
    origin_fits: bool,
    tenant: &'static str,
    to_us: bool,
    aud: Vec<Audience>,
    left: u64,
    client_id: Name,
    azp: Option<Name>,
    scope: Option<Scopes>,
    act: Option<ActSpec>,
    may_act: Option<MayAct>,
    login: [Option<Value>; 3],
    extra: Some3,
    odd: (Cnf, bool),
}

#[derive(Clone, Copy, Debug)]
enum Audience {
    TheClient,
    ItsTarget,
    Client(usize),
    Target(usize),
    Us,
    Stranger,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    TheClient,
    Other(&'static str),
}

#[derive(Clone, Debug)]
enum MayAct {
    NamesWhoActs,
    NamesTheClientId,
    Other(MayActSpec),
}

#[derive(Clone, Debug)]
enum Actor {
    TheClient,
    /// An actor that the client may present.
    Carried(usize),
    Other(&'static str),
}

fn ask() -> BoxedStrategy<Dice> {
    let actor = prop_oneof![
        4 => Just(Actor::TheClient),
        8 => (0..6_usize).prop_map(Actor::Carried),
        3 => select(ACTORS.to_vec()).prop_map(Actor::Other),
    ];
    let target = (any::<bool>(), option::weighted(0.99, 0..3_usize));
    let targets = prop_oneof![1 => vec(target.clone(), 0..1), 8 => vec(target.clone(), 1..2), 1 => vec(target, 2..4)];
    let asked = prop_oneof![1 => some_scopes(), 4 => (most_scopes(), percent(20)).prop_map(|(scopes, admin)| {
        scopes.or(Scopes(if admin { 0b100010 } else { 0b000010 }))
    })];
    let requested = prop_oneof![
        6 => Just(None),
        3 => Just(Some(ACCESS_TOKEN)),
        2 => Just(Some(JWT)),
        1 => prop_oneof![19 => Just(None), 1 => Just(Some(REFRESH_TOKEN))],
    ];
    (
        0..3_usize,
        token(subject_kind(), SUBJECTS),
        option::weighted(0.3, (actor, token(actor_kind(), SUBJECTS))),
        targets,
        option::weighted(0.6, asked),
        requested,
        option::weighted(0.4, 0..2_usize),
    )
        .prop_map(|(client, subject, actor, targets, scope, requested_type, proof)| Dice {
            client,
            subject,
            actor,
            targets,
            scope,
            requested_type,
            proof,
        })
        .boxed()
}

/// The names in deny rules: own names, names at the foreign issuer, and names that the foreign names are mapped to.
const DENIED: [&str; 9] =
    ["alice", "bob", "orders", "idp|bob", "idp|alice", "orders-there", "idp|orders-there", "red|bob", "idp|red|alice"];
const SUBJECTS: [&str; 9] =
    ["alice", "bob", "carol", "dave", "erin", "idp|bob", "idp|red|alice", "orders", "orders-there"];
const ACTORS: [&str; 8] = ["helper", "agent-7", "alice", "bob", "idp|bob", "web", "billing-there", "orders"];

fn subject_kind() -> BoxedStrategy<Kind> {
    prop_oneof![6 => Just(Kind::Own), 3 => Just(Kind::Foreign), 2 => Just(Kind::IdToken)].boxed()
}

fn actor_kind() -> BoxedStrategy<Kind> {
    prop_oneof![10 => Just(Kind::Own), 10 => Just(Kind::Foreign), 1 => Just(Kind::IdToken)].boxed()
}

fn token(kind: BoxedStrategy<Kind>, subs: [&'static str; 9]) -> BoxedStrategy<TokenDice> {
    let audience = prop_oneof![
        16 => Just(Audience::TheClient),
        16 => Just(Audience::ItsTarget),
        1 => (0..3_usize).prop_map(Audience::Client),
        1 => (0..3_usize).prop_map(Audience::Target),
        1 => Just(Audience::Us),
        1 => Just(Audience::Stranger),
    ];
    let aud = prop_oneof![
        1 => vec(audience.clone(), 0..1),
        50 => vec(audience.clone(), 1..2),
        8 => vec(audience, 2..4),
    ];
    let left = prop_oneof![
        1 => 0..2000_u64,
        30 => (1..900_u64).prop_map(|seconds| seconds * 1000),
        // The fraction is exact in binary, so that JSON has the same fraction.
        8 => (1..900_u64, select(vec![125, 500, 875])).prop_map(|(seconds, rest)| seconds * 1000 + rest),
    ];
    let name = || {
        prop_oneof![
            1 => Just(Name::TheClient),
            1 => select(vec!["web", "orders", "nobody", "orders-there"]).prop_map(Name::Other),
        ]
    };
    let scope = prop_oneof![1 => Just(None), 9 => most_scopes().prop_map(Some), 1 => some_scopes().prop_map(Some)];
    let names = (percent(96), aud, name(), option::weighted(0.5, name()));
    let origin = (option::weighted(0.2, origin()), percent(95), select(TENANTS.to_vec()));
    let login = (
        option::weighted(0.4, select(vec![json!("high"), json!("low")])),
        option::weighted(0.3, select(vec![json!(["pwd"]), json!(["pwd", "otp"])])),
        option::weighted(0.3, select(vec![json!(NOW - 900), json!(7)])),
    );
    let cnf = prop_oneof![
        80 => Just(Cnf::Nothing),
        20 => (0..2_usize).prop_map(Cnf::Key),
        1 => Just(Cnf::Unknown),
    ];
    let odd = (cnf, percent(1));
    let acting = (option::weighted(0.3, act()), option::weighted(0.2, may_act()));
    (kind, (select(subs.to_vec()), origin), names, left, scope, acting, login, uniform3(percent(50)), odd)
        .prop_map(
            |(
                kind,
                (sub, (origin, origin_fits, tenant)),
                (to_us, aud, client_id, azp),
                left,
                scope,
                (act, may_act),
                login,
                extra,
                odd,
            )| {
                TokenDice {
                    kind,
                    sub,
                    origin,
                    origin_fits,
                    tenant,
                    to_us,
                    aud,
                    left,
                    client_id,
                    azp,
                    scope,
                    act,
                    may_act,
                    login: [login.0, login.1, login.2],
                    extra,
                    odd,
                }
            },
        )
        .boxed()
}

fn origin() -> impl Strategy<Value = OriginSpec> {
    let types = select(vec![vec![JWT], vec![ID_TOKEN], vec![JWT, ACCESS_TOKEN], vec![ACCESS_TOKEN]]);
    (any::<bool>(), types).prop_map(|(foreign, types)| OriginSpec { foreign, types })
}

fn act() -> BoxedStrategy<ActSpec> {
    let subs = ["orders", "billing", "web", "gateway", "agent-7", "orders-there", "alice"];
    let hop =
        (option::weighted(0.3, select(vec![AS, IDP, "https://other.example"])), select(subs.to_vec()), percent(20))
            .prop_map(|(iss, sub, name)| Hop { iss, sub, name });
    let broken = vec![
        Value::Null,
        json!("web"),
        json!([]),
        json!({}),
        json!({ "iss": AS }),
        json!({ "sub": "web", "exp": NOW }),
        json!({ "sub": "web", "act": null }),
        json!({ "sub": "web", "act": { "sub": "app", "scope": "admin" } }),
    ];
    prop_oneof![
        12 => vec(hop.clone(), 1..3).prop_map(ActSpec::Chain),
        5 => vec(hop, 2..6).prop_map(ActSpec::Chain),
        1 => select(broken).prop_map(ActSpec::Broken),
    ]
    .boxed()
}

fn may_act() -> BoxedStrategy<MayAct> {
    let parties = vec!["orders", "billing", "agent-7", "helper", "orders-there", "billing-there"];
    let other = (
        option::weighted(0.4, select(vec![AS, IDP, "https://other.example"])),
        option::weighted(0.7, select(parties.clone())),
        option::weighted(0.3, select(parties)),
        percent(15),
    )
        .prop_map(|(iss, sub, client_id, email)| MayAct::Other(MayActSpec::Party { iss, sub, client_id, email }));
    let broken = vec![Value::Null, json!("orders"), json!([]), json!({}), json!({ "sub": 7 }), json!({ "iss": AS })];
    prop_oneof![
        10 => Just(MayAct::NamesWhoActs),
        2 => Just(MayAct::NamesTheClientId),
        3 => other,
        1 => select(broken).prop_map(|value| MayAct::Other(MayActSpec::Broken(value))),
    ]
    .boxed()
}

impl Dice {
    fn ask(self, clients: &[ClientSpec; 3], targets: &[TargetSpec; 3]) -> Ask {
        let Self { client, subject, actor, targets: asked, scope, requested_type, proof } = self;
        let names_who_acts = matches!(subject.may_act, Some(MayAct::NamesWhoActs));
        let mut subject = subject.token(client, targets);
        let actor = actor.map(|(actor, mut dice)| {
            let carried = &clients[client].carries;
            let sub = match actor {
                Actor::TheClient => name_of(dice.kind, client),
                Actor::Other(sub) => sub,
                Actor::Carried(index) => match carried.get(index % carried.len().max(1)) {
                    Some((iss, sub)) => {
                        dice.kind = if *iss == AS { Kind::Own } else { Kind::Foreign };
                        // The tenant is in a claim of its own.
                        sub.strip_prefix("red|").unwrap_or(sub)
                    }
                    None => name_of(dice.kind, client),
                },
            };
            dice.sub = sub;
            let mut token = dice.token(client, targets);
            // An own token of a client was issued to that client.
            if CLIENTS.contains(&sub) && token.extra != [true; 3] {
                token.client_id = Some(sub);
            }
            // In an actor token, the first claim is refused and the second has no meaning.
            token.act = token.act.filter(|_| token.extra == [true; 3]);
            token.may_act = None;
            token
        });
        if let (true, Some(actor)) = (names_who_acts, &actor) {
            let (iss, sub) = (Some(actor.issuer()), Some(actor.sub));
            subject.may_act = Some(MayActSpec::Party { iss, sub, client_id: None, email: false });
        }
        Ask { client, subject, actor, targets: asked, scope, requested_type, proof }
    }
}

/// The name of a client in tokens of this kind.
fn name_of(kind: Kind, client: usize) -> &'static str {
    if kind == Kind::Own { CLIENTS[client] } else { NAMES_THERE[client] }
}

impl TokenDice {
    fn token(self, client: usize, targets: &[TargetSpec; 3]) -> TokenSpec {
        let kind = self.kind;
        let name = |name| match name {
            Name::TheClient => name_of(kind, client),
            Name::Other(name) => name,
        };
        let mut aud: Vec<String> = match (kind, self.to_us) {
            (Kind::Own, _) | (_, false) => Vec::new(),
            (Kind::Foreign, true) => vec![AS.to_owned()],
            (Kind::IdToken, true) => match self.aud[..] {
                // A token that was issued to another client.
                [Audience::Client(other) | Audience::Target(other)] => vec![NAMES_THERE[other].to_owned()],
                _ => vec![NAMES_THERE[client].to_owned()],
            },
        };
        // Most foreign tokens for the authorization server have no other audience.
        let further = if aud.is_empty() || self.aud.len() > 1 { &self.aud[..] } else { &[] };
        aud.extend(further.iter().map(|audience| match audience {
            Audience::TheClient => name_of(kind, client).to_owned(),
            Audience::ItsTarget => match targets.iter().position(|target| target.owner == Some(client)) {
                Some(target) => aud_of(target),
                None => name_of(kind, client).to_owned(),
            },
            Audience::Client(client) => name_of(kind, *client).to_owned(),
            Audience::Target(target) => aud_of(*target),
            Audience::Us => AS.to_owned(),
            Audience::Stranger => "https://stranger.example".to_owned(),
        }));
        let may_act = self.may_act.map(|may_act| match may_act {
            MayAct::NamesWhoActs => {
                MayActSpec::Party { iss: None, sub: Some(name_of(kind, client)), client_id: None, email: false }
            }
            MayAct::NamesTheClientId => {
                MayActSpec::Party { iss: None, sub: None, client_id: Some(name_of(kind, client)), email: false }
            }
            MayAct::Other(may_act) => may_act,
        });
        let foreign = kind == Kind::Own && self.sub.starts_with(PREFIX);
        let origin = match self.origin_fits {
            true if foreign => Some(self.origin.unwrap_or(OriginSpec { foreign, types: vec![JWT] })),
            _ => self.origin,
        };
        let origin = origin.map(|origin| if self.origin_fits { OriginSpec { foreign, ..origin } } else { origin });
        TokenSpec {
            kind,
            sub: self.sub,
            tenant: self.tenant,
            origin,
            aud,
            left: self.left,
            // An own access token always has `client_id`. An ID token has neither `client_id` nor a scope.
            client_id: match kind {
                Kind::Own => Some(name(self.client_id)),
                Kind::Foreign => self.extra[0].then(|| name(self.client_id)),
                Kind::IdToken => None,
            },
            azp: self.azp.map(name),
            scope: if kind == Kind::IdToken { None } else { self.scope },
            act: self.act,
            may_act,
            login: self.login,
            extra: self.extra,
            cnf: self.odd.0,
            authorization_details: self.odd.1,
        }
    }
}
