//! Client authentication: the credentials of a request, and the services that check them.

mod assertion;
mod authenticate;
mod authentication;
mod authenticator;
mod basic;
#[cfg(feature = "client-certificates")]
mod certificate;
mod claimed;
mod credentials;
mod method;
mod outer_layer;
mod proxy_certificates;
mod secrets;
#[cfg(feature = "server-authenticator")]
mod server_authenticator;
mod signed_assertion;
#[cfg(feature = "client-certificates")]
mod svid;
mod workload;

pub use crate::protocol::ClientAddress;
pub use authentication::Authentication;
pub use credentials::Credentials;
pub use method::AuthenticationMethod;
pub use outer_layer::{AuthenticatedClient, PeerCertificates};
pub use proxy_certificates::{ProxyCertificates, ProxyCertificatesLayer};
#[cfg(feature = "server-authenticator")]
pub use server_authenticator::{ProbeError, ServerAuthenticator, ServerAuthenticatorBuilder, ServerMethod};

#[cfg(any(test, fuzzing))]
pub(crate) use basic::{decode_base64, plain_reading, readings};

pub(crate) use authenticate::{authenticate, authenticate_for_exchange};
pub(crate) use authenticator::Authenticator;
pub(crate) use claimed::ClaimedClient;
pub(crate) use secrets::Secrets;

use crate::plug::{BoxPlug, Plug};

/// The client authenticator of the application.
pub(crate) type ClientAuthenticatorPart = BoxPlug<Credentials, Authentication>;

/// A client authenticator: a service that answers [`Credentials`] with an [`Authentication`].
///
/// Without a client authenticator, the layer compares the credentials with the record of the client. The authenticator gets
/// the credentials of every method that the layer can read, so that an application can have methods of its own. If the authenticator returns an
/// error, the request is answered with 503.
///
/// ```
/// use std::convert::Infallible;
/// use tower::ServiceExt;
/// use tower_token_exchange::client_auth::{
///     Authentication, AuthenticationMethod, ClientAuthenticator, Credentials,
/// };
///
/// fn authenticator() -> impl ClientAuthenticator {
///     tower::service_fn(|credentials: Credentials| async move {
///         Ok::<_, Infallible>(credentials.authenticate(|client_id, secret| (client_id, secret) == ("orders", "s3cret")))
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let wrong = Credentials::new(AuthenticationMethod::ClientSecretPost, "orders", "guess");
/// assert!(matches!(authenticator().oneshot(wrong).await, Ok(Authentication::Rejected)));
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a client authenticator",
    label = "not a `tower::Service<Credentials, Response = Authentication>`",
    note = "wrap an async closure: `tower::service_fn(|credentials: Credentials| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait ClientAuthenticator: Plug<Credentials, Authentication> {}

impl<S: Plug<Credentials, Authentication>> ClientAuthenticator for S {}
