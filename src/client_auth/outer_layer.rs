use super::AuthenticationMethod;
use crate::protocol::ClientId;
use bytes::Bytes;
use std::{fmt, sync::Arc};

/// A client that an outer layer has authenticated. The outer layer puts this value into the extensions of the request.
///
/// The layer then checks no other credentials of the request. The record of the client still decides what the client may
/// do. If the form has a `client_id`, it must be this client.
///
/// Only code in the same process can add an extension to a request, so the sender of a request cannot.
///
/// ```
/// use tower_token_exchange::client_auth::{AuthenticatedClient, AuthenticationMethod};
///
/// let mut request = http::Request::post("/token").body(())?;
/// let client = AuthenticatedClient::new("orders").with_method(AuthenticationMethod::TlsClientAuth);
/// request.extensions_mut().insert(client);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedClient {
    id: ClientId,
    method: AuthenticationMethod,
}

impl AuthenticatedClient {
    /// The client with this id, authenticated by a method of the application ([`AuthenticationMethod::Other`]).
    pub fn new(id: impl Into<ClientId>) -> Self {
        Self { id: id.into(), method: AuthenticationMethod::Other }
    }

    /// Says which method authenticated the client, for the audit and for clients that need a method with a key.
    #[must_use]
    pub fn with_method(mut self, method: AuthenticationMethod) -> Self {
        self.method = method;
        self
    }

    /// The id of the client.
    pub fn id(&self) -> &ClientId {
        &self.id
    }

    /// The method that authenticated the client.
    pub fn method(&self) -> AuthenticationMethod {
        self.method
    }
}

/// The certificates of the peer of a TLS connection, in DER, with the certificate of the peer itself first.
///
/// The TLS acceptor, or a layer that trusts a proxy, puts this value into the extensions of each request of the connection. The
/// peer must have proved that it has the private key of the first certificate. A clone shares the certificates.
///
/// ```
/// use tower_token_exchange::client_auth::PeerCertificates;
///
/// # let der_of_the_peer = vec![0x30, 0x00];
/// let certificates = PeerCertificates::new([der_of_the_peer]).with_valid_chain();
/// let mut request = http::Request::post("/token").body(())?;
/// request.extensions_mut().insert(certificates);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificates {
    chain: Arc<[Bytes]>,
    has_valid_chain: bool,
}

impl PeerCertificates {
    /// The certificates of a peer, whose chain nobody has checked.
    pub fn new<T: Into<Bytes>>(chain: impl IntoIterator<Item = T>) -> Self {
        Self { chain: chain.into_iter().map(Into::into).collect(), has_valid_chain: false }
    }

    /// States that the chain is valid now and ends at an authority that may issue certificates to clients of this server.
    ///
    /// An authority that anybody can get a certificate from, such as a public one, is no such authority. The method
    /// `tls_client_auth` needs this statement (RFC 8705 section 2.1). `self_signed_tls_client_auth` does not.
    #[must_use]
    pub fn with_valid_chain(mut self) -> Self {
        self.has_valid_chain = true;
        self
    }

    /// The certificate of the peer in DER. `None` if the list is empty.
    pub fn leaf(&self) -> Option<&[u8]> {
        self.chain.first().map(|der| &**der)
    }

    /// All certificates in DER, the certificate of the peer first.
    pub fn chain(&self) -> &[Bytes] {
        &self.chain
    }

    /// Whether the chain is valid ([`with_valid_chain`](Self::with_valid_chain)).
    pub fn has_valid_chain(&self) -> bool {
        self.has_valid_chain
    }
}

// A certificate names a person or a machine.
impl fmt::Debug for PeerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificates")
            .field("certificates", &self.chain.len())
            .field("has_valid_chain", &self.has_valid_chain)
            .finish()
    }
}
