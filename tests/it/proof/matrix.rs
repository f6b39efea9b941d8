//! Every cell of the matrix, through the whole layer, without and with an actor token.

use super::*;
use tower_token_exchange::proof::{MATRIX, Outcome, Permission, Presented, Presenter, Row, TokenState};

const C: &[u8] = b"the certificate C in DER";
const D: &[u8] = b"the certificate D in DER";

/// What the actor token is bound to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Actor {
    None,
    Free,
    Key,
    Certificate,
    Unknown,
}

const ACTORS: [Actor; 5] = [Actor::None, Actor::Free, Actor::Key, Actor::Certificate, Actor::Unknown];

struct Keys {
    k: Prover,
    l: Prover,
}

impl Keys {
    fn subject_cnf(&self, state: TokenState) -> Value {
        match state {
            TokenState::Free => json!(null),
            TokenState::BoundToKey => json!({ "jkt": self.k.jkt() }),
            TokenState::BoundToCertificate => json!({ "x5t#S256": thumbprint(C) }),
            _ => json!({ "kid": "a key of a smart card" }),
        }
    }

    /// The actor token of the client itself.
    fn actor_token(&self, own: &Minter, actor: Actor) -> Option<String> {
        let cnf = match actor {
            Actor::None => return None,
            Actor::Free => json!(null),
            Actor::Key => json!({ "jkt": self.k.jkt() }),
            Actor::Certificate => json!({ "x5t#S256": thumbprint(C) }),
            Actor::Unknown => json!({}),
        };
        let claims = json!({ "sub": "orders", "client_id": "orders", "jti": "actor-1", "cnf": cnf });
        Some(own.access_token(claims))
    }

    fn ask(&self, presented: Presented) -> Ask<'static> {
        match presented {
            Presented::Nothing => Ask::default(),
            Presented::SameKey => Ask::default().proof(self.k.proof()),
            Presented::OtherKey => Ask::default().proof(self.l.proof()),
            Presented::SameCertificate => Ask::default().certificate(C),
            _ => Ask::default().certificate(D),
        }
    }

    /// The claim `cnf` of a token that is bound to what is presented.
    fn cnf(&self, presented: Presented) -> Value {
        match presented {
            Presented::Nothing => json!(null),
            Presented::SameKey => json!({ "jkt": self.k.jkt() }),
            Presented::OtherKey => json!({ "jkt": self.l.jkt() }),
            Presented::SameCertificate => json!({ "x5t#S256": thumbprint(C) }),
            _ => json!({ "x5t#S256": thumbprint(D) }),
        }
    }

    /// What the issued token has to be bound to, by the matrix. `None` if the exchange has to be refused.
    fn expected(&self, row: &Row, presenter: Presenter, permission: Permission, actor: Actor) -> Option<Value> {
        let of_subject = match row.outcome(presenter, permission) {
            Outcome::Refused => return None,
            Outcome::Bearer | Outcome::Released => json!(null),
            _ => self.cnf(row.presented),
        };
        match (actor, row.presented) {
            (Actor::None | Actor::Free, _) => Some(of_subject),
            (Actor::Key, Presented::SameKey) | (Actor::Certificate, Presented::SameCertificate) => {
                Some(self.cnf(row.presented))
            }
            _ => None,
        }
    }
}

#[tokio::test]
async fn every_cell_of_the_matrix_holds() {
    let keys = Keys { k: Prover::new(), l: Prover::new() };
    let mut checked = 0;
    for permission in Permission::ALL.iter().copied() {
        let place = Place::new(plan_of(|rule| match permission {
            Permission::Rebind => rule.rebind(),
            Permission::Release => rule.release(),
            _ => rule,
        }));
        let cells = MATRIX.iter().flat_map(|row| Presenter::ALL.iter().map(move |presenter| (row, *presenter)));
        for ((row, presenter), actor) in cells.flat_map(|cell| ACTORS.map(|actor| (cell, actor))) {
            let client_id = if presenter == Presenter::SameClient { "orders" } else { "web" };
            let subject = json!({ "client_id": client_id, "cnf": keys.subject_cnf(row.subject) });
            let mut ask = keys.ask(row.presented);
            if let Some(token) = keys.actor_token(&place.own, actor) {
                ask = ask.set("actor_token", token).set("actor_token_type", ACCESS_TOKEN);
            }
            let cell = format!("{row:?}, {presenter:?}, {permission:?}, {actor:?}");
            let reply = place.exchange(subject, ask).await;
            let event = place.event();
            match keys.expected(row, presenter, permission, actor) {
                None => {
                    assert_eq!(
                        (reply.status, reply.error()),
                        (StatusCode::BAD_REQUEST, "invalid_request".into()),
                        "{cell}"
                    );
                    let known =
                        [Reason::TokenSenderConstrained, Reason::BindingNotProven, Reason::BindingOfOtherClient];
                    assert!(event.reason.is_some_and(|reason| known.contains(&reason)), "{cell}: {event:?}");
                }
                Some(cnf) => {
                    assert_eq!(reply.status, StatusCode::OK, "{cell}: {} {:?}", reply.text, event.detail);
                    assert_eq!(reply.claims()["cnf"], cnf, "{cell}");
                    let token_type = if cnf.get("jkt").is_some() { "DPoP" } else { "Bearer" };
                    assert_eq!(reply.json()["token_type"], token_type, "{cell}");
                    let is_released = cnf.is_null() && row.subject != TokenState::Free;
                    assert_eq!(event.alarm, is_released, "{cell}");
                    assert_eq!(event.binding == Some(Outcome::Released), is_released, "{cell}");
                    if matches!(actor, Actor::None | Actor::Free) {
                        assert_eq!(event.binding, Some(row.outcome(presenter, permission)), "{cell}");
                    }
                    let granted = serde_json::to_value(event.granted.unwrap().binding).unwrap();
                    assert_eq!(granted, cnf, "{cell}");
                }
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 20 * 2 * 3 * 5);
}

/// MQ-05: a token that is bound to both needs both, and the issued token is bound to both.
#[tokio::test]
async fn mq_05_both_members_of_cnf_are_demanded() {
    let keys = Keys { k: Prover::new(), l: Prover::new() };
    let place = Place::new(plan_of(|rule| rule));
    let both = json!({ "jkt": keys.k.jkt(), "x5t#S256": thumbprint(C) });
    let subject = || json!({ "client_id": "orders", "cnf": both });
    let by = |prover: &Prover| Ask::default().proof(prover.proof());
    for (ask, is_issued) in [
        (by(&keys.k).certificate(C), true),
        (by(&keys.k), false),
        (Ask::default().certificate(C), false),
        (by(&keys.k).certificate(D), false),
        (by(&keys.l).certificate(C), false),
        (Ask::default(), false),
    ] {
        let reply = place.exchange(subject(), ask).await;
        assert_eq!(reply.status.is_success(), is_issued, "{}", reply.text);
        match is_issued {
            true => assert_eq!((&reply.claims()["cnf"], &reply.json()["token_type"]), (&both, &json!("DPoP"))),
            false => assert_eq!(place.reason(), Some(Reason::BindingNotProven)),
        }
    }
}

/// A token that names no client was issued to another client, and so was a token of an unknown client.
#[tokio::test]
async fn a_token_without_client_is_of_another_client() {
    let keys = Keys { k: Prover::new(), l: Prover::new() };
    let cnf = || json!({ "jkt": keys.k.jkt() });
    let (strict, rebinding) = (Place::new(plan_of(|rule| rule)), Place::new(plan_of(Rule::rebind)));
    for claims in [
        json!({ "client_id": "Orders", "cnf": cnf() }),
        json!({ "client_id": "web", "azp": "orders", "cnf": cnf() }),
        json!({ "client_id": "https://orders.example", "cnf": cnf() }),
    ] {
        let reply = strict.exchange(claims.clone(), keys.ask(Presented::SameKey)).await;
        assert_eq!((reply.status, strict.reason()), (StatusCode::BAD_REQUEST, Some(Reason::BindingOfOtherClient)));
        let reply = rebinding.exchange(claims, keys.ask(Presented::OtherKey)).await;
        assert_eq!(reply.claims()["cnf"], keys.cnf(Presented::OtherKey));
    }
}
