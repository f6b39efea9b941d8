use super::{
    Dpop,
    dpop::{ProofFor, ProvenKey},
};
use crate::{
    client_auth::PeerCertificates,
    clock::Clock,
    jose::{Algorithm, Cryptography, Thumbprint},
    protocol::{ClientId, Reason, Rejection, Sender, refuse},
    records::ClientRecord,
    replay::{Replays, UseKey, UseKind},
    token::{Binding, Confirmation},
};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Checks the proofs of possession in requests.
#[derive(Clone)]
pub(crate) struct Proofs {
    /// `None` if the layer does not support DPoP.
    pub(crate) dpop: Option<Arc<Dpop>>,
    pub(crate) replays: Replays,
    pub(crate) clock: Clock,
    /// The library that verifies the signatures of proofs.
    pub(crate) cryptography: Cryptography,
    /// Whether the sender counts as the owner of the keys that the received tokens are bound to, as in a dry run.
    pub(crate) are_assumed: bool,
}

/// What the sender of a request has proven to possess.
#[derive(Clone, Debug)]
pub(crate) struct Possession {
    proven: Binding,
    is_assumed: bool,
    next_nonce: Option<HeaderValue>,
}

impl Proofs {
    /// Returns the check of a dry run, which takes the sender for the owner of the keys that the received tokens are bound to.
    pub(crate) fn assumed(&self) -> Self {
        Self { are_assumed: true, ..self.clone() }
    }

    /// Checks the DPoP proof and notes the certificate of a request. The client is authenticated.
    ///
    /// # Errors
    /// The proof is not acceptable, or the request lacks what the record of the client demands.
    pub(crate) async fn check(&self, sender: Sender<'_>, client: &ClientRecord) -> Result<Possession, Rejection> {
        let certificate = sender.extension::<PeerCertificates>().and_then(PeerCertificates::leaf);
        let certificate = certificate.map(Thumbprint::of_certificate);
        // The future of the check is on the heap, because most requests have no proof.
        let proven = match sender.headers.contains_key(DPOP) {
            true => Box::pin(self.check_dpop(sender, client)).await?,
            false => None,
        };
        let (key, next_nonce) = proven.map_or((None, None), |(key, next_nonce)| (Some(key), next_nonce));
        if client.dpop_bound && key.is_none() && !self.are_assumed {
            return Err(refuse(Reason::DpopProofMissing));
        }
        if client.certificate_bound && certificate.is_none() && !self.are_assumed {
            return Err(refuse(Reason::CertificateMissing));
        }
        Ok(Possession { proven: Binding { key, certificate }, is_assumed: self.are_assumed, next_nonce })
    }

    async fn check_dpop(
        &self,
        sender: Sender<'_>,
        client: &ClientRecord,
    ) -> Result<Option<(Thumbprint, Option<HeaderValue>)>, Rejection> {
        let mut headers = sender.headers.get_all(DPOP).iter();
        let Some(proof) = headers.next() else { return Ok(None) };
        if headers.next().is_some() {
            return Err(self.refusal_of_several_proofs());
        }
        let permits = |algorithm| client.methods.permit_in_proofs(algorithm);
        self.check_proof(proof, ProofFor::TOKEN_ENDPOINT, &client.id, permits).await.map(Some)
    }

    fn refusal_of_several_proofs(&self) -> Rejection {
        match self.dpop {
            Some(_) => refuse(Reason::DpopProofMalformed).with_detail("several headers `DPoP`"),
            None => refuse(Reason::DpopUnsupported),
        }
    }

    /// Checks one DPoP proof, and uses the proof. Returns the thumbprint of the key, and the nonce for the next proof.
    /// `permits` says which algorithms the client may use.
    async fn check_proof(
        &self,
        proof: &HeaderValue,
        request: ProofFor<'_>,
        client: &ClientId,
        permits: impl Fn(Algorithm) -> bool,
    ) -> Result<(Thumbprint, Option<HeaderValue>), Rejection> {
        let dpop = self.dpop.as_ref().ok_or_else(|| refuse(Reason::DpopUnsupported))?;
        let proven = dpop.check(proof, request, self.clock.now().into(), self.cryptography)?;
        let ProvenKey { thumbprint, algorithm, id, freshness } = proven;
        if !permits(algorithm) {
            return Err(refuse(Reason::DpopKeyRefused).with_detail(format_args!("FAPI does not permit {algorithm}")));
        }
        let key = UseKey::new(UseKind::DpopProof, thumbprint.to_string(), id);
        self.replays.use_once(key, client, freshness.expires_at).await?;
        Ok((thumbprint, freshness.next_nonce))
    }
}

#[cfg(feature = "resource-server")]
impl Proofs {
    /// Checks the DPoP proof in a request to a resource server (RFC 9449 section 7). Returns the thumbprint of the key, and
    /// the nonce for the next proof. The store counts the proof for the client.
    pub(crate) async fn check_for_resource(
        &self,
        proof: &HeaderValue,
        (method, path): (&str, &str),
        access_token: &str,
        client: &ClientId,
    ) -> Result<(Thumbprint, Option<HeaderValue>), Rejection> {
        self.check_proof(proof, ProofFor::resource(method, path, access_token), client, |_| true).await
    }
}

impl Possession {
    /// What the sender possesses, for tokens with these bindings. `needs_key` says whether a record demands a bound token.
    pub(crate) fn for_tokens(&self, tokens: [&Confirmation; 2], needs_key: bool) -> Binding {
        let assumed = tokens.into_iter().filter_map(|token| match token {
            Confirmation::Bound(bound) if self.is_assumed => Some(*bound),
            _ => None,
        });
        let presented = assumed.fold(self.proven, Binding::and);
        match self.is_assumed && needs_key && presented.is_none() {
            // The thumbprint of no key: no token of a dry run has a key to name.
            true => Binding::of_key(Thumbprint::of_certificate([])),
            false => presented,
        }
    }

    /// What the request proves.
    pub(crate) fn proven(&self) -> Binding {
        self.proven
    }

    /// The nonce for the next proof of the client, if the client does not have this nonce.
    pub(crate) fn next_nonce(&self) -> Option<&HeaderValue> {
        self.next_nonce.as_ref()
    }
}
