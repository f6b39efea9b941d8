//! DPoP: the settings, and the check of a proof (RFC 9449).

mod nonce;
mod proof;
mod url;

pub use nonce::{NonceKey, NonceKeyError};

pub(super) use proof::{ProofFor, ProvenKey};

use crate::jose::Algorithm;
use std::time::Duration;

/// The longest age of a proof that can be set.
const LONGEST_AGE: Duration = Duration::from_secs(600);

/// The settings for DPoP proofs at the token endpoint (RFC 9449).
///
/// A client that sends a proof gets a token that is bound to the key of the proof, with `token_type` `DPoP`. The page
/// [`proof`](crate::manual::proof) says how the layer checks a proof, and what becomes of tokens that are already bound.
///
/// A resource server has the same settings (`ResourceServerBuilder::dpop`). There, a URL is the public URL of the service, and the
/// path of each request is appended to the URL.
///
/// ```
/// use tower_token_exchange::{TokenExchangeLayer, proof::{Dpop, NonceKey}};
///
/// let dpop = Dpop::new("https://as.example/token").require_nonce(NonceKey::new([7; 32])?);
/// let builder = TokenExchangeLayer::builder("https://as.example").dpop(dpop);
/// # let _ = builder;
/// # Ok::<(), tower_token_exchange::proof::NonceKeyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Dpop {
    /// The URLs as the user gave them.
    given_urls: Vec<String>,
    /// The same URLs in normal form. A URL that has no normal form is missing, and a mistake.
    urls: Vec<String>,
    algorithms: Vec<Algorithm>,
    max_age: Duration,
    nonces: Option<Nonces>,
}

#[derive(Clone, Debug)]
struct Nonces {
    key: NonceKey,
    are_required: bool,
}

impl Dpop {
    /// Creates the settings for a token endpoint with this public URL, which is the `htu` of a proof.
    ///
    /// The layer compares `htu` with this URL, and never with the headers of the request, which the sender chooses. Both are
    /// normalized first (RFC 3986 sections 6.2.2 and 6.2.3), and the query and the fragment of `htu` do not count.
    ///
    /// Default: a proof is accepted for 60 s, with every [`Algorithm`], and without a nonce.
    pub fn new(token_endpoint: impl Into<String>) -> Self {
        let settings = Self {
            given_urls: Vec::new(),
            urls: Vec::new(),
            algorithms: Algorithm::ALL.to_vec(),
            max_age: Duration::from_secs(60),
            nonces: None,
        };
        settings.alias(token_endpoint)
    }

    /// Adds another public URL of the token endpoint, such as the URL for clients with certificates (`mtls_endpoint_aliases`,
    /// RFC 8705 section 5).
    pub fn alias(mut self, token_endpoint: impl Into<String>) -> Self {
        let url = token_endpoint.into();
        self.urls.extend(url::normalized(&url));
        self.given_urls.push(url);
        self
    }

    /// Sets the accepted signature algorithms. Default: every [`Algorithm`], all of which are asymmetric.
    pub fn accept_algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Sets how old a proof without a nonce may be (`iat`), from 1 s to 600 s. Default: 60 s.
    ///
    /// A proof may also be from the future by up to 10 s.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Requires a nonce of this server in each proof (RFC 9449 section 8). Default: a proof needs no nonce.
    ///
    /// A proof without a nonce, or with an old nonce, is answered with `use_dpop_nonce` and a new nonce in the header
    /// `DPoP-Nonce`. The client then tries again. The nonce shows the age of the proof, so the clock of the client does not
    /// matter. All servers of one token endpoint need the same key.
    pub fn require_nonce(mut self, key: NonceKey) -> Self {
        self.nonces = Some(Nonces { key, are_required: true });
        self
    }

    /// Offers a nonce with each token, and accepts proofs with and without a nonce of this server. Default: no nonces.
    ///
    /// A proof with an old nonce is refused as for [`require_nonce`](Self::require_nonce). Use this setting to find out which
    /// clients know nonces.
    pub fn offer_nonce(mut self, key: NonceKey) -> Self {
        self.nonces = Some(Nonces { key, are_required: false });
        self
    }

    /// The accepted algorithms, for the metadata `dpop_signing_alg_values_supported`.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// The first mistake: what is wrong, and what to do.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(url) = self.given_urls.iter().find(|url| url::normalized(url).is_none()) {
            return Some(format!("`{url}` is not the URL of a token endpoint: give an absolute http or https URL"));
        }
        if self.algorithms.is_empty() {
            return Some("no algorithm, so every proof is refused: accept an algorithm".to_owned());
        }
        let is_age = (Duration::from_secs(1)..=LONGEST_AGE).contains(&self.max_age);
        (!is_age).then(|| "`max_age` is out of range: give 1 s to 600 s".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_the_settings_has_a_remedy() {
        let good = || Dpop::new("https://as.example/token");
        assert_eq!(good().alias("http://as.example:8080/oauth2/token").problem(), None);
        for (settings, problem) in [
            (Dpop::new("/token"), "`/token` is not the URL of a token endpoint"),
            (good().alias("https://user@as.example/token"), "`https://user@as.example/token` is not"),
            (good().accept_algorithms([]), "no algorithm"),
            (good().max_age(Duration::from_millis(999)), "out of range"),
            (good().max_age(Duration::from_secs(601)), "out of range"),
        ] {
            let found = settings.problem().unwrap();
            assert!(found.contains(problem), "{found}");
        }
    }
}
