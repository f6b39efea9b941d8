//! A reverse proxy that adds OAuth 2.0 Token Exchange (RFC 8693) to an authorization server.
//!
//! The program `token-exchange-gateway` is made of this library and of
//! [`tower-token-exchange`](tower_token_exchange). Its `README.md` explains how to run the program. The parts here are for a
//! gateway of your own:
//!
//! * [`forward`]: the reverse proxy, and the rules for headers.
//! * [`documents`]: the layer that adds the grant and the keys to the documents of the server.
//! * [`upstream`]: the HTTP client for the server, and a router by origin.

mod admin;
mod answer;
pub mod cli;
mod config;
pub mod documents;
pub mod forward;
mod serve;
mod server;
pub mod upstream;
