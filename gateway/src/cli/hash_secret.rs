use crate::exit::{Exit, Failure, OrExit};
use anyhow::{Context, anyhow};
use clap::Args;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use std::io;
use tower_token_exchange::records::hash_chosen_secret;

/// The fewest characters of a secret that SHA-256 protects well enough.
const MIN_CHARS: usize = 16;

#[derive(Args)]
pub(super) struct HashSecret {
    /// Make a new random secret, and print the secret too
    #[arg(long)]
    generate: bool,
    /// A person chose the secret, so hash it slowly (Argon2id)
    #[arg(long, conflicts_with = "generate")]
    chosen: bool,
}

/// Prints the line for the record of a client. Without `--generate`, the secret is the first line of standard input.
pub(super) fn run(options: &HashSecret) -> Result<(), Failure> {
    let secret = if options.generate { random() } else { from_input() }.or_exit(Exit::Failed)?;
    if options.chosen {
        let hash = hash_chosen_secret(&secret).ok_or_else(no_randomness).or_exit(Exit::Failed)?;
        say!("secret_argon2 = \"{hash}\"");
        return Ok(());
    }
    if secret.chars().count() < MIN_CHARS {
        let help = "shorter than 16 characters; use `--generate`, or `--chosen` for a secret that a person chose";
        return Err(anyhow!("the secret is {help}")).or_exit(Exit::Misconfigured);
    }
    if options.generate {
        say!("# for the client: {secret}");
    }
    say!("secret_sha256 = \"{}\"", HEXLOWER.encode(digest(&SHA256, secret.as_bytes()).as_ref()));
    Ok(())
}

/// A secret with 256 random bits.
fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| no_randomness())?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

fn from_input() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("standard input")?;
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(anyhow!("standard input has no secret; write the secret in one line, or use `--generate`"));
    }
    Ok(secret.to_owned())
}

fn no_randomness() -> anyhow::Error {
    anyhow!("the system has no randomness; check its random source")
}
