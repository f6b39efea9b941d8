//! The layer for outgoing HTTP clients.

mod current;
mod destination;
mod error;
mod layer;

pub use current::{current_subject_token, with_subject_token};
pub use destination::Destination;
pub use error::OutgoingError;
pub use layer::{OutgoingExchange, OutgoingExchangeLayer};
