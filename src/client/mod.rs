//! Who is calling, and what it may ask for at all.

mod admitted;
#[cfg(feature = "server-authenticator")]
mod asking;
mod authenticated;
mod basic;
mod credentials;
mod table;

#[cfg(feature = "server-authenticator")]
pub use asking::{ServerAuthenticator, ServerAuthenticatorBuilder};
pub use credentials::{AuthenticationMethod, Credentials};
pub use table::Authentication;

pub(crate) use admitted::{Admitted, AskLimits, Declared};
pub(crate) use authenticated::{Authenticated, authenticate};
pub(crate) use table::{Authenticator, client_table};

/// What a client authenticator is: it turns the [`Credentials`] that a request presented into the client, or
/// rejects them.
pub trait ClientAuthenticator: crate::part::Plug<Credentials, Authentication> {}

impl<S: crate::part::Plug<Credentials, Authentication>> ClientAuthenticator for S {}
