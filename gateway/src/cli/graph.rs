use super::{read, say_text};
use crate::{
    config::Config,
    exit::{Exit, Failure, OrExit},
    gateway::Gateway,
    stores::Stores,
    upstream::Endpoints,
};
use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tower_token_exchange::{TokenExchangeLayer, graph::DelegationGraph, token::Claims};

#[derive(Args)]
pub(super) struct Graph {
    /// The configuration file
    #[arg(short, long, default_value = "gateway.toml")]
    config: PathBuf,
    /// An older configuration file: print what opens and what closes since then
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Only this client; the option can be repeated
    #[arg(long = "client", value_name = "ID")]
    clients: Vec<String>,
    /// Only this target; the option can be repeated
    #[arg(long = "target", value_name = "ID")]
    targets: Vec<String>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
    Mermaid,
    Dot,
    Svg,
}

#[derive(Args)]
pub(super) struct Reach {
    /// The configuration file
    #[arg(short, long, default_value = "gateway.toml")]
    config: PathBuf,
    /// Start with a token of the authorization server for this target
    #[arg(long, value_name = "TARGET", conflicts_with = "claims", required_unless_present = "claims")]
    from: Option<String>,
    /// The `sub` of the token
    #[arg(long, default_value = "a-user", conflicts_with = "claims")]
    sub: String,
    /// A file with the claims of the token, as JSON
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// The largest number of exchanges
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    hops: u8,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Graph) -> Result<(), Failure> {
    let graph = graph(&options.config, options)?;
    match &options.since {
        None => say_text(&match options.format {
            Format::Text => graph.to_string(),
            Format::Json => json(&graph)?,
            Format::Mermaid => graph.to_mermaid(),
            Format::Dot => graph.to_dot(),
            Format::Svg => graph.to_svg(),
        }),
        Some(old) => {
            let changes = self::graph(old, options)?.changes_to(&graph);
            say_text(&match options.format {
                Format::Text => changes.to_string(),
                Format::Json => json(&changes)?,
                Format::Mermaid => changes.to_mermaid(),
                Format::Dot => changes.to_dot(),
                Format::Svg => changes.to_svg(),
            });
        }
    }
    Ok(())
}

pub(super) async fn reach(options: &Reach) -> Result<(), Failure> {
    let layer = layer(&options.config)?;
    let claims = match (&options.claims, &options.from) {
        (Some(file), _) => Claims::from_json(read(file)?)
            .with_context(|| format!("{}: write the claims of the token as one JSON object", file.display()))
            .or_exit(Exit::Misconfigured)?,
        (None, Some(target)) => layer
            .sample_token(target, &options.sub)
            .ok_or_else(|| anyhow!("there is no target `{target}`: give the id of a `[[target]]`"))
            .or_exit(Exit::Misconfigured)?,
        (None, None) => return Err(anyhow!("give `--from` or `--claims`")).or_exit(Exit::Misconfigured),
    };
    let reach = layer.reach(claims, options.hops.into()).await;
    say_text(&if options.json { json(&reach)? } else { reach.to_string() });
    Ok(())
}

fn graph(path: &Path, Graph { clients, targets, .. }: &Graph) -> Result<DelegationGraph, Failure> {
    let clients: Vec<_> = clients.iter().map(Into::into).collect();
    let targets: Vec<_> = targets.iter().map(Into::into).collect();
    Ok(layer(path)?.delegation_graph().only(&clients, &targets))
}

/// The layer of a configuration. The authorization server is not asked.
fn layer(path: &Path) -> Result<TokenExchangeLayer, Failure> {
    let config = Config::read(path).or_exit(Exit::Misconfigured)?;
    let stores = Stores::without_files(&config).or_exit(Exit::Misconfigured)?;
    let gateway = Gateway::new(&config, Endpoints::assumed(&config), stores).or_exit(Exit::Misconfigured)?;
    Ok(gateway.exchange)
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).or_exit(Exit::Failed)
}
