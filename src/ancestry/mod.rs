//! The tokens that a token was exchanged for, and whether one of them was revoked.
//!
//! Each issued token names its *ancestors* in the claim `ancestry`: the subject token and the actor token of its exchange, and
//! the ancestors of both. The claim is one text of keyed hashes ([`AncestryKey`](crate::revocation::AncestryKey)), which nobody
//! else can read. A [`Lineage`] is what the layer looks up about an exchange or about one token.

mod claim;
mod clients;
mod lineage;
mod token;

pub(crate) use claim::Ancestry;
pub(crate) use clients::KnownClients;
pub(crate) use lineage::Lineage;
pub(crate) use token::{PresentedToken, name_of_text};
