//! Passing requests on to another server, for a gateway: what a proxy must change about them, and nothing else.
//!
//! [`Forwarding`] turns a client's request into the gateway's own, [`remove_hop_by_hop`] does the same with the answer, and
//! [`TraceContext`] gives both a name in the logs of everybody on the way. None of them sends anything: that is for the HTTP
//! client of your choice. The example `gateway` has one around hyper-util's.

mod forwarding;
mod trace_context;

pub use forwarding::{Forwarding, Peer, remove_hop_by_hop};
pub use trace_context::TraceContext;
