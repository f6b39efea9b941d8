//! The documents that an authorization server publishes: its metadata (RFC 8414) and its key set (RFC 7517).
//!
//! [`ServerMetadata`] reads the metadata of a server, to find its endpoints and its keys.
//!
//! A server that does not know token exchange does not list the grant in its metadata, and its key set does not hold the key
//! that signs the tokens of this crate. A service that answers with these documents adds what is missing:
//! [`add_grant`] or [`Additions`] for the metadata, and [`PublishedKeys::add_to`](crate::signing::PublishedKeys::add_to) for
//! the key set.
//!
//! ```
//! use tower_token_exchange::{metadata, signing::{Algorithm, LocalSigner}};
//!
//! let metadata = br#"{ "issuer": "https://as.example", "grant_types_supported": ["authorization_code"] }"#;
//! let metadata = metadata::add_grant(metadata)?;
//!
//! let signer = LocalSigner::generate(Algorithm::ES256)?;
//! let keys = signer.published_keys().add_to(br#"{ "keys": [] }"#)?;
//! # let _ = (metadata, keys);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod additions;
mod server;

pub use additions::{Additions, DocumentError, add_grant};
pub use server::{DiscoveryError, MetadataError, ServerMetadata};

pub(crate) use additions::add_keys;
pub(crate) use server::{Missing, read_answer, well_known};

/// The largest document that is read.
const MAX_BYTES: usize = 256 * 1024;
