//! Passing requests on to another server, for a gateway: what a proxy must change about them, and nothing else.
//!
//! [`Proxy`] is the service that does it, with the HTTP client of your choice. It is made of [`Forwarding`], which turns a
//! client's request into the gateway's own, and [`remove_hop_by_hop`], which does the same with the answer.
//! [`TraceContext`] gives both a name in the logs of everybody on the way. The example `gateway` uses them all.

mod forwarding;
mod proxy;
mod trace_context;

pub use forwarding::{Forwarding, Peer, remove_hop_by_hop};
pub use proxy::Proxy;
pub use trace_context::TraceContext;
