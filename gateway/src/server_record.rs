//! The record of the authorization server, whose tokens `[upstream]` describes.

use crate::{config::Config, upstream::Endpoints};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use tower_token_exchange::{Document, Issuer, TokenType, records::Introspection, token::Claims};

/// The records of the configuration, and the record of the authorization server as the last issuer.
pub(crate) fn records(config: &Config, endpoints: &Endpoints) -> anyhow::Result<Document> {
    let mut server = described(config);
    if let Some(path) = endpoints.server_keys() {
        server = server.jwks_uri(config.public_url(path));
    }
    if let Some(settings) = &config.settings.upstream.introspection {
        let secret = config.text_of("upstream.introspection.client_secret_file", &settings.client_secret_file)?;
        let path = endpoints.introspection().first().ok_or_else(|| {
            config.wrong("upstream.introspection", "the metadata of the server name no introspection endpoint; set `paths.introspection` if there is one, or remove this \
             key")
        })?;
        server = server.introspection(introspection(config, config.public_url(path), secret.trim()));
    }
    if config.settings.upstream.one_time_subject_tokens {
        server = server.one_time_subject_tokens();
    }
    let mut document = config.document.clone();
    document.issuers.push(server);
    Ok(document)
}

/// What the configuration says about the tokens of the server that differs from the defaults, one line each.
pub(crate) fn statements(config: &Config) -> Vec<String> {
    let mut server = described(config);
    if config.settings.upstream.introspection.is_some() {
        server = server.introspection(introspection(config, String::new(), ""));
    }
    server.statements()
}

/// Made-up tokens as the configuration describes the tokens of the server.
pub(crate) fn sample_claims(config: &Config, audience: &str, scope: &str) -> Vec<(TokenType, Claims)> {
    described(config).sample_claims(audience, scope)
}

/// The record without its endpoints.
fn described(config: &Config) -> Issuer {
    let upstream = &config.settings.upstream;
    let server = match config.preset {
        Some(preset) => preset.record(&upstream.issuer),
        None => Issuer::new(&upstream.issuer).of_another_server(),
    };
    config.server_tokens.describe(server)
}

/// The keys that are not in the configuration follow the preset.
fn introspection(config: &Config, endpoint: String, secret: &str) -> Introspection {
    let upstream = &config.settings.upstream;
    let settings = upstream.introspection.clone().unwrap_or_default();
    let mut introspection = Introspection::basic(endpoint, &settings.client_id, secret);
    if let Some(preset) = config.preset {
        introspection = preset.introspection(introspection);
    }
    if let Some(tokens) = settings.introspect {
        introspection = introspection.introspect(tokens);
    }
    if settings.allow_missing_token_type {
        introspection = introspection.allow_missing_token_type();
    }
    if !settings.token_types.is_empty() {
        introspection = introspection.token_types(settings.token_types);
    }
    introspection
}

/// Whether the subject token in a form claims to be a token of the server. A token that names no issuer is a token of the
/// server, as far as the gateway can know.
pub(crate) fn is_of_server(config: &Config, form: &str) -> bool {
    let token = form_urlencoded::parse(form.trim().as_bytes()).find(|(name, _)| name == "subject_token");
    let issuer = token.and_then(|(_, token)| {
        let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
        Some(serde_json::from_slice::<Value>(&claims).ok()?.get("iss")?.as_str()?.to_owned())
    });
    issuer.is_none_or(|issuer| issuer == config.settings.upstream.issuer)
}

/// Replaces the keys of an issuer's record by the keys for the server.
pub(crate) fn in_words_of_upstream(text: &str) -> String {
    text.replace("`issuer.tokens", "`upstream.tokens").replace("`issuer.introspection", "`upstream.introspection")
}
