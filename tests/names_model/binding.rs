//! The check of bindings: whoever a foreign issuer calls our client is no owner of a bound token, and no exchange makes a token
//! less bound than its rule says.
//!
//! A world is a set of records, a first token that is free, bound to a key or bound to something unknown, the client that the
//! token names, the proof in the request, and what the policy permits. Each issued token is exchanged once more, by another client.

use crate::{
    layer::{Exchanged, Token, World, first_token_with},
    model::HUB_AT_F,
    support::{AS, Minter, NOW},
    world::{First, Holder, Iss, Records, Type, all_records},
};
use serde_json::{Value, json};
use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};
use tower_token_exchange::{
    Reason,
    policy::{Grant, Semantics},
    proof::Permission,
    signing::Algorithm,
};

/// What a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Free,
    ToKey(usize),
    ToSomethingUnknown,
}

/// The keys of two provers.
static PROVERS: LazyLock<[Minter; 2]> = LazyLock::new(|| [(); 2].map(|()| Minter::new("", Algorithm::ES256)));

fn jwk(prover: usize) -> Value {
    let keys: Value = serde_json::from_str(&PROVERS[prover].key.published_keys().to_json()).unwrap();
    keys["keys"][0].clone()
}

/// A new proof of a key.
fn proof(prover: usize) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(prover) });
    let jti = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
    let claims = json!({ "jti": jti, "htm": "POST", "htu": format!("{AS}/token"), "iat": NOW });
    PROVERS[prover].sign(&header, &claims)
}

fn confirmation(bound: Bound) -> Value {
    match bound {
        Bound::Free => Value::Null,
        // The id of a key is its thumbprint.
        Bound::ToKey(prover) => json!({ "jkt": jwk(prover)["kid"] }),
        Bound::ToSomethingUnknown => json!({ "kid": "a-key-that-nobody-knows" }),
    }
}

/// Whether a token of an issuer that names this client was issued to our client `hub`: by our own name of the client, or by the
/// name that the record of F maps. The record of G maps no name.
fn is_hub(iss: Iss, named: Option<&str>) -> bool {
    matches!((iss, named), (Iss::Ours, Some("hub")) | (Iss::F, Some(HUB_AT_F)))
}

/// What an issued token is bound to. `None` if the exchange is refused.
fn issued(bound: Bound, same_client: bool, proven: Option<usize>, permission: Permission) -> Option<Bound> {
    let presented = proven.map_or(Bound::Free, Bound::ToKey);
    match (bound, permission) {
        (Bound::ToSomethingUnknown, _) => None,
        (Bound::Free, _) | (Bound::ToKey(_), Permission::Release) => Some(presented),
        (Bound::ToKey(_), Permission::Rebind) => proven.map(Bound::ToKey),
        (Bound::ToKey(_), _) => (same_client && presented == bound).then_some(bound),
    }
}

const PERMISSIONS: [Permission; 3] = [Permission::Unchanged, Permission::Rebind, Permission::Release];
const PROVEN: [Option<usize>; 3] = [None, Some(0), Some(1)];

fn grant(permission: Permission) -> Grant {
    let grant = Grant::new(Semantics::Delegation);
    match permission {
        Permission::Rebind => grant.rebind(),
        Permission::Release => grant.release(),
        _ => grant,
    }
}

/// The first tokens of a set of records: one for each issuer, and for each binding and each client that a token can name.
fn tokens(records: &Records) -> Vec<(First, Bound, Option<&'static str>)> {
    let tenant = records.tenants.first().copied();
    let own = Holder { iss: Iss::Ours, tenant: None, sub: "alice" };
    let at_f = Holder { iss: Iss::F, tenant, sub: "alice" };
    let at_g = Holder { iss: Iss::G, tenant: None, sub: "alice" };
    let mut all = Vec::new();
    for holder in [Some(own), Some(at_f), records.g.map(|_| at_g)].into_iter().flatten() {
        let token_type = if holder.iss == Iss::Ours { Type::Access } else { Type::Jwt };
        let first = First { holder, token_type, forged: false };
        if records.issued_sub(&holder).is_err() {
            continue;
        }
        // An access token of our own issuer names its client.
        let names = [Some("hub"), Some(HUB_AT_F), Some("mid"), None];
        let names = names.iter().filter(|name| holder.iss != Iss::Ours || name.is_some());
        all.extend(names.map(|named| (first, Bound::ToKey(0), *named)));
        all.extend([Bound::Free, Bound::ToSomethingUnknown].map(|bound| (first, bound, Some("hub"))));
    }
    all
}

#[derive(Default)]
struct Counts {
    worlds: u32,
    issued: u32,
    refused: u32,
    released: u32,
}

impl Counts {
    /// Compares the result of an exchange with what the token must be bound to. Returns the token.
    fn note(
        &mut self,
        found: Result<Exchanged, Reason>,
        bound: Bound,
        expected: Option<Bound>,
        told: &str,
    ) -> Option<(Token, Bound)> {
        self.worlds += 1;
        match (found, expected) {
            (Ok(exchanged), Some(expected)) => {
                assert_eq!(exchanged.cnf, confirmation(expected), "{told}");
                self.issued += 1;
                self.released += u32::from(bound != Bound::Free && expected == Bound::Free);
                Some((exchanged.token, expected))
            }
            (Err(reason), None) => {
                let of_binding =
                    [Reason::BindingNotProven, Reason::BindingOfOtherClient, Reason::TokenSenderConstrained];
                assert!(of_binding.contains(&reason), "{reason}: {told}");
                self.refused += 1;
                None
            }
            (found, expected) => panic!("{:?} instead of {expected:?}: {told}", found.map(|exchanged| exchanged.cnf)),
        }
    }
}

#[test]
fn no_small_world_loses_a_binding() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut counts = Counts::default();
    for records in all_records().into_iter().filter(|records| !records.collide()) {
        let world = World::build(&records, None).unwrap();
        for (first, bound, named) in tokens(&records) {
            let mut claims = json!({ "cnf": confirmation(bound) });
            if let Some(named) = named {
                claims["client_id"] = named.into();
            }
            let token = first_token_with(&records, &first, &claims);
            let same_client = is_hub(first.holder.iss, named);
            for (permission, proven) in PERMISSIONS.into_iter().flat_map(|one| PROVEN.map(|proven| (one, proven))) {
                let told = format!("{bound:?} {named:?} {proven:?} {permission:?} {first:?} {records:?}");
                world.grants(grant(permission));
                let mut exchange = |hop: usize, token: &Token, bound, same_client, proven: Option<usize>| {
                    let proof = proven.map(proof);
                    let exchanged = world.exchange_with(hop, token, None, Type::Access, proof.as_deref());
                    counts.note(
                        runtime.block_on(exchanged),
                        bound,
                        issued(bound, same_client, proven, permission),
                        &told,
                    )
                };
                let Some((token, bound)) = exchange(0, &token, bound, same_client, proven) else { continue };
                for proven in PROVEN {
                    // The first exchange issued the token to `hub`.
                    exchange(1, &token, bound, false, proven);
                }
            }
        }
    }
    let Counts { worlds, issued, refused, released } = counts;
    eprintln!("worlds: {worlds}; issued: {issued}; refused: {refused}; released: {released}");
    assert!(worlds > 3_000 && issued > 3_000 && refused > 3_000 && released > 300, "too few of a kind");
}
