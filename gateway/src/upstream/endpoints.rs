use super::{ask, proxy, server_client};
use crate::config::{Config, Paths};
use anyhow::{Context, anyhow};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use std::fmt;
use tower_token_exchange::{
    jwks::KeySet,
    metadata::{DiscoveryError, ServerMetadata},
    plug::HttpService,
};

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
        let http = server_client(&proxy(config)?);
        let Paths { token, jwks, introspection, revocation, .. } = config.settings.paths.clone();
        let configured = [token, jwks, introspection, revocation].map(|paths| paths.map(Vec::from));
        let mut has_metadata = false;
        let mut found: [Vec<String>; 4] = Default::default();
        if configured.iter().any(Option::is_none) {
            let Documents { documents, problem } = Documents::fetch(config, &http).await;
            has_metadata = !documents.is_empty();
            let members = ["token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint"];
            for (document, at) in documents.iter().flat_map(|document| (0..members.len()).map(move |at| (document, at)))
            {
                if configured[at].is_none() {
                    found[at].extend(path_of(document, members[at]).transpose()?);
                    found[at].extend(document.mtls_path_of(members[at]).map(str::to_owned));
                }
            }
            match (problem, before.filter(|_| has_metadata)) {
                (Some(problem), _) if !has_metadata => can_do_without(&problem, &configured, before)?,
                // A document that cannot be read now may have had endpoints that the other document does not have.
                (Some(problem), Some(before)) if !problem.has_no_metadata() => before.add_to(&mut found, &configured),
                _ => {}
            }
        }
        let mut paths = configured.into_iter().zip(found).map(|(configured, found)| configured.unwrap_or(found));
        let [token, jwks, introspection, revocation] =
            std::array::from_fn(|_| unique(paths.next().unwrap_or_default()));
        if token.is_empty() {
            return Err(anyhow!("the metadata has no `token_endpoint`; set the path in `[paths]`"));
        }
        let mut found = Self { token, jwks, introspection, revocation, server_keys: None, has_metadata };
        found.server_keys = found.find_keys(config, &http, before).await;
        Ok(found)
    }

    /// Adds these paths, where the configuration has none.
    fn add_to(&self, found: &mut [Vec<String>; 4], configured: &[Option<Vec<String>>; 4]) {
        let own = [&self.token, &self.jwks, &self.introspection, &self.revocation];
        for ((found, own), _) in
            found.iter_mut().zip(own).zip(configured).filter(|(_, configured)| configured.is_none())
        {
            found.extend(own.iter().cloned());
        }
    }

    /// Looks for the place at which the server publishes usable keys. Only a key set says that a place that had usable keys has
    /// none: a page, or an error, may be there for a moment.
    async fn find_keys(&self, config: &Config, http: &impl HttpService, before: Option<&Self>) -> Option<String> {
        let before = before.filter(|before| before.jwks == self.jwks).map(|before| before.server_keys.as_ref());
        for path in &self.jwks {
            let request = Request::get(config.public_url(path)).body(Bytes::new()).ok()?;
            match ask(http, request).await.map_or(Keys::Unknown, |response| Keys::of(&response)) {
                Keys::Usable => return Some(path.clone()),
                Keys::NoKeySet if before == Some(Some(path)) => return Some(path.clone()),
                Keys::Unusable | Keys::NoKeySet => {}
                Keys::Unknown => return before.map_or_else(|| Some(path.clone()), Option::<&String>::cloned),
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

    /// The paths that the exchange asks: for the keys of the server, and about tokens of the server.
    pub(crate) fn asked_by_exchange(&self) -> impl Iterator<Item = &String> {
        self.server_keys.iter().chain(&self.introspection)
    }

    /// The place at which the server publishes usable keys.
    pub(crate) fn server_keys(&self) -> Option<&str> {
        self.server_keys.as_deref()
    }
}

/// The metadata of the server. One document may name endpoints that another document does not name.
struct Documents {
    documents: Vec<ServerMetadata>,
    /// Why a place has no document: a problem that may pass, if there is one.
    problem: Option<DiscoveryError>,
}

impl Documents {
    /// Asks all places at the same time.
    async fn fetch(config: &Config, http: &(impl HttpService + Clone)) -> Self {
        let issuer = &config.settings.upstream.issuer;
        let urls = metadata_paths(config).into_iter().map(|path| config.public_url(&path));
        let answers = join_all(urls.map(|url| ServerMetadata::fetch_from(issuer, [url], http.clone()))).await;
        let (mut documents, mut problem) = (Vec::new(), None::<DiscoveryError>);
        for answer in answers {
            match answer {
                Ok(document) => documents.push(document),
                Err(error) if problem.as_ref().is_none_or(DiscoveryError::has_no_metadata) => problem = Some(error),
                Err(_) => {}
            }
        }
        Self { documents, problem }
    }
}

/// The path of an endpoint that a document names.
fn path_of(document: &ServerMetadata, member: &str) -> Option<anyhow::Result<String>> {
    let url = document.url_of(member)?;
    let path = document.path_of(member).map(str::to_owned).with_context(|| {
        format!("`{member}` is `{url}`, which is not at the issuer's host; set the path in `[paths]`")
    });
    Some(path)
}

fn unique(paths: Vec<String>) -> Vec<String> {
    let mut unique = Vec::new();
    for path in paths {
        if !unique.contains(&path) {
            unique.push(path);
        }
    }
    unique
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
    Err(anyhow!(
        "no metadata: {error}; correct `upstream.issuer`, which is the `iss` of the server with its path (such as `/o`), or, if \
         the server has no metadata, set `token`, `introspection` and `revocation` in `[paths]` (`[]` for a missing endpoint)"
    ))
}

/// What the answer of a place says about the keys of the server.
#[derive(Debug, PartialEq)]
enum Keys {
    Usable,
    /// A key set without a usable key.
    Unusable,
    /// The place has something else, or nothing.
    NoKeySet,
    /// The server has a problem, and a later answer may be another.
    Unknown,
}

impl Keys {
    fn of(response: &Response<Bytes>) -> Self {
        match response.status() {
            StatusCode::OK => match KeySet::from_json(response.body()) {
                Ok(keys) if keys.is_empty() => Self::Unusable,
                Ok(_) => Self::Usable,
                Err(_) => Self::NoKeySet,
            },
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => Self::NoKeySet,
            _ => Self::Unknown,
        }
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
