//! Who is calling, and what it may ask for at all.

mod authenticate;
mod basic;
mod credentials;
#[cfg(feature = "server-authenticator")]
mod server_authenticator;
mod table;

pub use credentials::{AuthenticationMethod, Credentials};
#[cfg(feature = "server-authenticator")]
pub use server_authenticator::{ServerAuthenticator, ServerAuthenticatorBuilder};
pub use table::Authentication;

pub(crate) use authenticate::{authenticate, authenticate_for_exchange};
pub(crate) use table::{Authenticator, client_table};

/// What a client authenticator is: it turns the [`Credentials`] that a request presented into the client, or
/// rejects them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a client authenticator",
    label = "not a `tower::Service<Credentials, Response = Authentication>`",
    note = "wrap an async closure: `tower::service_fn(|credentials: Credentials| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait ClientAuthenticator: crate::plug::Plug<Credentials, Authentication> {}

impl<S: crate::plug::Plug<Credentials, Authentication>> ClientAuthenticator for S {}
