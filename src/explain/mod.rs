//! Why an exchange would end as it would: the same stages, with somebody who takes notes, and without a signature.

mod advice;
mod explanation;
mod notes;
mod text;

pub use advice::SuggestedRule;
pub use explanation::{Explanation, Fact, RecordTrace, Refusal, StageTrace};

use crate::{
    client_auth::{Authentication, Authenticator},
    exchange::Exchange,
    plug::boxed,
    protocol::basic_authorization,
};
use http::{HeaderMap, header::AUTHORIZATION};
use notes::Notes;
use std::convert::Infallible;

/// Parameters that prove who the client is. An explanation takes that for granted.
const PROOFS: [&[u8]; 3] = [b"client_secret", b"client_assertion", b"client_assertion_type"];

/// Goes through the stages of a request as if the request came from this client.
pub(crate) async fn explain(exchange: &Exchange, client_id: &str, form: &[u8]) -> Explanation {
    let exchange = Exchange { authenticator: believing(client_id), ..exchange.clone() };
    let mut notes = Notes::new(&exchange, client_id);
    let (headers, form) = (identifying(client_id), without_proofs(form));
    let outcome = exchange.decide(&mut notes, &headers, &form).await;
    notes.explanation(outcome.err())
}

/// An authenticator that takes anybody's word for being this client.
fn believing(client_id: &str) -> Authenticator {
    let client = Authentication::Client(client_id.into());
    boxed(tower::service_fn(move |_| std::future::ready(Ok::<_, Infallible>(client.clone()))))
}

/// A header for the authenticator to believe.
fn identifying(client_id: &str) -> HeaderMap {
    let basic = basic_authorization(client_id, "");
    basic.map(|basic| HeaderMap::from_iter([(AUTHORIZATION, basic)])).unwrap_or_default()
}

/// The form but for these parameters, every other byte as it came.
fn without_proofs(form: &[u8]) -> Vec<u8> {
    let is_proof = |pair: &&[u8]| PROOFS.contains(&pair.split(|byte| *byte == b'=').next().unwrap_or_default());
    form.split(|byte| *byte == b'&').filter(|pair| !is_proof(pair)).collect::<Vec<_>>().join(&b'&')
}
