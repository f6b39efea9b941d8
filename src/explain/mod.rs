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
    exchange::Exchange,
    token::{AssumedToken, Claims},
};
use notes::Notes;

/// Runs the stages of an exchange as if the form came from this client, up to the decision of the policy.
pub(crate) async fn explain(exchange: &Exchange, client_id: &str, form: &[u8]) -> Explanation {
    let exchange = exchange.for_dry_runs();
    let mut notes = Notes::new(&exchange, client_id);
    let outcome = exchange.dry_run(&mut notes, client_id, form).await;
    notes.explanation(outcome.err())
}

/// Explains a request as [`explain`] does, as if the issuer vouched for a subject token with these claims.
pub(crate) async fn explain_claims(exchange: &Exchange, client_id: &str, form: &[u8], claims: Claims) -> Explanation {
    explain(&exchange.assuming(AssumedToken::new(claims, false)), client_id, form).await
}
