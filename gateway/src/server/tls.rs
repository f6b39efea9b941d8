//! The certificate that the gateway presents.

use crate::config::Config;
use rustls::{
    ServerConfig,
    pki_types::{CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{path::PathBuf, sync::Arc};
use tokio_rustls::TlsAcceptor;

/// Reads the certificates that the configuration names. Without `listen.tls` there is nothing to accept TLS with.
pub(crate) fn acceptor(config: &Config) -> anyhow::Result<Option<TlsAcceptor>> {
    let Some(tls) = &config.settings.listen.tls else { return Ok(None) };
    let chain = config.certificates("listen.tls.certificate", &tls.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(config.text_of("listen.tls.key", &tls.key)?.as_bytes())
        .map_err(|error| config.wrong("listen.tls.key", format!("the file has no private key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &tls.client_ca {
        None if !tls.client_crls.is_empty() => {
            let help = "no authority is named that signs the certificates of clients; add `client_ca`";
            return Err(config.wrong("listen.tls.client_crls", help));
        }
        None if tls.require_client_certificate => {
            let help = "no authority is named that signs the certificates of clients; add `client_ca`";
            return Err(config.wrong("listen.tls.require_client_certificate", help));
        }
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = config.roots("listen.tls.client_ca", path)?;
            let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            if !tls.client_crls.is_empty() {
                // Without further words, each certificate of the chain needs a list, so a forgotten list is noticed.
                verifier =
                    verifier.with_crls(revocation_lists(config, &tls.client_crls)?).enforce_revocation_expiration();
            }
            let verifier = if tls.require_client_certificate { verifier } else { verifier.allow_unauthenticated() };
            let key = if tls.client_crls.is_empty() { "listen.tls.client_ca" } else { "listen.tls.client_crls" };
            let verifier = verifier.build().map_err(|error| config.wrong(key, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(|error| {
        config.wrong("listen.tls.key", format!("the key does not belong to the certificate: {error}"))
    })?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

/// Reads the revocation lists of the authorities of clients. A list that has expired is taken: it refuses the clients of its
/// authority, until a newer list replaces the file.
fn revocation_lists(config: &Config, paths: &[PathBuf]) -> anyhow::Result<Vec<CertificateRevocationListDer<'static>>> {
    let mut lists = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        lists.extend(config.revocation_lists(&format!("listen.tls.client_crls[{index}]"), path)?);
    }
    Ok(lists)
}
