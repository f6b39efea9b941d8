//! The manual, with one page for each topic.

#[cfg(feature = "client")]
#[doc = include_str!("client.md")]
pub mod client {}
#[doc = include_str!("clients.md")]
pub mod clients {}
#[doc = include_str!("composition.md")]
pub mod composition {}
#[doc = include_str!("graph.md")]
#[doc = include_str!("graph.svg")]
pub mod graph {}
#[doc = include_str!("issuers.md")]
pub mod issuers {}
#[doc = include_str!("names.md")]
pub mod names {}
#[doc = include_str!("performance.md")]
#[doc = include_str!("performance.svg")]
pub mod performance {}
#[doc = include_str!("proof.md")]
pub mod proof {}
#[doc = include_str!("reasons.md")]
pub mod reasons {}
#[cfg(feature = "resource-server")]
#[doc = include_str!("resource-server.md")]
pub mod resource_server {}
#[doc = include_str!("revocation.md")]
pub mod revocation {}
#[doc = include_str!("scale.md")]
pub mod scale {}
#[doc = include_str!("signatures.md")]
pub mod signatures {}
#[doc = include_str!("smuggling.md")]
pub mod smuggling {}
