use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::FetchConfigError;
use zeroize::Zeroizing;

/// The certificate of the client with its chain, and the private key of the certificate, as PEM texts.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) chain: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

/// Returns the public certificate authorities of webpki-roots.
pub(super) fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Returns a configuration for TLS 1.2 and 1.3 with ring, which trusts `roots` and the certificates in the PEM texts
/// `extra_roots`, and presents the certificate of `identity` to servers that ask for one.
pub(super) fn config(
    mut roots: RootCertStore,
    extra_roots: &[Vec<u8>],
    identity: Option<&Identity>,
) -> Result<ClientConfig, FetchConfigError> {
    for pem in extra_roots {
        add(&mut roots, pem)?;
    }
    // The process-wide provider belongs to the application, so the provider is given explicitly.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let Some(identity) = identity else { return Ok(config.with_no_client_auth()) };
    let unusable = |source: tower::BoxError| FetchConfigError::UnusableClientCertificate { source };
    let chain = CertificateDer::pem_slice_iter(&identity.chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unusable(error.into()))?;
    if chain.is_empty() {
        return Err(unusable("the PEM text has no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&identity.key).map_err(|error| unusable(error.into()))?;
    config.with_client_auth_cert(chain, key).map_err(|error| unusable(error.into()))
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), FetchConfigError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|source| FetchConfigError::UnusableRootCertificate { source: source.into() })?;
        roots.add(certificate).map_err(|source| FetchConfigError::UnusableRootCertificate { source: source.into() })?;
    }
    if roots.len() == before {
        return Err(FetchConfigError::NoRootCertificate);
    }
    Ok(())
}
