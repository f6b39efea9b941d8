//! The HTTP client that fetches key sets and metadata, and that asks introspection endpoints.
//!
//! The layer needs an HTTP service only for these requests. [`HttpFetch`] is the client of the feature `fetch` and the
//! default. [`in_process`] makes an HTTP service of a router in the same process. Any other
//! [`HttpService`](crate::plug::HttpService), such as a client behind a proxy, can take the place of both.
//!
//! # Server-side request forgery
//!
//! A URL from a configuration file or a metadata document can lead into the internal network
//! (draft-ietf-oauth-rfc8725bis). [`HttpFetch`] therefore has these rules, unless an option changes a rule:
//!
//! * Only `https` URLs and public addresses are allowed. The check of an address takes place after the host name is
//!   resolved, and the connection goes to the checked address. A name that changes its address (DNS rebinding) gains
//!   nothing. An IP address in the URL is checked in the same way.
//! * Redirects are not followed. A response with a status of 3xx is the result.
//! * One deadline holds for connecting, headers and body together, and the size of the body is limited while it is read.
//! * Proxy settings of the environment, cookies and compressed bodies are not supported. The protocol is HTTP/1.1.

mod body;
#[cfg(feature = "fetch")]
mod client;
mod in_process;
mod uri;

#[cfg(all(feature = "fetch", any(test, fuzzing)))]
pub use client::check_public_address;
#[cfg(feature = "fetch")]
pub use client::{FetchConfigError, FetchError, HttpFetch, HttpFetchBuilder};
pub use in_process::{InProcess, in_process};
#[cfg(feature = "client")]
pub(crate) use uri::{Origin, origin_of};
pub(crate) use uri::{origin, web_uri};

use crate::plug::{BoxHttpService, boxed};

/// Returns the HTTP service for a configuration without an HTTP service: [`HttpFetch`] with its defaults.
#[cfg(feature = "fetch")]
pub(crate) fn default_service() -> BoxHttpService {
    boxed(HttpFetch::new())
}

/// Returns a service that fails. A layer refuses records that need an HTTP service in such a build ([`NO_CLIENT`]).
#[cfg(not(feature = "fetch"))]
pub(crate) fn default_service() -> BoxHttpService {
    boxed(tower::service_fn(|_: http::Request<bytes::Bytes>| async { Err(NO_CLIENT) }))
}

/// The end of a configuration error in a build without the feature `fetch`.
pub(crate) const NO_CLIENT: &str =
    "this build has no HTTP client: enable the feature `fetch`, or give an HTTP service of your own";
