//! The delegation graph: which client may exchange tokens of which subjects for which target.
//!
//! [`TokenExchangeLayer::delegation_graph`](crate::TokenExchangeLayer::delegation_graph) makes the graph from the records and
//! the rules. The graph can be drawn as SVG, Mermaid or DOT, printed as text, and serialized.
//! [`DelegationGraph::changes_to`] says what another document opens and closes.
//! [`TokenExchangeLayer::reach`](crate::TokenExchangeLayer::reach) follows a token from exchange to exchange.
//!
//! ```
//! use tower_token_exchange::{
//!     Client, Target, TokenExchangeLayer,
//!     policy::{Rule, Subjects},
//!     signing::{Algorithm, LocalSigner},
//! };
//!
//! let layer = TokenExchangeLayer::builder("https://as.example")
//!     .clients([Client::new("orders").secret("a-long-and-random-secret")])
//!     .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
//!     .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
//!     .signer(LocalSigner::generate(Algorithm::ES256)?)
//!     .build()?;
//!
//! let graph = layer.delegation_graph();
//! assert_eq!(graph.edges.len(), 1);
//! assert_eq!(graph.to_string(), "orders → billing: read, by delegation, for users of any issuer (rule 1)\n");
//! assert!(graph.to_mermaid().starts_with("flowchart LR\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod changes;
mod delegation;
mod dot;
mod edge;
mod edges;
mod mermaid;
mod picture;
mod reach;
mod svg;
mod text;

pub use changes::{Change, GraphChanges};
pub use delegation::DelegationGraph;
pub use edge::{Edge, TargetNode};
pub use reach::{Hop, Reach};

pub(crate) use reach::{reach, sample_token};
