use super::{WARNING, read};
use crate::{
    config::{Config, in_toml_words},
    exchange_form::exchange_form,
    exit::{Exit, Failure, OrExit},
    gateway::Gateway,
    server_record::{in_words_of_upstream, is_of_server},
    stores::Stores,
    upstream::Endpoints,
};
use anyhow::anyhow;
use clap::Args;
use std::path::PathBuf;
use tower_token_exchange::TokenType;

/// How many rules are listed with their lines.
const LISTED_RULES: usize = 5;

#[derive(Args)]
pub(super) struct Explain {
    /// The configuration file
    #[arg(short, long, default_value = "gateway.toml")]
    config: PathBuf,
    /// The client that sends the request
    #[arg(long)]
    client: String,
    /// A file with the form of the request
    #[arg(long, conflicts_with_all = ["token", "target"], required_unless_present = "token")]
    form: Option<PathBuf>,
    /// A file with the subject token, an access token
    #[arg(long, requires = "target")]
    token: Option<PathBuf>,
    /// The requested target, as an audience
    #[arg(long)]
    target: Option<String>,
    /// The requested scope
    #[arg(long)]
    scope: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(options: &Explain) -> Result<(), Failure> {
    let config = Config::read(&options.config).or_exit(Exit::Misconfigured)?;
    let endpoints = Endpoints::find(&config, None).await.unwrap_or_else(|error| {
        anstream::eprintln!("{WARNING}warning:{WARNING:#} the authorization server cannot be asked: {error:#}");
        Endpoints::assumed(&config)
    });
    let gateway = Gateway::new(&config, endpoints, Stores::without_files(&config).or_exit(Exit::Misconfigured)?)
        .or_exit(Exit::Misconfigured)?;
    let form = match (&options.form, &options.token, &options.target) {
        (Some(form), _, _) => read(form)?,
        (None, Some(token), Some(target)) => {
            exchange_form(read(token)?.trim(), &TokenType::ACCESS_TOKEN, target, options.scope.as_deref())
        }
        _ => return Err(anyhow!("give `--form`, or `--token` and `--target`")).or_exit(Exit::Misconfigured),
    };
    let explanation = gateway.exchange.explain(&options.client, form.trim().as_bytes()).await;
    if options.json {
        say!("{}", serde_json::to_string_pretty(&explanation).or_exit(Exit::Failed)?);
    } else {
        let text = in_toml_words(&explanation.to_string());
        let text = if is_of_server(&config, &form) { in_words_of_upstream(&text) } else { text };
        say!("{}", text.trim_end_matches('\n'));
        say!("\nRecords and rules:\n");
        let records = explanation.records.iter().map(|record| (&record.place, &record.says));
        let rules = explanation.rules.iter().take(LISTED_RULES).map(|rule| (&rule.place, &rule.says));
        for (place, text) in records.chain(rules) {
            say!("    {}", config.at_record(place, text));
        }
    }
    match explanation.refusal {
        None => Ok(()),
        Some(refusal) => Err(anyhow!("the exchange would be refused: {}", refusal.reason)).or_exit(Exit::Failed),
    }
}
