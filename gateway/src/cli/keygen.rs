use crate::{
    config::Config,
    exit::{Exit, Failure, OrExit},
    upstream::{Endpoints, ServerKeys, metadata, proxy, server_client},
};
use anyhow::{Context, anyhow};
use clap::Args;
use rsa::{
    Generate, PrivateKey,
    pkcs8::{EncodePrivateKey, LineEnding},
};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

#[derive(Args)]
pub(super) struct Keygen {
    /// The algorithm, such as ES256, ES384, EdDSA, RS256 or PS256
    #[arg(short, long, default_value = "ES256")]
    algorithm: Algorithm,
    /// Use the algorithm of the authorization server's own keys
    #[arg(long, conflicts_with = "algorithm")]
    like_upstream: bool,
    /// The configuration file, for `--like-upstream`
    #[arg(short, long, default_value = "gateway.toml")]
    config: PathBuf,
    /// The file for the key; the file must not exist
    file: PathBuf,
}

/// Makes a key in a new file that only its owner can read.
pub(super) async fn run(options: &Keygen) -> Result<(), Failure> {
    let Keygen { algorithm, like_upstream, config, file } = options;
    let algorithm = if *like_upstream { of_upstream(config).await? } else { *algorithm };
    let key = write_key(algorithm, file).map_err(|error| {
        let exists =
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AlreadyExists);
        let help = if exists { "; give another name, because a key is never replaced" } else { "" };
        anyhow!("{}: {error:#}{help}", file.display())
    });
    let key = key.or_exit(Exit::Failed)?;
    say!("{}\n  algorithm  {algorithm}\n  kid        {}", file.display(), key.key_id());
    // The gateway takes RS256 for an RSA key.
    if is_rsa(algorithm) && algorithm != Algorithm::RS256 {
        say!("Name the algorithm in the configuration: `{{ file = \"…\", algorithm = \"{algorithm}\" }}`.");
    }
    say!("Use the first key as `keys.active`. List a later key in `keys.published` until every verifier knows it.");
    Ok(())
}

/// The algorithm of the keys of the authorization server.
async fn of_upstream(config: &Path) -> Result<Algorithm, Failure> {
    let config = Config::read_before_keys(config).or_exit(Exit::Misconfigured)?;
    let endpoints = Endpoints::find(&config, None).await.or_exit(Exit::Failed)?;
    let http = server_client(&proxy(&config).or_exit(Exit::Failed)?);
    let metadata = metadata(&config, &http).await.ok();
    let keys = ServerKeys::fetch(&config, &http, &endpoints, metadata.as_ref()).await.or_exit(Exit::Failed)?;
    keys.algorithm()
        .with_context(|| {
            let place = config.public_url(endpoints.jwks().first().map_or("", String::as_str));
            format!("{place} has no key of a known algorithm; make a key with `--algorithm ES256`")
        })
        .or_exit(Exit::Failed)
}

fn write_key(algorithm: Algorithm, path: &Path) -> anyhow::Result<LocalSigner> {
    let pem = if is_rsa(algorithm) { generate_rsa()? } else { LocalSigner::generate_pem(algorithm)? };
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create_new(true).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    Ok(LocalSigner::from_pem(algorithm, pem)?)
}

fn is_rsa(algorithm: Algorithm) -> bool {
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
}

/// The cryptography library of the signer cannot generate RSA keys.
fn generate_rsa() -> anyhow::Result<String> {
    Ok(PrivateKey::try_generate()?.to_pkcs8_pem(LineEnding::LF)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_new_key_file_is_private_and_never_overwritten() {
        let folder = std::env::temp_dir().join(format!("token-exchange-gateway-keys-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256] {
            let file = folder.join(format!("{algorithm}.pem"));
            let made = write_key(algorithm, &file).unwrap();
            let read = LocalSigner::from_text(&fs::read_to_string(&file).unwrap(), None).unwrap();
            assert_eq!((read.algorithm(), read.published_keys()), (algorithm, made.published_keys()));
            #[cfg(unix)]
            {
                let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
                assert_eq!(mode & 0o777, 0o600);
            }
            let again = write_key(algorithm, &file).unwrap_err();
            let again = again.downcast::<std::io::Error>().unwrap();
            assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
