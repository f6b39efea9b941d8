//! Explanations: why a request would be granted or refused.
//!
//! [`TokenExchangeLayer::explain`](crate::TokenExchangeLayer::explain) runs a request through the stages of an exchange,
//! but issues no token and writes no audit event. The [`Explanation`] says what each stage found, which rules nearly match,
//! and which rule is missing. Show an explanation to operators only, because a client must not learn these details.
//!
//! ```
//! use tower_token_exchange::{
//!     Client, Reason, Target, TokenExchangeLayer,
//!     audit::Outcome,
//!     policy::{Rule, Subjects},
//!     signing::{Algorithm, LocalSigner},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let layer = TokenExchangeLayer::builder("https://as.example")
//!     .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
//!     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
//!     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
//!     .signer(LocalSigner::generate(Algorithm::ES256)?)
//!     .build()?;
//!
//! // The client asks for a target that no record names.
//! let form = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=biling\
//!     &subject_token=eyJ&subject_token_type=urn:ietf:params:oauth:token-type:access_token";
//! let explanation = layer.explain("orders", form.as_bytes()).await;
//!
//! assert_eq!(explanation.outcome, Outcome::Denied);
//! let refusal = explanation.refusal.as_ref().ok_or("the request would be granted")?;
//! assert_eq!(refusal.reason, Reason::TargetUnknown);
//! // As text, the explanation is a report for a person; with serde, the same report is for a program.
//! println!("{explanation}");
//! # Ok(())
//! # }
//! ```

mod explanation;
mod notes;
mod suggested_rule;
mod text;

pub use explanation::{Explanation, Fact, RecordTrace, Refusal, StageTrace};
pub use suggested_rule::SuggestedRule;

use crate::{
    client_auth::{Authentication, Authenticator},
    exchange::Exchange,
    limits::{Budgets, Limits},
    plug::boxed,
    protocol::{ClientId, Sender, TokenType, basic_authorization},
    token::{Claims, Verification},
};
use http::{HeaderMap, header::AUTHORIZATION};
use notes::Notes;
use std::{convert::Infallible, sync::Arc};

/// The parameters that prove the identity of a client. An explanation does not check the identity.
const PROOFS: [&[u8]; 3] = [b"client_secret", b"client_assertion", b"client_assertion_type"];

/// Runs the stages of an exchange as if the form came from this client, up to the decision of the policy.
pub(crate) async fn explain(exchange: &Exchange, client_id: &str, form: &[u8]) -> Explanation {
    // An explanation takes nothing from a budget.
    let limits = Arc::new(Budgets::new(Limits::none(), &exchange.settings.clock));
    let exchange = Exchange { authenticator: accept_as(client_id), limits, ..exchange.clone() };
    let mut notes = Notes::new(&exchange, client_id);
    let (headers, form) = (authorization_of(client_id), without_proofs(form));
    let outcome = exchange.decide(&mut notes, Sender::without_address(&headers), &form).await;
    notes.explanation(outcome.err())
}

/// Explains a request as [`explain`] does, as if the issuer vouched for a subject token with these claims.
pub(crate) async fn explain_claims(exchange: &Exchange, client_id: &str, form: &[u8], claims: Claims) -> Explanation {
    let answer = Verification::Verified(claims);
    let verifier = boxed(tower::service_fn(move |_| std::future::ready(Ok::<_, Infallible>(answer.clone()))));
    let types = [TokenType::ACCESS_TOKEN, TokenType::JWT, TokenType::ID_TOKEN];
    let mut exchange = exchange.clone();
    exchange.verifier.plugs.extend(types.map(|token_type| (token_type, verifier.clone())));
    explain(&exchange, client_id, form).await
}

/// Returns an authenticator that accepts every request as a request of this client.
fn accept_as(client_id: &str) -> Authenticator {
    let client = Authentication::Client(ClientId::from(client_id));
    boxed(tower::service_fn(move |_| std::future::ready(Ok::<_, Infallible>(client.clone()))))
}

/// Returns the headers of a request that names the client. The authenticator is asked only if a request has credentials.
fn authorization_of(client_id: &str) -> HeaderMap {
    let basic = basic_authorization(client_id, "");
    basic.map(|basic| HeaderMap::from_iter([(AUTHORIZATION, basic)])).unwrap_or_default()
}

/// Removes the proofs from a form, and leaves every other byte as it is.
fn without_proofs(form: &[u8]) -> Vec<u8> {
    let is_proof = |pair: &&[u8]| PROOFS.contains(&pair.split(|byte| *byte == b'=').next().unwrap_or_default());
    form.split(|byte| *byte == b'&').filter(|pair| !is_proof(pair)).collect::<Vec<_>>().join(&b'&')
}
