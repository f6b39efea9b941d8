use bytes::Bytes;
use std::{fmt, net::SocketAddr};
use tower_token_exchange::client_auth::PeerCertificates;

/// The other end of the connection that a request came on. The server puts this value into the extensions of each request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Peer {
    /// The address of the peer.
    pub address: SocketAddr,
    /// Whether the connection uses TLS.
    pub tls: bool,
    /// The certificate of the peer in DER, if the peer presented one that was verified.
    pub certificate: Option<Bytes>,
    /// The certificates that the peer presented, verified or not.
    certificates: Option<PeerCertificates>,
}

impl Peer {
    /// Creates a peer on a connection without TLS.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, tls: false, certificate: None, certificates: None }
    }

    /// Creates a peer on a connection with TLS. The certificate is one that was verified, in DER.
    pub fn with_tls(address: SocketAddr, certificate: Option<Bytes>) -> Self {
        let certificates = certificate.clone().map(|leaf| PeerCertificates::new([leaf]).with_valid_chain());
        Self { address, tls: true, certificate, certificates }
    }

    /// Creates a peer on a connection with TLS that presented these certificates.
    pub(crate) fn with_certificates(address: SocketAddr, certificates: PeerCertificates) -> Self {
        let verified = certificates.leaf().filter(|_| certificates.has_valid_chain()).map(Bytes::copy_from_slice);
        Self { address, tls: true, certificate: verified, certificates: Some(certificates) }
    }

    /// The certificates by which the peer can be authenticated as a client.
    pub(crate) fn certificates(&self) -> Option<&PeerCertificates> {
        self.certificates.as_ref()
    }
}

// A certificate names a person or a machine.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.address).field("tls", &self.tls).finish_non_exhaustive()
    }
}
