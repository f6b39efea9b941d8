use super::config_error::RedisConfigError;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{fmt, io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How the store connects with TLS.
pub(super) struct Tls {
    connector: TlsConnector,
    /// The name in the certificates. `None` for the host of each node.
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Trusts the authorities in a PEM text, or else the public authorities.
    pub(super) fn new(roots: Option<&[u8]>, server_name: Option<String>) -> Result<Self, RedisConfigError> {
        let mut trusted = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = roots {
            trusted = RootCertStore::empty();
            let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
            if trusted.add_parsable_certificates(certificates).0 == 0 {
                return Err(RedisConfigError::NoRootCertificate);
            }
        }
        // The process-wide provider belongs to the application, so the provider is given explicitly.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let server_name =
            server_name.map(|name| ServerName::try_from(name).map_err(|_| RedisConfigError::BadServerName));
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name: server_name.transpose()? })
    }

    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| io::Error::other(format!("`{host}` cannot be a name in a certificate")))?,
        };
        self.connector.connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
