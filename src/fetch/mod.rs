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

mod body;
#[cfg(feature = "fetch")]
mod client;
mod in_process;
mod uri;

#[cfg(feature = "fetch")]
pub use client::{FetchConfigError, FetchError, HttpFetch, HttpFetchBuilder};
pub use in_process::{InProcess, in_process};
pub(crate) use uri::web_uri;

use crate::plug::{BoxHttpService, boxed};

/// Returns the HTTP service that is used where none is given: [`HttpFetch`] with its defaults.
#[cfg(feature = "fetch")]
pub(crate) fn default_service() -> BoxHttpService {
    boxed(HttpFetch::new())
}

/// Returns a service that fails. No configuration that needs an HTTP service can be built with it ([`NO_CLIENT`]).
#[cfg(not(feature = "fetch"))]
pub(crate) fn default_service() -> BoxHttpService {
    boxed(tower::service_fn(|_: http::Request<bytes::Bytes>| async { Err(NO_CLIENT) }))
}

/// The end of a configuration error in a build without the feature `fetch`.
pub(crate) const NO_CLIENT: &str =
    "this build has no HTTP client: enable the feature `fetch`, or give an HTTP service of your own";
