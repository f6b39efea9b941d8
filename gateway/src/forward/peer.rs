use bytes::Bytes;
use std::{fmt, net::SocketAddr};

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
}

impl Peer {
    /// Creates a peer on a connection without TLS.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, tls: false, certificate: None }
    }

    /// Creates a peer on a connection with TLS. The certificate is one that was verified, in DER.
    pub fn with_tls(address: SocketAddr, certificate: Option<Bytes>) -> Self {
        Self { address, tls: true, certificate }
    }
}

// A certificate names a person or a machine.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.address).field("tls", &self.tls).finish_non_exhaustive()
    }
}
