//! A reverse proxy that adds OAuth 2.0 Token Exchange (RFC 8693) to an authorization server.
//!
//! The program `token-exchange-gateway` is made of this library and of [`tower_token_exchange`]. The `README.md` of this package
//! explains how to run the program. The public modules are parts for a gateway of your own:
//!
//! * [`forward`]: the reverse proxy, and the rules for headers.
//! * [`documents`]: the layer that adds the grant and the keys to the documents of the server.
//! * [`upstream`]: the HTTP client for the server, and a router by origin.
//!
//! [`cli::run`] is the whole program.

mod admin;
mod answer;
pub mod cli;
mod client_authentication;
mod config;
mod core_dumps;
mod diagnosis;
pub mod documents;
mod dpop;
mod exchange_form;
mod exit;
pub mod forward;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod gateway;
mod own_endpoints;
mod rare_line;
mod reload;
mod serve;
mod server;
mod server_record;
mod stores;
pub mod upstream;
mod upstream_watch;
mod waiting;
