use crate::exit::{Exit, Failure, OrExit};
use anyhow::anyhow;
use std::{fs::OpenOptions, io::Write, path::Path};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

/// Makes a key in a new file that only its owner can read.
pub(super) fn run(algorithm: Algorithm, path: &Path) -> Result<(), Failure> {
    let key = write_key(algorithm, path).map_err(|error| anyhow!("{}: {error:#}", path.display()));
    let key = key.or_exit(Exit::Failed)?;
    println!("{}\n  algorithm  {algorithm}\n  kid        {}", path.display(), key.key_id());
    println!("Use the first key as `keys.active`. List a later key in `keys.published` until every verifier knows it.");
    Ok(())
}

fn write_key(algorithm: Algorithm, path: &Path) -> anyhow::Result<LocalSigner> {
    let pem = LocalSigner::generate_pem(algorithm)?;
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create_new(true).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    Ok(LocalSigner::from_pem(algorithm, pem)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_new_key_file_is_private_and_never_overwritten() {
        let folder = std::env::temp_dir().join(format!("token-exchange-gateway-keys-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("active.pem");
        let made = write_key(Algorithm::EdDSA, &file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(LocalSigner::from_pem(Algorithm::EdDSA, &text).unwrap().published_keys(), made.published_keys());
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = write_key(Algorithm::EdDSA, &file).unwrap_err();
        let again = again.downcast::<std::io::Error>().unwrap();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
        assert!(write_key(Algorithm::RS256, &folder.join("rsa.pem")).is_err());
        assert!(!folder.join("rsa.pem").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
