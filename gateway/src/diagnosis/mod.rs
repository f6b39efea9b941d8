//! What keeps exchanges from succeeding: the gateway asks the authorization server as an exchange would.

mod connection;

use crate::{
    client_authentication::in_words,
    config::{Config, in_toml_words},
    exchange_form::exchange_form,
    gateway::Gateway,
    server_record::{in_words_of_upstream, sample_claims},
    stores::Stores,
    upstream::{Endpoints, ServerKeys, ask, metadata, proxy, server_client},
};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde_json::Value;
use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};
use tower::ServiceExt;
use tower_token_exchange::{
    Document, Reason, TokenType,
    audit::Stage,
    client_auth::{Authentication, AuthenticationMethod, Credentials},
    explain::Explanation,
    jwks::KeyState,
    metadata::{DiscoveryError, ServerMetadata},
    plug::HttpService,
    service::is_same_path,
};

/// The most pairs of clients and targets that a dry run tries.
const MAX_PAIRS: usize = 200;

/// The most folders above the token endpoint in which metadata are looked for.
const MAX_FOLDERS: usize = 5;

/// A scope token that no server has.
const MADE_UP_SCOPE: &str = "a-made-up-scope";

/// A token that no server has issued.
const MADE_UP_TOKEN: &str = "a-made-up-token-of-the-gateway";

/// One thing that was looked at, and what was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) about: &'static str,
    /// What was found, or what is wrong and what to do.
    result: Result<String, Problem>,
}

/// The endpoints that get a request of a diagnosis. The key set is always asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Depth {
    Every,
    TokenEndpoint,
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// Whether no exchange can succeed.
    pub(crate) is_fatal: bool,
}

impl Problem {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_fatal: false }
    }

    fn fatal(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_fatal: true }
    }
}

impl Finding {
    fn new(about: &'static str, result: Result<String, Problem>) -> Self {
        Self { about, result }
    }

    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.result.as_ref().err()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(found) => write!(f, "✓ {}: {found}", self.about),
            Err(problem) => write!(f, "✗ {}: {}", self.about, problem.text),
        }
    }
}

/// Looks at everything that an exchange needs of the authorization server.
pub(crate) async fn diagnose(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let connection = Finding::new("connection", connection::check(config).await);
    if connection.problem().is_some() {
        // Every other question would fail for the same reason.
        return Ok(vec![connection]);
    }
    let mut findings = vec![connection];
    let endpoints = match Endpoints::find(config, None).await {
        Ok(endpoints) => endpoints,
        Err(error) => {
            findings.push(Finding::new("endpoints", Err(Problem::fatal(format!("{error:#}")))));
            return Ok(findings);
        }
    };
    let gateway = Gateway::new(config, endpoints, Stores::without_files(config)?)?;
    gateway.ask_upstream(config).await;
    findings.extend(diagnose_gateway(config, &gateway, Depth::Every).await?);
    if gateway.has_redis() {
        let result = gateway.replay_problem().await.map(Problem::new);
        findings.push(Finding::new("replay store", result.map_or(Ok("Redis answers".to_owned()), Err)));
    }
    Ok(findings)
}

/// Looks at everything that an exchange of this gateway needs, if the server answers.
pub(crate) async fn diagnose_gateway(config: &Config, gateway: &Gateway, depth: Depth) -> anyhow::Result<Vec<Finding>> {
    let http = server_client(&proxy(config)?);
    let metadata = metadata(config, &http).await;
    let mut findings = paths(config, gateway, &http, &metadata, depth).await;
    findings.extend(keys(config, gateway, &http, metadata.as_ref().ok()).await);
    findings.push(Finding::new("client authentication", client_authentication(config, gateway, depth).await));
    findings.push(Finding::new("description of tokens", described_tokens(config, gateway).await));
    findings.push(Finding::new("dry run", dry_run(config, gateway).await));
    Ok(findings)
}

/// Compares the configured paths with the metadata, and asks whether there is an endpoint at each path.
async fn paths(
    config: &Config,
    gateway: &Gateway,
    http: &impl HttpService,
    metadata: &Result<ServerMetadata, DiscoveryError>,
    depth: Depth,
) -> Vec<Finding> {
    let endpoints = &gateway.endpoints;
    let mut findings = Vec::new();
    for (key, member, paths) in [
        ("paths.token", "token_endpoint", endpoints.token()),
        ("paths.jwks", "jwks_uri", endpoints.jwks()),
        ("paths.introspection", "introspection_endpoint", endpoints.introspection()),
        ("paths.revocation", "revocation_endpoint", endpoints.revocation()),
    ] {
        let named = metadata.as_ref().ok().and_then(|metadata| metadata.path_of(member));
        if let Some(named) = named.filter(|named| !paths.iter().any(|path| is_same_path(path, named))) {
            let text = format!("the metadata has `{named}` as `{member}`; add this path to `{key}`, or remove the key");
            findings.push(Finding::new(key, Err(Problem { text, is_fatal: member == "token_endpoint" })));
            continue;
        }
        let is_asked = match depth {
            Depth::Every => member != "jwks_uri",
            Depth::TokenEndpoint => member == "token_endpoint",
        };
        let (mut known, mut missing) = (Vec::new(), Vec::new());
        for path in paths.iter().filter(|_| is_asked) {
            let is_missing = has_endpoint(config, http, path).await == Some(false);
            if is_missing { &mut missing } else { &mut known }.push(path.as_str());
        }
        if !known.is_empty() {
            findings.push(Finding::new(key, Ok(known.join(" and "))));
        }
        if !missing.is_empty() {
            let missing = missing.join("` and `");
            let text = format!("the server has no endpoint at `{missing}` (status 404); correct `{key}`");
            let is_fatal = member == "token_endpoint" && known.is_empty();
            findings.push(Finding::new(key, Err(Problem { text, is_fatal })));
        }
    }
    let result = match metadata {
        Ok(_) => Ok("found".to_owned()),
        Err(error) => match other_issuer(config, gateway, http).await {
            Some((place, issuer)) => Err(Problem::fatal(format!(
                "the server has metadata at `{place}`, and they name the issuer `{issuer}`; correct `upstream.issuer`"
            ))),
            None => Ok(format!("none, the paths are those of the configuration ({error})")),
        },
    };
    findings.push(Finding::new("metadata", result));
    findings
}

/// Looks for metadata above the token endpoint, because an issuer can have a path. Returns the place and the issuer.
async fn other_issuer(config: &Config, gateway: &Gateway, http: &impl HttpService) -> Option<(String, String)> {
    let token = gateway.endpoints.token().first()?;
    let folders = token.char_indices().filter(|(_, c)| *c == '/').map(|(end, _)| &token[..end]);
    for folder in folders.take(MAX_FOLDERS) {
        let place = format!("{folder}/.well-known/openid-configuration");
        let request = Request::get(config.public_url(&place)).body(Bytes::new()).ok()?;
        let response = ask(http, request).await.ok()?;
        let metadata: Option<Value> = serde_json::from_slice(response.body()).ok();
        let issuer = metadata.as_ref().and_then(|metadata| metadata["issuer"].as_str());
        if let Some(issuer) = issuer.filter(|issuer| *issuer != config.settings.upstream.issuer) {
            return Some((place, issuer.to_owned()));
        }
    }
    None
}

/// Whether the server answers a form at this path. `None` if the answer does not tell.
async fn has_endpoint(config: &Config, http: &impl HttpService, path: &str) -> Option<bool> {
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("token", MADE_UP_TOKEN).finish();
    let request = Request::post(config.public_url(path))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(form))
        .ok()?;
    let response = ask(http, request).await.ok()?;
    Some(response.status() != StatusCode::NOT_FOUND)
}

/// Looks at the keys of the server, of the gateway and of the other issuers.
async fn keys(
    config: &Config,
    gateway: &Gateway,
    http: &impl HttpService,
    metadata: Option<&ServerMetadata>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = config.signer.algorithm();
    if gateway.endpoints.server_keys().is_none() && config.settings.upstream.introspection.is_none() {
        let text = "the server publishes no key, so its tokens cannot be verified; set `upstream.introspection`";
        findings.push(Finding::new("tokens", Err(Problem::new(text))));
    }
    if gateway.endpoints.server_keys().is_some() {
        findings.push(Finding::new(
            "key kinds",
            match ServerKeys::fetch(config, http, &gateway.endpoints, metadata).await {
                Ok(keys) => match keys.difference_to(own) {
                    Some(difference) => Err(Problem::new(difference)),
                    None => Ok(format!("the gateway signs with {own}, as the server does")),
                },
                Err(error) => Err(Problem::new(format!("{error:#}"))),
            },
        ));
    }
    if let Some(kid) = gateway.documents.key_id_collision() {
        let text = format!("two different keys have the `kid` `{kid}`; give the key of the gateway another `kid`");
        findings.push(Finding::new("key ids", Err(Problem::new(text))));
    }
    let issuers = gateway.exchange.load_keys().await.issuers;
    let is_only_one = issuers.len() == 1;
    for issuer in issuers {
        let text = format!("{}: {} keys, {}", issuer.issuer, issuer.keys, issuer.state.as_str());
        findings.push(Finding::new(
            "issuer",
            match issuer.last_problem.filter(|_| issuer.state == KeyState::Missing) {
                Some(problem) => Err(Problem { text: format!("{text}: {problem}"), is_fatal: is_only_one }),
                None => Ok(text),
            },
        ));
    }
    findings
}

/// Checks that the server can tell a client with the right secret from others. If the gateway has credentials of its own, the
/// server is asked about these too.
async fn client_authentication(config: &Config, gateway: &Gateway, depth: Depth) -> Result<String, Problem> {
    let Some(authenticator) = &gateway.authenticator else { return Ok("by the secrets in the records".to_owned()) };
    if let Some(error) = gateway.client_problem().await {
        return Err(Problem::fatal(in_words(&error)));
    }
    let method = || authenticator.chosen_method().map(|method| format!(", by {method}")).unwrap_or_default();
    let rejects = format!("the server rejects a client that does not exist{}", method());
    let Some(own) = config.settings.upstream.introspection.as_ref().filter(|_| matches!(depth, Depth::Every)) else {
        return Ok(rejects);
    };
    let secret = config.text_of("upstream.introspection.client_secret_file", &own.client_secret_file);
    let secret = secret.map_err(|error| Problem::new(error.to_string()))?;
    let own = Credentials::new(AuthenticationMethod::ClientSecretBasic, &own.client_id, secret.trim());
    match authenticator.clone().oneshot(own).await {
        Ok(Authentication::Client(_)) => Ok(format!("the server accepts the gateway itself{}", method())),
        Ok(Authentication::Misconfigured { problem }) => Err(Problem::fatal(in_toml_words(&problem))),
        // The dry run says what is wrong with the credentials of the gateway.
        _ => Ok(rejects),
    }
}

/// Explains an exchange of a token that nobody issued, for the first pair of a client and a target that gets as far as the
/// token. The exchange asks the server about the token with the credentials of the gateway, if the server introspects tokens.
async fn dry_run(config: &Config, gateway: &Gateway) -> Result<String, Problem> {
    for (client, target) in pairs(&config.document) {
        let form = exchange_form(MADE_UP_TOKEN, &TokenType::ACCESS_TOKEN, target, None);
        let explanation = gateway.exchange.explain(client, form.as_bytes()).await;
        let stage = reached(&explanation);
        let Some(refusal) = explanation.refusal.filter(|_| stage >= Stage::Tokens) else { continue };
        let detail = refusal.detail.unwrap_or_default();
        return match refusal.reason {
            Reason::IntrospectionUnavailable => {
                let text = format!(
                    "the introspection of a made-up token failed: {detail}; check the id and the secret in `upstream.introspection`, and \
                     that the server lets this client introspect tokens"
                );
                Err(Problem { text, is_fatal: gateway.endpoints.server_keys().is_none() })
            }
            _ => Ok(format!("client `{client}` reaches target `{target}`; a made-up token is refused")),
        };
    }
    Err(Problem::fatal("no client may exchange a token for any target; add a client to `callers` of a `[[target]]`"))
}

/// Explains exchanges of made-up tokens that look as `[upstream]` describes the tokens of the server, as if the server vouched
/// for them. At least one client must be able to present such a token.
async fn described_tokens(config: &Config, gateway: &Gateway) -> Result<String, Problem> {
    let expires_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + 300;
    let mut problem = None;
    for (client, target) in pairs(&config.document) {
        for (token_type, mut claims) in sample_claims(config, client, MADE_UP_SCOPE) {
            claims.insert("exp", expires_at);
            let form = exchange_form(MADE_UP_TOKEN, &token_type, target, None);
            let explanation = gateway.exchange.explain_claims(client, form.as_bytes(), claims).await;
            let stage = reached(&explanation);
            match explanation.refusal {
                // The scope of the sample is made up, and the rules may be for certain subjects.
                Some(refusal) if stage < Stage::Status && refusal.reason != Reason::ScopeEmpty => {
                    if stage >= Stage::Tokens {
                        problem = Some(refusal);
                    }
                }
                _ => return Ok(format!("client `{client}` can present tokens that look as described")),
            }
        }
    }
    match problem {
        Some(refusal) => {
            let (detail, remedy) = (refusal.detail.as_deref().unwrap_or(refusal.meaning), &refusal.remedy);
            let text = format!("no client can present a token that looks as described: {detail}. {remedy}");
            Err(Problem::fatal(in_words_of_upstream(&text)))
        }
        // The dry run says that no client may exchange tokens.
        None => Ok("not tried, because no client may exchange tokens".to_owned()),
    }
}

/// The last stage that an exchange reached.
fn reached(explanation: &Explanation) -> Stage {
    explanation.stages.last().map_or(Stage::Request, |last| last.stage)
}

/// The ids of clients and targets, each client with each target.
fn pairs(document: &Document) -> Vec<(&str, &str)> {
    let targets = |client| document.targets.iter().map(move |target| (client, target.id().as_str()));
    document.clients.iter().flat_map(|client| targets(client.id().as_str())).take(MAX_PAIRS).collect()
}
