//! Who authenticates the clients: the authorization server, or the records.

use crate::{
    config::{ClientAuthentication, Config, SecretMethod, in_toml_words},
    forward::Peer,
    upstream::Endpoints,
};
use http::{Method, Request};
use tower_token_exchange::{
    client_auth::{AuthenticationMethod, ClientAddress, ProbeError, ProxyCertificatesLayer, ServerAuthenticator},
    plug::HttpService,
};

/// The largest number of clients whose accepted secret is remembered.
const REMEMBERED_CLIENTS: u64 = 10_000;

/// Makes the authenticator that asks the authorization server. `None` if the records have the secrets of all clients.
pub(crate) fn authenticator(
    config: &Config,
    endpoints: &Endpoints,
    http: impl HttpService,
) -> anyhow::Result<Option<ServerAuthenticator>> {
    let upstream = &config.settings.upstream;
    let token = config.public_url(&endpoints.token()[0]);
    let introspection = endpoints.introspection().first().map(|path| config.public_url(path));
    let mut builder = match (upstream.authenticate_clients_by, introspection) {
        (ClientAuthentication::Records, _) => return Ok(None),
        (ClientAuthentication::Auto, introspection) => ServerAuthenticator::auto(token, introspection.as_deref()),
        (ClientAuthentication::Introspection, Some(url)) => ServerAuthenticator::by_introspection(url),
        (ClientAuthentication::Introspection, None) => {
            let help = "the server has no introspection endpoint; write `auto`";
            return Err(config.wrong("upstream.authenticate_clients_by", help));
        }
        (ClientAuthentication::ClientCredentials, _) => ServerAuthenticator::by_client_credentials(token),
        (ClientAuthentication::AuthorizationCode, _) => ServerAuthenticator::by_authorization_code(token),
        (ClientAuthentication::RefreshToken, _) => ServerAuthenticator::by_refresh_token(token),
    };
    if let Some(method) = upstream.send_secrets_as {
        builder = builder.send_as(match method {
            SecretMethod::ClientSecretBasic => AuthenticationMethod::ClientSecretBasic,
            SecretMethod::ClientSecretPost => AuthenticationMethod::ClientSecretPost,
        });
    }
    let authenticator = builder.http(http).cache(REMEMBERED_CLIENTS, upstream.remember_clients).build();
    authenticator.map(Some).map_err(|error| config.wrong("upstream.remember_clients", error.help()))
}

/// Says who authenticates the clients, for the operator.
pub(crate) fn described(config: &Config) -> String {
    let upstream = &config.settings.upstream;
    let by_record: Vec<String> = config
        .document
        .clients
        .iter()
        .filter(|client| client.has_authentication())
        .map(|client| format!("`{}`", client.id()))
        .collect();
    match upstream.authenticate_clients_by {
        ClientAuthentication::Records => "by their records".to_owned(),
        method if by_record.is_empty() => format!("at the server, by {}", method.as_str()),
        method => {
            format!("{} by the record, others at the server by {}", by_record.join(", "), method.as_str())
        }
    }
}

/// The text of a problem, in the words of somebody who writes TOML.
pub(crate) fn in_words(error: &ProbeError) -> String {
    let text = in_toml_words(&error.to_string());
    match error {
        ProbeError::CannotTell(_) => {
            format!("{text}; with `upstream.authenticate_clients_by = \"records\"`, the server is not asked")
        }
        _ => text,
    }
}

/// The layer that takes the certificates of clients from the proxies in front of the gateway.
pub(crate) fn proxy_certificates(config: &Config) -> ProxyCertificatesLayer {
    let listed = config.settings.listen.proxy_certificates.clone();
    let (proxies, check_chains) = listed.map_or((Vec::new(), false), |listed| (listed.proxies, listed.check_chains));
    let layer = ProxyCertificatesLayer::new(proxies, |extensions| Some(extensions.get::<Peer>()?.address.ip()));
    if check_chains { layer.with_valid_chains() } else { layer }
}

/// Adds the address and the certificates of the client to a request that may need authentication.
pub(crate) fn with_address<B>(mut request: Request<B>, behind_proxy: bool) -> Request<B> {
    if request.method() != Method::POST {
        return request;
    }
    if let Some(peer) = request.extensions().get::<Peer>() {
        let address = peer.address.ip();
        let address = match behind_proxy {
            true => ClientAddress::behind_proxy(address, request.headers()),
            false => ClientAddress::new(address),
        };
        let certificates = peer.certificates().cloned();
        request.extensions_mut().insert(address);
        if let Some(certificates) = certificates {
            request.extensions_mut().insert(certificates);
        }
    }
    request
}
