use super::{SUCCESS, banner};
use crate::{
    config::Config,
    diagnosis::diagnose,
    exit::{Exit, Failure, OrExit},
    gateway::Gateway,
    server,
};
use anyhow::anyhow;
use std::path::Path;

/// Checks everything that `serve` checks before it starts, and with `online` what `serve` finds out later.
pub(super) async fn run(path: &Path, online: bool) -> Result<(), Failure> {
    let config = Config::read(path).or_exit(Exit::Misconfigured)?;
    server::tls::acceptor(&config).or_exit(Exit::Misconfigured)?;
    Gateway::check(&config).or_exit(Exit::Misconfigured)?;
    let listen = &config.settings.listen;
    banner(&config, listen.address, listen.admin);
    if online {
        check_online(&config).await?;
    }
    say!("{SUCCESS}ok:{SUCCESS:#} {}", path.display());
    Ok(())
}

async fn check_online(config: &Config) -> Result<(), Failure> {
    let findings = diagnose(config).await.or_exit(Exit::Failed)?;
    findings.iter().for_each(|finding| say!("{finding}"));
    match findings.iter().filter(|finding| finding.problem().is_some()).count() {
        0 => Ok(()),
        1 => Err(anyhow!("the check found 1 problem")).or_exit(Exit::Failed),
        count => Err(anyhow!("the check found {count} problems")).or_exit(Exit::Failed),
    }
}
