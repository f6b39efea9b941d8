//! X.509-SVIDs: the certificate of a workload, which an authority in the bundle of the workload's trust domain issued.

use super::PeerCertificates;
use crate::{
    jose::{KeyMatch, KeySet},
    jwks::TrustedKeys,
    protocol::{Reason, Rejection, refuse},
    records::Registry,
};
use rustls::{
    RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, UnixTime},
    server::WebPkiClientVerifier,
};
use std::{sync::Arc, time::Duration};

/// What shows that a certificate is an X.509-SVID.
pub(super) struct Bundles<'a> {
    pub(super) registry: &'a Registry,
    pub(super) keys: &'a TrustedKeys,
    /// The time in seconds since 1970.
    pub(super) now: u64,
}

impl Bundles<'_> {
    /// Checks that a chain of certificates, whose first certificate has this SPIFFE ID, ends at an authority of the trust domain
    /// in the ID. No other authority counts, whatever the TLS acceptor trusts.
    pub(super) async fn check(&self, certificates: &PeerCertificates, id: &str) -> Result<(), Rejection> {
        let domain = self.registry.trust_domain_of(id).ok_or_else(|| refuse(Reason::ClientCertificateMismatch))?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(self.now));
        let is_issued = |bundle: &KeySet| match issued_by(bundle, certificates, now) {
            true => KeyMatch::Verified,
            false => KeyMatch::NoKey,
        };
        match self.keys.verify(domain, true, is_issued).await? {
            KeyMatch::Verified => Ok(()),
            _ => {
                let detail = format_args!("no authority in the bundle of `{}` issued the certificate", domain.id);
                Err(refuse(Reason::ClientCertificateUntrusted).with_detail(detail))
            }
        }
    }
}

/// Whether an authority of the bundle issued the certificate of the peer for the authentication of clients.
fn issued_by(bundle: &KeySet, certificates: &PeerCertificates, now: UnixTime) -> bool {
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(bundle.authorities().map(CertificateDer::from));
    // Without an authority, there is no verifier.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::new(default_provider()));
    let chain: Vec<_> = certificates.chain().iter().map(|der| CertificateDer::from(&**der)).collect();
    match (verifier.build(), &*chain) {
        (Ok(verifier), [leaf, others @ ..]) => verifier.verify_client_cert(leaf, others, now).is_ok(),
        _ => false,
    }
}
