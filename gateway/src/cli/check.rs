use super::{SUCCESS, banner};
use crate::{
    config::Config,
    exit::{Exit, Failure, OrExit},
    gateway::Gateway,
    server,
    stores::Stores,
    upstream::{Endpoints, ServerKeys},
};
use anyhow::anyhow;
use std::path::Path;
use tower_token_exchange::jwks::KeyState;

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
    anstream::println!("{SUCCESS}ok:{SUCCESS:#} {}", path.display());
    Ok(())
}

async fn check_online(config: &Config) -> Result<(), Failure> {
    let endpoints = Endpoints::find(config, None).await.or_exit(Exit::Failed)?;
    println!("endpoints of the authorization server: {endpoints}");
    let gateway = Gateway::new(config, endpoints, Stores::none()).or_exit(Exit::Misconfigured)?;
    let mut problems = Vec::new();
    match ServerKeys::fetch(config, &gateway.endpoints).await {
        Ok(keys) => problems.extend(keys.difference_to(config.signer.algorithm())),
        Err(error) => problems.push(format!("key set: {error:#}")),
    }
    for issuer in gateway.exchange.load_keys().await.issuers {
        println!("keys of {}: {}, {}", issuer.issuer, issuer.keys, issuer.state.as_str());
        if issuer.state == KeyState::Missing {
            problems.extend(issuer.last_problem);
        }
    }
    if let Err(error) = gateway.authenticator.probe().await {
        problems.push(format!("client authentication: {error}"));
    }
    gateway.ask_upstream(config).await;
    if let Some(kid) = gateway.documents.key_id_collision() {
        problems.push(format!("two different keys have the `kid` `{kid}`; give the key of the gateway another `kid`"));
    }
    if problems.is_empty() { Ok(()) } else { Err(anyhow!(problems.join("\n"))).or_exit(Exit::Failed) }
}
