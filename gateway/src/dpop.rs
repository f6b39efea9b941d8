//! The settings for DPoP proofs, from `[dpop]`.

use crate::{config::Config, upstream::Endpoints};
use tower_token_exchange::proof::{Dpop, NonceKey};

/// Makes the settings. `None` without the table `[dpop]`.
///
/// The public URL of a token endpoint follows from the issuer, because the gateway answers at the URL of the issuer only.
pub(crate) fn settings(config: &Config, endpoints: &Endpoints) -> anyhow::Result<Option<Dpop>> {
    let Some(dpop) = &config.settings.dpop else { return Ok(None) };
    let paths = endpoints.token().iter().map(|path| config.public_url(path));
    let mut urls = paths.chain(dpop.aliases.iter().cloned());
    let first = urls.next().unwrap_or_else(|| config.public_url("/token"));
    let mut settings = urls.fold(Dpop::new(first), Dpop::alias).max_age(dpop.max_age);
    if let Some(algorithms) = &dpop.algorithms {
        settings = settings.accept_algorithms(algorithms.iter().copied());
    }
    let Some(path) = &dpop.nonce_key_file else {
        return match dpop.require_nonce {
            Some(_) => Err(config.wrong("dpop.require_nonce", "no key makes the nonces; add `nonce_key_file`")),
            None => Ok(Some(settings)),
        };
    };
    const KEY: &str = "dpop.nonce_key_file";
    let text = config.text_of(KEY, path)?;
    let key = NonceKey::new(text.trim_end()).map_err(|error| config.wrong(KEY, error))?;
    Ok(Some(match dpop.require_nonce.unwrap_or(true) {
        true => settings.require_nonce(key),
        false => settings.offer_nonce(key),
    }))
}
