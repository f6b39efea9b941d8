use super::{http_client, proxy};
use crate::config::{Config, Paths, Settings};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use std::{fmt, time::Duration};
use tower::ServiceExt;
use tower_token_exchange::{
    jwks::KeySet,
    metadata::{DiscoveryError, ServerMetadata},
    plug::HttpService,
};

/// How long the server may take for its key set.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The paths at which the gateway answers itself if the server has no such endpoint.
pub(crate) const OWN_KEY_SET: &str = "/token-exchange/jwks";
pub(crate) const OWN_INTROSPECTION: &str = "/token-exchange/introspect";
pub(crate) const OWN_REVOCATION: &str = "/token-exchange/revoke";

/// The endpoints of the authorization server, as paths under the host of its issuer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoints {
    /// The token endpoint, in every spelling that clients use. There is at least one.
    token: Vec<String>,
    /// The places of the key set. If there is none, the gateway publishes its keys at a place of its own.
    jwks: Vec<String>,
    introspection: Vec<String>,
    revocation: Vec<String>,
    /// The place at which the server publishes usable keys.
    server_keys: Option<String>,
    /// Whether the server has metadata.
    has_metadata: bool,
}

impl Endpoints {
    /// Takes the paths of the configuration, and the missing ones from the metadata of the server.
    ///
    /// The metadata is asked for if one path is missing, also if the path is optional: without it, the server would answer
    /// questions about tokens that it does not know. What is not known at the moment is taken from `before`.
    pub(crate) async fn find(config: &Config, before: Option<&Self>) -> anyhow::Result<Self> {
        let Settings { paths, upstream, .. } = &*config.settings;
        let http = http_client(config, &proxy(config)?)?;
        let Paths { token, jwks, introspection, revocation, .. } = paths.clone();
        let mut configured = [token, jwks, introspection, revocation].map(|paths| paths.map(Vec::from));
        let mut has_metadata = false;
        if configured.iter().any(Option::is_none) {
            let urls = metadata_paths(config).into_iter().map(|path| config.public_url(&path));
            match ServerMetadata::fetch_from(&upstream.issuer, urls, http.clone()).await {
                Ok(metadata) => {
                    has_metadata = true;
                    let members = ["token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint"];
                    for (member, paths) in members.into_iter().zip(&mut configured) {
                        let Some(url) = metadata.url_of(member).filter(|_| paths.is_none()) else { continue };
                        let found = metadata.path_of(member).with_context(|| {
                            format!(
                                "`{member}` is `{url}`, which is not at the issuer's host; set the path in `[paths]`"
                            )
                        })?;
                        *paths = Some(vec![found.to_owned()]);
                    }
                }
                Err(error) => can_do_without(&error, &configured, before)?,
            }
        }
        let [token, jwks, introspection, revocation] = configured.map(Option::unwrap_or_default);
        if token.is_empty() {
            return Err(anyhow!("the metadata has no `token_endpoint`; set the path in `[paths]`"));
        }
        let mut found = Self { token, jwks, introspection, revocation, server_keys: None, has_metadata };
        found.server_keys = found.find_keys(config, &http, before).await;
        Ok(found)
    }

    /// Looks for the place at which the server publishes usable keys.
    async fn find_keys(&self, config: &Config, http: &impl HttpService, before: Option<&Self>) -> Option<String> {
        let before = before.filter(|before| before.jwks == self.jwks);
        for path in &self.jwks {
            let request = Request::get(config.public_url(path)).body(Bytes::new()).ok()?;
            let response = tokio::time::timeout(TIMEOUT, http.clone().oneshot(request)).await;
            match response.ok().and_then(Result::ok).and_then(|response| has_usable_keys(&response)) {
                Some(true) => return Some(path.clone()),
                Some(false) => {}
                None => return before.map_or_else(|| Some(path.clone()), |before| before.server_keys.clone()),
            }
        }
        None
    }

    /// Makes up the paths that the configuration does not have, for checks that ask no server.
    pub(crate) fn assumed(config: &Config) -> Self {
        let Paths { token, jwks, introspection, revocation, .. } = config.settings.paths.clone();
        let paths = |paths: Option<_>, default: &str| paths.map_or_else(|| vec![default.to_owned()], Vec::from);
        let jwks = paths(jwks, "/jwks");
        Self {
            token: paths(token, "/token"),
            server_keys: jwks.first().cloned(),
            jwks,
            introspection: paths(introspection, "/introspect"),
            revocation: paths(revocation, "/revoke"),
            has_metadata: false,
        }
    }

    /// The token endpoint, in every spelling that clients use.
    pub(crate) fn token(&self) -> &[String] {
        &self.token
    }

    /// The places of the key set of the server, which may be empty.
    pub(crate) fn jwks(&self) -> &[String] {
        &self.jwks
    }

    /// The introspection endpoint of the server.
    pub(crate) fn introspection(&self) -> &[String] {
        &self.introspection
    }

    /// The revocation endpoint of the server.
    pub(crate) fn revocation(&self) -> &[String] {
        &self.revocation
    }

    /// The place at which the server publishes usable keys.
    pub(crate) fn server_keys(&self) -> Option<&str> {
        self.server_keys.as_deref()
    }
}

/// The places at which the server may have metadata.
pub(crate) fn metadata_paths(config: &Config) -> Vec<String> {
    let mut paths = config.settings.paths.metadata.clone().map(Vec::from).unwrap_or_default();
    for path in ServerMetadata::paths(&config.settings.upstream.issuer) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Checks that the endpoints are known although no metadata was found.
fn can_do_without(
    error: &DiscoveryError,
    [token, _, introspection, revocation]: &[Option<Vec<String>>; 4],
    before: Option<&Endpoints>,
) -> anyhow::Result<()> {
    let are_known = [token, introspection, revocation].iter().all(|paths| paths.is_some());
    // A server that had metadata a moment ago may have lost it for a moment only.
    let is_new = before.is_none_or(|before| !before.has_metadata);
    if error.has_no_metadata() && are_known && is_new {
        return Ok(());
    }
    Err(anyhow!("{error}; or set `token`, `introspection` and `revocation` in `[paths]`, `[]` for a missing endpoint"))
}

/// Whether the answer is a key set with a usable key. `None` if a later answer may be another.
fn has_usable_keys(response: &Response<Bytes>) -> Option<bool> {
    match response.status() {
        StatusCode::OK => Some(KeySet::from_json(response.body()).is_ok_and(|keys| !keys.is_empty())),
        status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => Some(false),
        _ => None,
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |paths: &[String]| if paths.is_empty() { "none".to_owned() } else { paths.join(" and ") };
        let Self { token, jwks, introspection, revocation, .. } = self;
        let [token, jwks] = [token, jwks].map(|paths| list(paths));
        let [introspection, revocation] = [introspection, revocation].map(|paths| list(paths));
        write!(f, "token {token}, keys {jwks}, introspection {introspection}, revocation {revocation}")
    }
}
