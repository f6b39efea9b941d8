//! The way to the authorization server behind the gateway.

mod body_timeout;
mod by_origin;
mod client;
mod gateway;

pub use by_origin::{ByOrigin, OriginError};
pub use client::{PooledClient, PooledClientBuilder};

pub(crate) use gateway::{App, CAPACITY, Endpoints, Gateway, Stores};
