use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::FetchConfigError;

/// Returns the public certificate authorities of webpki-roots.
pub(super) fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Returns a configuration for TLS 1.2 and 1.3 with ring, which trusts `roots` and the certificates in the PEM texts
/// `extra_roots`.
pub(super) fn config(mut roots: RootCertStore, extra_roots: &[Vec<u8>]) -> Result<ClientConfig, FetchConfigError> {
    for pem in extra_roots {
        add(&mut roots, pem)?;
    }
    // The process-wide provider belongs to the application, so the provider is given explicitly.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
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
