use super::read;
use crate::{
    exchange_form::exchange_form,
    exit::{Exit, Failure, OrExit},
};
use anyhow::anyhow;
use bytes::Bytes;
use clap::Args;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::path::PathBuf;
use tower::ServiceExt;
use tower_token_exchange::{TokenType, fetch::HttpFetch};

#[derive(Args)]
pub(super) struct Try {
    /// The URL of the token endpoint
    #[arg(long)]
    url: String,
    /// The client that sends the request
    #[arg(long)]
    client: String,
    /// A file with the secret of the client
    #[arg(long)]
    secret_file: PathBuf,
    /// A file with the subject token, an access token
    #[arg(long)]
    token: PathBuf,
    /// The requested target, as an audience
    #[arg(long)]
    target: String,
    /// The requested scope
    #[arg(long)]
    scope: Option<String>,
    /// A file with certificates to trust, in PEM
    #[arg(long)]
    ca: Option<PathBuf>,
}

pub(super) async fn run(options: &Try) -> Result<(), Failure> {
    let mut http = HttpFetch::builder().allow_private_addresses().allow_loopback_http();
    if let Some(ca) = &options.ca {
        http = http.root_certificate_pem(read(ca)?.as_bytes());
    }
    let http = http.build().or_exit(Exit::Failed)?;
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let secret = read(&options.secret_file)?;
    let credentials = BASE64.encode(format!("{}:{}", encode(&options.client), encode(secret.trim())).as_bytes());
    let token = read(&options.token)?;
    let form = exchange_form(token.trim(), &TokenType::ACCESS_TOKEN, &options.target, options.scope.as_deref());
    let request = Request::post(&options.url)
        .header(header::AUTHORIZATION, format!("Basic {credentials}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .or_exit(Exit::Failed)?;
    let response = http.oneshot(request).await.or_exit(Exit::Failed)?;
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    let Some(token) = answer["access_token"].as_str().filter(|_| response.status().is_success()) else {
        return Err(refusal(response.status(), &answer)).or_exit(Exit::Failed);
    };
    let decoded = |at: usize| {
        let segment = token.split('.').nth(at).unwrap_or_default();
        let bytes = BASE64URL_NOPAD.decode(segment.as_bytes()).unwrap_or_default();
        serde_json::from_slice::<Value>(&bytes).unwrap_or(Value::Null)
    };
    // The token itself stays off the terminal.
    let shown = json!({
        "issued_token_type": answer["issued_token_type"], "token_type": answer["token_type"],
        "expires_in": answer["expires_in"], "scope": answer["scope"], "header": decoded(0), "claims": decoded(1),
    });
    say!("{}", serde_json::to_string_pretty(&shown).or_exit(Exit::Failed)?);
    Ok(())
}

/// What a refusal means for somebody who tries an exchange.
fn refusal(status: StatusCode, answer: &Value) -> anyhow::Error {
    let member = |name: &str| answer[name].as_str().unwrap_or_default();
    let (error, description) = (member("error"), member("error_description"));
    match (status, error) {
        (StatusCode::NOT_FOUND, _) => {
            anyhow!(
                "{status}: there is no token endpoint at this URL; `check --online` prints its path as `paths.token`"
            )
        }
        (StatusCode::MISDIRECTED_REQUEST, _) => anyhow!(
            "{status}: the gateway does not serve this host; use the host of `upstream.issuer`, or add the host to `listen.hosts`"
        ),
        (_, "unsupported_grant_type") => {
            anyhow!("{status}: {error}; this is not the token endpoint of a gateway, give the URL of the gateway")
        }
        (_, "") => anyhow!("{status}: the answer is not an answer of a token endpoint; correct `--url`"),
        _ => anyhow!(
            "{status}: {error}, {description}; the audit of the gateway (`audit.file`, or the output of `serve`) names the \
             reason, and `token-exchange-gateway explain` says what to do"
        ),
    }
}
