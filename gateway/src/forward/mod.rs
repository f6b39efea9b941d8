//! A reverse proxy: the requests of clients go on to one server.
//!
//! [`Proxy`] is the tower service. [`Forwarding`] holds the rules for the headers: which ones the server may see, and which
//! ones the proxy writes itself.

mod forwarding;
mod headers;
mod peer;
mod proxy;

pub use forwarding::{Forwarding, ForwardingBuilder, ForwardingError};
pub use headers::remove_hop_by_hop;
pub use peer::Peer;
pub use proxy::Proxy;

pub(crate) use forwarding::without_default_port;
pub(crate) use proxy::ServerAnswer;
