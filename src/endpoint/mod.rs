//! What else an authorization server publishes, and what a layer in front of it adds to that.
//!
//! A server that has never heard of token exchange does not say in its metadata that it can be had, nor does its key set
//! hold the key that signs what is issued here. Whoever serves both, the server itself or a gateway in front of it, lets
//! these documents pass through here: nothing of them is lost, and nothing but what is missing is added. Around a service,
//! [`DocumentsLayer`] does that.
//!
//! ```
//! use tower_token_exchange::{endpoint, signing::{Algorithm, LocalSigner}};
//!
//! let metadata = br#"{ "issuer": "https://as.example", "grant_types_supported": ["authorization_code"] }"#;
//! let metadata = endpoint::with_token_exchange(metadata)?;
//!
//! let signer = LocalSigner::generate(Algorithm::ES256)?;
//! let keys = endpoint::with_own_keys(br#"{ "keys": [] }"#, &signer.published_keys())?;
//! # let _ = (metadata, keys);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod documents;
mod layer;
mod passing;
mod server_metadata;

pub use documents::{DocumentError, with_own_keys, with_token_exchange};
pub use layer::{Documents, DocumentsLayer, DocumentsLayerBuilder};
pub use server_metadata::{MetadataError, ServerMetadata};
