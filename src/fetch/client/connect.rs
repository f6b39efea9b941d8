use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use http::{Uri, uri::Scheme};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{
    HttpConnector,
    dns::{GaiResolver, Name},
};
use rustls::ClientConfig;
use tower::{BoxError, Service};

use super::address::AllowedAddresses;

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Tcp = HttpConnector<GuardedResolver>;

/// Connects to allowed addresses only. The allowed addresses with TLS differ from the allowed addresses without TLS.
#[derive(Clone)]
pub(super) struct Connector {
    plain: GuardedConnector,
    secure: GuardedConnector,
    timeout: Duration,
}

#[derive(Clone)]
struct GuardedConnector {
    allowed: AllowedAddresses,
    connector: HttpsConnector<Tcp>,
}

impl Connector {
    pub(super) fn new(tls: ClientConfig, secure: AllowedAddresses, timeout: Duration) -> Self {
        let guarded = |allowed, tls| {
            let tcp = tcp(GuardedResolver { allowed, system: GaiResolver::new() }, timeout);
            let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
            let connector = match allowed {
                AllowedAddresses::ThisMachine => builder.https_or_http().enable_http1().wrap_connector(tcp),
                AllowedAddresses::Network { .. } => builder.https_only().enable_http1().wrap_connector(tcp),
            };
            GuardedConnector { allowed, connector }
        };
        Self { plain: guarded(AllowedAddresses::ThisMachine, tls.clone()), secure: guarded(secure, tls), timeout }
    }
}

/// Returns a TCP connector, for connections with TLS and without.
pub(super) fn tcp<R>(resolver: R, timeout: Duration) -> HttpConnector<R> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // The connector divides the time among the addresses of a name, so that one dead address leaves time for the others.
    tcp.set_connect_timeout(Some(timeout));
    tcp
}

impl Service<Uri> for Connector {
    type Response = <HttpsConnector<Tcp> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let plain = uri.scheme() == Some(&Scheme::HTTP);
        let GuardedConnector { allowed, mut connector } = if plain { self.plain.clone() } else { self.secure.clone() };
        // hyper-util may continue to connect for the pool after the request has ended. This deadline ends that work.
        let timeout = self.timeout;
        Box::pin(async move {
            // The resolver does not see an IP address in the URL, so the address is checked here.
            let host = uri.host().unwrap_or_default();
            if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
                allowed.check(address)?;
            }
            let connecting = async {
                std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
                connector.call(uri).await
            };
            tokio::time::timeout(timeout, connecting).await?
        })
    }
}

/// The resolver of the system, without the addresses that are not allowed. Connections go to the returned addresses.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    allowed: AllowedAddresses,
    system: GaiResolver,
}

impl Service<Name> for GuardedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::poll_ready(&mut self.system, cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let allowed = self.allowed;
        let resolving = self.system.call(name);
        Box::pin(async move { Ok(allowed.check_all(resolving.await?, SocketAddr::ip)?.into_iter()) })
    }
}
