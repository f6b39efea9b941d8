//! What the configuration comes to: the layers, in their order, around the way to the legacy server.

use super::{ByOrigin, PooledClient};
use crate::{
    config::{Config, Method, Paths, Settings},
    documents::DocumentsLayer,
    forward,
};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tower::{BoxError, Layer, ServiceExt, util::BoxCloneSyncService};
use tower_token_exchange::{
    Document, Issuer, TokenExchangeLayer,
    audit::JsonLinesSink,
    client_auth::ServerAuthenticator,
    fetch::{HttpFetch, in_process},
    metadata::ServerMetadata,
    plug::Plug,
    records::Introspection,
    revocation::{FileRevocations, MemoryRevocations, RevocationQuestion, RevocationState},
};

/// The way to the legacy server.
type Proxy = forward::Proxy<PooledClient>;

pub(crate) type App = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// How many revocations are held where the configuration does not say it.
pub(crate) const CAPACITY: usize = 100_000;

/// Where the endpoints of the legacy server are: paths under its issuer's host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoints {
    pub(crate) token: String,
    pub(crate) jwks: String,
    pub(crate) introspection: Option<String>,
    pub(crate) revocation: Option<String>,
}

/// Everything that was made of one configuration.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) exchange: TokenExchangeLayer,
    pub(crate) documents: DocumentsLayer,
    pub(crate) authenticator: ServerAuthenticator,
    pub(crate) audit: JsonLinesSink,
    pub(crate) endpoints: Endpoints,
    proxy: Proxy,
    /// Whether the legacy server answered when it was last asked for its documents.
    pub(crate) upstream_is_up: Arc<AtomicBool>,
}

/// What is written to disk.
#[derive(Clone)]
pub(crate) struct Stores {
    audit: JsonLinesSink,
    revocations: BoxCloneSyncService<RevocationQuestion, RevocationState, BoxError>,
}

impl Stores {
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        let settings = &config.settings;
        let audit = match &settings.audit.file {
            Some(path) => JsonLinesSink::file(config.beside(path))
                .map_err(|error| config.wrong("audit.file", format!("it cannot be written: {error}")))?,
            None => JsonLinesSink::stdout(),
        };
        let capacity = settings.revocations.capacity.unwrap_or(CAPACITY);
        let revocations = match &settings.revocations.file {
            Some(path) => {
                let file = FileRevocations::open(config.beside(path), capacity);
                BoxCloneSyncService::new(file.map_err(|error| config.wrong("revocations.file", error))?)
            }
            None => BoxCloneSyncService::new(MemoryRevocations::new(capacity).map_err(Into::into)),
        };
        Ok(Self { audit, revocations })
    }

    /// None: for a look at the configuration while another gateway has the files open.
    pub(crate) fn none() -> Self {
        let revocations = BoxCloneSyncService::new(MemoryRevocations::new(0).map_err(Into::into));
        Self { audit: JsonLinesSink::writer(std::io::sink()), revocations }
    }
}

impl Endpoints {
    /// What the configuration says, and where it does not say all, the legacy server in its metadata. Not to know of an
    /// endpoint would be to leave to the legacy server what it does not know of.
    pub(crate) async fn find(config: &Config) -> Result<Self, String> {
        let Settings { paths, upstream, .. } = &*config.settings;
        let mut paths = paths.clone();
        if [&paths.token, &paths.jwks, &paths.introspection, &paths.revocation].iter().any(|path| path.is_none()) {
            let found = ServerMetadata::fetch(&upstream.issuer, world_and_legacy(config, &proxy(config)?)?).await;
            let metadata = found.map_err(|problem| format!("{problem}; or say all four in `paths`"))?;
            for (member, path) in [
                ("token_endpoint", &mut paths.token),
                ("jwks_uri", &mut paths.jwks),
                ("introspection_endpoint", &mut paths.introspection),
                ("revocation_endpoint", &mut paths.revocation),
            ] {
                let Some(url) = metadata.url_of(member).filter(|_| path.is_none()) else { continue };
                let found = metadata.path_of(member).ok_or_else(|| {
                    format!("`{member}` is `{url}`, which is not at the issuer's host: say where it is in `paths`")
                })?;
                *path = Some(found.to_owned());
            }
        }
        let missing = |member: &str| format!("there is no `{member}`: say where it is in `paths`");
        let Paths { token, jwks, introspection, revocation } = paths;
        let token = token.ok_or_else(|| missing("token_endpoint"))?;
        Ok(Self { token, jwks: jwks.ok_or_else(|| missing("jwks_uri"))?, introspection, revocation })
    }

    /// Any that will do, for checks that ask nobody.
    pub(crate) fn assumed(config: &Config) -> Self {
        let path = |path: &Option<String>, other: &str| path.clone().unwrap_or_else(|| other.to_owned());
        let paths = &config.settings.paths;
        Self {
            token: path(&paths.token, "/token"),
            jwks: path(&paths.jwks, "/jwks"),
            introspection: Some(path(&paths.introspection, "/introspect")),
            revocation: Some(path(&paths.revocation, "/revoke")),
        }
    }
}

impl Gateway {
    /// Checks everything. A mistake names its file, line and field, and the way out.
    pub(crate) fn new(config: &Config, endpoints: Endpoints, stores: Stores) -> Result<Self, String> {
        let proxy = proxy(config)?;
        let settings = &config.settings;
        let fetch = world_and_legacy(config, &proxy)?;
        let url = |path: &str| config.url(path);
        let authenticator = match (settings.upstream.authenticate_clients_by, &endpoints.introspection) {
            (Method::Introspection, Some(path)) => ServerAuthenticator::by_introspection(url(path)),
            (Method::ClientCredentials, _) => ServerAuthenticator::by_client_credentials(url(&endpoints.token)),
            (Method::Introspection, None) => {
                let help = "the legacy server has no introspection endpoint: say `client_credentials`";
                return Err(config.wrong("upstream.authenticate_clients_by", help));
            }
        };
        let authenticator = authenticator.http(fetch.clone()).cache(10_000, settings.upstream.remember_clients);
        let authenticator = authenticator.build().map_err(|error| config.located(&error))?;
        let mut builder = TokenExchangeLayer::builder(&settings.upstream.issuer)
            .endpoint(&endpoints.token)
            .guard()
            .document(document(config, &endpoints)?)
            .client_authenticator(authenticator.clone())
            .http(fetch)
            .signer(config.signer.clone())
            .max_lifetime(settings.limits.max_lifetime)
            .revocations(stores.revocations)
            .audit(stores.audit.clone());
        if settings.audit.optional {
            builder = builder.best_effort_audit();
        }
        if let Some(path) = &endpoints.introspection {
            builder = builder.introspection_endpoint(path);
        }
        if let Some(path) = &endpoints.revocation {
            builder = builder.revocation_endpoint(path);
        }
        let exchange = builder.build().map_err(|error| config.located(&error))?;
        let documents = ServerMetadata::paths(&settings.upstream.issuer)
            .into_iter()
            .fold(DocumentsLayer::builder(), |builder, path| builder.metadata(path));
        let documents = documents.key_set(&endpoints.jwks).own_keys(config.published.clone());
        let documents = documents.build().map_err(|error| config.wrong("paths.jwks", error))?;
        let upstream_is_up = Arc::default();
        Ok(Self { exchange, documents, authenticator, audit: stores.audit, endpoints, proxy, upstream_is_up })
    }

    /// The whole service: the exchange, the documents, the legacy server.
    pub(crate) fn app(&self) -> App {
        let service = self.exchange.layer(self.documents.layer(self.proxy.clone()));
        App::new(service.map_response(|response| response.map(Body::new)))
    }

    /// Takes over what can change while it runs. What cannot be is left as it was.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), String> {
        let document = document(config, &self.endpoints)?;
        self.exchange.reload(document).map_err(|error| config.located(&error))?;
        self.exchange.rotate_signer(config.signer.clone()).map_err(|error| config.located(&error))?;
        self.documents.publish(config.published.clone());
        Ok(())
    }

    /// Asks the legacy server for its documents as a client would, so that the last good ones are at hand when it is down
    /// and a key of ours that has the name of one of its own is found.
    pub(crate) async fn look_at_upstream(&self, config: &Config) {
        let up = self.documents.refresh(self.proxy.clone(), &config.url("")).await;
        if self.upstream_is_up.swap(up, Ordering::Relaxed) != up {
            tracing::warn!(up, "the legacy server");
        }
    }
}

/// The records, with one of the legacy server's own if they have none.
fn document(config: &Config, endpoints: &Endpoints) -> Result<Document, String> {
    let mut document = config.document.clone();
    let upstream = &config.settings.upstream;
    if document.issuers.iter().any(|issuer| *issuer.id() == upstream.issuer) {
        return Ok(document);
    }
    let mut own = Issuer::new(&upstream.issuer).jwks_uri(config.url(&endpoints.jwks));
    if let Some(introspection) = &upstream.introspection {
        let secret = config.text_of("upstream.introspection.client_secret_file", &introspection.client_secret_file)?;
        let path = endpoints.introspection.as_deref().ok_or_else(|| {
            config.wrong("upstream.introspection", "the legacy server has no introspection endpoint: leave this out")
        })?;
        own = own.introspection(Introspection::basic(config.url(path), &introspection.client_id, secret.trim()));
    }
    document.issuers.push(own);
    Ok(document)
}

/// Whatever is not ours goes as it came, but for what a proxy must change.
fn proxy(config: &Config) -> Result<Proxy, String> {
    let Settings { upstream, limits, .. } = &*config.settings;
    let mut client = PooledClient::builder().connect_timeout(upstream.connect_timeout);
    if let Some(path) = &upstream.ca {
        client = client.roots(config.roots("upstream.ca", path)?);
    }
    let client = client.body_timeout(limits.body_timeout).build();
    let client = client.map_err(|error| config.wrong("upstream.ca", error))?;
    Ok(Proxy::new(client, config.forwarding.clone()).response_timeout(upstream.response_timeout))
}

/// What is asked of the issuer's host is asked of the legacy server itself; everybody else is out in the world.
fn world_and_legacy(config: &Config, proxy: &Proxy) -> Result<impl Plug<Request<Bytes>, Response<Bytes>>, String> {
    let fetch = &config.settings.fetch;
    let mut world = HttpFetch::builder();
    if fetch.allow_private_addresses {
        world = world.allow_private_addresses();
    }
    if fetch.allow_loopback_http {
        world = world.allow_loopback_http();
    }
    if let Some(path) = &fetch.ca {
        world = world.root_certificate_pem(config.text_of("fetch.ca", path)?.as_bytes());
    }
    let world = world.build().map_err(|error| config.wrong("fetch.ca", error))?;
    let legacy = in_process(proxy.clone().map_request(|request: Request<Full<Bytes>>| request.map(Body::new)));
    ByOrigin::new(&config.settings.upstream.issuer, legacy, world)
        .map_err(|error| config.wrong("upstream.issuer", error))
}
