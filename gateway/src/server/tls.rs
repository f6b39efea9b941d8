//! The certificate that the gateway presents.

use crate::config::Config;
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{io, path::PathBuf, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower_token_exchange::client_auth::PeerCertificates;

/// Accepts TLS, and says which certificates of clients are valid.
#[derive(Clone)]
pub(crate) struct Acceptor {
    tls: TlsAcceptor,
    /// Checks the chains that the handshake did not check.
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// Whether the handshake accepts a certificate of any issuer.
    accepts_any: bool,
}

impl Acceptor {
    pub(super) async fn accept<IO: AsyncRead + AsyncWrite + Unpin>(&self, stream: IO) -> io::Result<TlsStream<IO>> {
        self.tls.accept(stream).await
    }

    /// The certificates of a client whose handshake succeeded.
    pub(super) fn certificates(&self, chain: &[CertificateDer<'static>]) -> PeerCertificates {
        let certificates = PeerCertificates::new(chain.iter().map(|der| der.to_vec()));
        let is_valid = match (self.accepts_any, &self.authorities, chain) {
            (false, ..) => true,
            (true, Some(authorities), [leaf, others @ ..]) => {
                authorities.verify_client_cert(leaf, others, UnixTime::now()).is_ok()
            }
            (true, ..) => false,
        };
        if is_valid { certificates.with_valid_chain() } else { certificates }
    }
}

/// Accepts a certificate of any issuer, for clients that are known by their key. The client still proves that it has the key.
#[derive(Debug)]
struct AnyCertificate {
    is_required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Reads the certificates that the configuration names. Without `listen.tls` there is nothing to accept TLS with.
pub(crate) fn acceptor(config: &Config) -> anyhow::Result<Option<Acceptor>> {
    let Some(tls) = &config.settings.listen.tls else { return Ok(None) };
    let chain = config.certificates("listen.tls.certificate", &tls.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(config.text_of("listen.tls.key", &tls.key)?.as_bytes())
        .map_err(|error| config.wrong("listen.tls.key", format!("the file has no private key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let algorithms = provider.signature_verification_algorithms;
    let authorities = match &tls.client_ca {
        None if !tls.client_crls.is_empty() => {
            let help = "no authority is named that signs the certificates of clients; add `client_ca`";
            return Err(config.wrong("listen.tls.client_crls", help));
        }
        None if tls.require_client_certificate && !tls.accept_any_client_certificate => {
            let help = "no authority is named that signs the certificates of clients; add `client_ca`";
            return Err(config.wrong("listen.tls.require_client_certificate", help));
        }
        None => None,
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
            Some(verifier.build().map_err(|error| config.wrong(key, error))?)
        }
    };
    let builder = match &authorities {
        _ if tls.accept_any_client_certificate => {
            let is_required = tls.require_client_certificate;
            builder.with_client_cert_verifier(Arc::new(AnyCertificate { is_required, algorithms }))
        }
        Some(authorities) => builder.with_client_cert_verifier(Arc::clone(authorities)),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_single_cert(chain, key).map_err(|error| {
        config.wrong("listen.tls.key", format!("the key does not belong to the certificate: {error}"))
    })?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let accepts_any = tls.accept_any_client_certificate;
    Ok(Some(Acceptor { tls: TlsAcceptor::from(Arc::new(server)), authorities, accepts_any }))
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
