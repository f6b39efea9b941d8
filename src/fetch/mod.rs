//! Bytes in, bytes out: how issuer keys, metadata and introspection answers are fetched.
//!
//! [`HttpFetch`] is the client that ships: a [`tower::Service`] from `http::Request<Bytes>` to
//! `http::Response<Bytes>`. Whoever holds the requests to other rules (a proxy, a service mesh, a fixture)
//! plugs in another service of that shape.
//!
//! A URL that comes from a configuration file or a discovery document is an invitation to fetch from the
//! inside of the network (SSRF; draft-ietf-oauth-rfc8725bis). Hence, unless a named option says otherwise:
//!
//! * only `https`, and only public addresses. The addresses are looked at **after** the name is resolved and are
//!   the ones connected to, so a name that changes its mind (DNS rebinding) gains nothing; an IP literal is looked
//!   at too;
//! * no redirect is followed: a 3xx is the answer;
//! * one deadline for connecting, headers and body together; the body is bounded while it streams;
//! * no proxy taken from the environment, no cookies, no decompression. HTTP/1.1.

mod address;
mod body;
mod builder;
mod client;
mod connect;
mod error;
mod in_process;
mod tls;
mod uri;

#[cfg(test)]
mod tests;

pub use builder::HttpFetchBuilder;
pub use client::HttpFetch;
pub use error::{FetchConfigError, FetchError};
pub use in_process::{InProcess, in_process};

pub(crate) use uri::web_uri;
