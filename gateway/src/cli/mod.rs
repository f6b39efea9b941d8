//! What helps before and beside the running gateway: check, explain, keygen, try.

#![allow(clippy::print_stdout, reason = "the commands print their results")]

use crate::{
    config::Config,
    serve::{Failure, banner},
    server,
    upstream::{Endpoints, Gateway, Stores},
};
use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Request, header};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tower::ServiceExt;
use tower_token_exchange::{
    GRANT_TYPE, TokenType,
    fetch::HttpFetch,
    jwks::KeyState,
    signing::{Algorithm, LocalSigner},
};

/// Token exchange (RFC 8693) in front of an authorization server that has never heard of it
#[derive(Parser)]
#[command(
    name = "token-exchange-gateway",
    version,
    after_help = "Exit codes: 0 it went well, 1 it did not, 2 the configuration or the command is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        /// The configuration
        #[arg(short, long, default_value = "gateway.toml")]
        config: PathBuf,
    },
    /// Check the configuration, and start nothing
    Check {
        /// The configuration
        #[arg(short, long, default_value = "gateway.toml")]
        config: PathBuf,
        /// Reach the legacy server and the issuers too
        #[arg(long)]
        online: bool,
    },
    /// Say what would become of a request, and why
    Explain(Explain),
    /// Make a key, for ES256, ES384 or EdDSA
    Keygen {
        /// The algorithm
        #[arg(short, long, default_value = "ES256")]
        algorithm: Algorithm,
        /// The file; it must not be there yet
        file: PathBuf,
    },
    /// Exchange a token at a running server, and show what comes back
    Try(Try),
}

/// Runs the program with the arguments of the process, and returns its exit code.
pub fn run() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Runtime::new().expect("the system gives threads");
    let done = runtime.block_on(dispatch(command));
    // Not without end: an audit file may take nothing any more.
    runtime.shutdown_timeout(crate::serve::PATIENCE);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Start(problem)) => told(&problem, 1),
        Err(Failure::Configuration(problem)) => told(&problem, 2),
    }
}

async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve { config } => crate::serve::serve(&config).await,
        Command::Check { config, online } => check(&config, online).await,
        Command::Explain(asked) => explain(&asked).await,
        Command::Keygen { algorithm, file } => keygen(algorithm, &file),
        Command::Try(asked) => exchange(&asked).await,
    }
}

fn told(problem: &str, code: u8) -> ExitCode {
    eprintln!("{} {problem}", paint("error:", "31"));
    ExitCode::from(code)
}

/// Whether somebody reads along.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A word in colour, on a terminal.
fn paint(word: &str, colour: &str) -> String {
    if is_terminal() { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

#[derive(Args)]
pub(crate) struct Explain {
    /// The configuration
    #[arg(short, long, default_value = "gateway.toml")]
    config: PathBuf,
    /// The client that would ask
    #[arg(long)]
    client: String,
    /// A file with the form of the request
    #[arg(long, conflicts_with_all = ["token", "target"], required_unless_present = "token")]
    form: Option<PathBuf>,
    /// A file with a subject token, an access token
    #[arg(long, requires = "target")]
    token: Option<PathBuf>,
    /// The target to ask for, as an audience
    #[arg(long)]
    target: Option<String>,
    /// The scope to ask for
    #[arg(long)]
    scope: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Try {
    /// The token endpoint
    #[arg(long)]
    url: String,
    /// The client
    #[arg(long)]
    client: String,
    /// A file with its secret
    #[arg(long)]
    secret_file: PathBuf,
    /// A file with the subject token, an access token
    #[arg(long)]
    token: PathBuf,
    /// The target, as an audience
    #[arg(long)]
    target: String,
    /// The scope
    #[arg(long)]
    scope: Option<String>,
    /// A file with the certificates to trust
    #[arg(long)]
    ca: Option<PathBuf>,
}

/// Everything that `serve` checks before it starts, and with `online` what it finds out then.
pub(crate) async fn check(path: &Path, online: bool) -> Result<(), Failure> {
    let config = Config::read(path)?;
    server::acceptor(&config)?;
    Gateway::new(&config, Endpoints::assumed(&config), Stores::none())?;
    banner(&config);
    if online {
        let endpoints = Endpoints::find(&config).await.map_err(Failure::Start)?;
        println!("the legacy server has {endpoints:?}");
        let gateway = Gateway::new(&config, endpoints, Stores::none())?;
        let mut problems = Vec::new();
        for issuer in gateway.exchange.load_keys().await.issuers {
            println!("keys of {}: {}, {}", issuer.issuer, issuer.keys, issuer.state.as_str());
            let missing = issuer.state == KeyState::Missing;
            problems.extend(issuer.last_problem.filter(|_| missing));
        }
        problems
            .extend(gateway.authenticator.probe().await.err().map(|error| format!("client authentication: {error}")));
        gateway.look_at_upstream(&config).await;
        let collision = gateway.documents.key_id_collision();
        problems.extend(
            collision.map(|kid| format!("two different keys have the `kid` `{kid}`: give ours another, with `kid`")),
        );
        if !problems.is_empty() {
            return Err(Failure::Start(problems.join("\n")));
        }
    }
    println!("{} {}", paint("ok:", "32"), path.display());
    Ok(())
}

pub(crate) async fn explain(asked: &Explain) -> Result<(), Failure> {
    let config = Config::read(&asked.config)?;
    let endpoints = Endpoints::find(&config).await.unwrap_or_else(|problem| {
        eprintln!("{} the legacy server is not there: {problem}", paint("note:", "33"));
        Endpoints::assumed(&config)
    });
    let gateway = Gateway::new(&config, endpoints, Stores::none())?;
    let form = match (&asked.form, &asked.token, &asked.target) {
        (Some(form), _, _) => read(form)?,
        (None, Some(token), Some(target)) => form_of(&read(token)?, target, asked.scope.as_deref()),
        _ => return Err("give `--form`, or `--token` and `--target`".to_owned().into()),
    };
    let explanation = gateway.exchange.explain(&asked.client, form.trim().as_bytes()).await;
    if asked.json {
        println!("{}", serde_json::to_string_pretty(&explanation).unwrap_or_default());
    } else {
        print!("{explanation}");
        println!("\nWhere it is said:\n");
        let records = explanation.records.iter().map(|record| (&record.place, &record.says));
        let nearest = explanation.rules.iter().take(5).map(|rule| (&rule.place, &rule.says));
        for (place, says) in records.chain(nearest) {
            println!("    {}", config.at_record(place, says));
        }
    }
    match explanation.refusal {
        None => Ok(()),
        Some(refusal) => Err(Failure::Start(format!("it would be refused: {}", refusal.reason))),
    }
}

pub(crate) fn keygen(algorithm: Algorithm, file: &Path) -> Result<(), Failure> {
    let key = write_new_key(algorithm, file).map_err(|error| Failure::Start(format!("{}: {error}", file.display())))?;
    println!("{}\n  algorithm  {algorithm}\n  kid        {}", file.display(), key.key_id());
    println!(
        "The first key is `keys.active`. A later one is published (`keys.published`) until every verifier knows it."
    );
    Ok(())
}

/// Generates a private key and writes the key to a new file that only the owner can read.
fn write_new_key(algorithm: Algorithm, path: &Path) -> io::Result<LocalSigner> {
    let pem = LocalSigner::generate_pem(algorithm).map_err(io::Error::other)?;
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create_new(true).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    LocalSigner::from_pem(algorithm, pem).map_err(io::Error::other)
}

pub(crate) async fn exchange(asked: &Try) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        Failure::Start(causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}")))
    };
    let mut fetch = HttpFetch::builder().allow_private_addresses().allow_loopback_http();
    if let Some(ca) = &asked.ca {
        fetch = fetch.root_certificate_pem(read(ca)?.as_bytes());
    }
    let fetch = fetch.build().map_err(|error| failed(&error))?;
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let secret = read(&asked.secret_file)?;
    let credentials = BASE64.encode(format!("{}:{}", encode(&asked.client), encode(secret.trim())).as_bytes());
    let form = form_of(&read(&asked.token)?, &asked.target, asked.scope.as_deref());
    let request = Request::post(&asked.url)
        .header(header::AUTHORIZATION, format!("Basic {credentials}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .map_err(|error| failed(&error))?;
    let response = fetch.oneshot(request).await.map_err(|error| failed(&error))?;
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    let Some(token) = answer["access_token"].as_str().filter(|_| response.status().is_success()) else {
        let words = ["error", "error_description"].map(|member| answer[member].as_str().unwrap_or("?"));
        return Err(Failure::Start(format!(
            "{}: {}; the audit of the server says why",
            response.status(),
            words.join(", ")
        )));
    };
    let segment = |at: usize| {
        let bytes = BASE64URL_NOPAD.decode(token.split('.').nth(at).unwrap_or_default().as_bytes()).unwrap_or_default();
        serde_json::from_slice::<Value>(&bytes).unwrap_or(Value::Null)
    };
    let shown = json!({
        "issued_token_type": answer["issued_token_type"], "token_type": answer["token_type"],
        "expires_in": answer["expires_in"], "scope": answer["scope"], "header": segment(0), "claims": segment(1),
    });
    println!("{}", serde_json::to_string_pretty(&shown).unwrap_or_default());
    Ok(())
}

fn form_of(token: &str, target: &str, scope: Option<&str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", GRANT_TYPE)
        .append_pair("subject_token", token.trim())
        .append_pair("subject_token_type", TokenType::ACCESS_TOKEN.as_str())
        .append_pair("audience", target);
    if let Some(scope) = scope {
        form.append_pair("scope", scope);
    }
    form.finish()
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Configuration(format!("{}: {error}", path.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_file_is_private_and_never_overwritten() {
        let folder = std::env::temp_dir().join(format!("token-exchange-gateway-keys-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("active.pem");
        let made = write_new_key(Algorithm::EdDSA, &file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(LocalSigner::from_pem(Algorithm::EdDSA, &text).unwrap().published_keys(), made.published_keys());
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = write_new_key(Algorithm::EdDSA, &file).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert!(write_new_key(Algorithm::RS256, &folder.join("rsa.pem")).is_err());
        assert!(!folder.join("rsa.pem").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
