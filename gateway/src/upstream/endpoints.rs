use super::{http_client, proxy};
use crate::config::{Config, Paths, Settings};
use anyhow::{Context, anyhow};
use std::fmt;
use tower_token_exchange::metadata::ServerMetadata;

/// The endpoints of the authorization server, as paths under the host of its issuer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoints {
    pub(crate) token: String,
    pub(crate) jwks: String,
    pub(crate) introspection: Option<String>,
    pub(crate) revocation: Option<String>,
}

impl Endpoints {
    /// Takes the paths of the configuration, and the missing ones from the metadata of the server.
    ///
    /// The metadata is asked for if one path is missing, also if the path is optional: without it, the server would answer
    /// questions about tokens that it does not know.
    pub(crate) async fn find(config: &Config) -> anyhow::Result<Self> {
        let Settings { paths, upstream, .. } = &*config.settings;
        let mut paths = paths.clone();
        if [&paths.token, &paths.jwks, &paths.introspection, &paths.revocation].iter().any(|path| path.is_none()) {
            let metadata = ServerMetadata::fetch(&upstream.issuer, http_client(config, &proxy(config)?)?).await;
            let metadata = metadata.map_err(|error| anyhow!("{error}; or set all four keys in `[paths]`"))?;
            for (member, path) in [
                ("token_endpoint", &mut paths.token),
                ("jwks_uri", &mut paths.jwks),
                ("introspection_endpoint", &mut paths.introspection),
                ("revocation_endpoint", &mut paths.revocation),
            ] {
                let Some(url) = metadata.url_of(member).filter(|_| path.is_none()) else { continue };
                let found = metadata.path_of(member).with_context(|| {
                    format!("`{member}` is `{url}`, which is not at the issuer's host; set the path in `[paths]`")
                })?;
                *path = Some(found.to_owned());
            }
        }
        let missing = |member: &str| format!("the metadata has no `{member}`; set the path in `[paths]`");
        let Paths { token, jwks, introspection, revocation } = paths;
        let token = token.with_context(|| missing("token_endpoint"))?;
        let jwks = jwks.with_context(|| missing("jwks_uri"))?;
        Ok(Self { token, jwks, introspection, revocation })
    }

    /// Makes up the paths that the configuration does not have, for checks that ask no server.
    pub(crate) fn assumed(config: &Config) -> Self {
        let path = |path: &Option<String>, default: &str| path.clone().unwrap_or_else(|| default.to_owned());
        let paths = &config.settings.paths;
        Self {
            token: path(&paths.token, "/token"),
            jwks: path(&paths.jwks, "/jwks"),
            introspection: Some(path(&paths.introspection, "/introspect")),
            revocation: Some(path(&paths.revocation, "/revoke")),
        }
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let optional = |path: &Option<String>| path.clone().unwrap_or_else(|| "none".to_owned());
        let (introspection, revocation) = (optional(&self.introspection), optional(&self.revocation));
        let Self { token, jwks, .. } = self;
        write!(f, "token {token}, keys {jwks}, introspection {introspection}, revocation {revocation}")
    }
}
