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

use super::address::Reach;

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;
type Tcp = HttpConnector<GuardedResolver>;

/// Makes connections, and only to where its reach goes: further over TLS than without.
#[derive(Clone)]
pub(super) struct Connector {
    plain: Lane,
    secure: Lane,
    timeout: Duration,
}

#[derive(Clone)]
struct Lane {
    reach: Reach,
    connector: HttpsConnector<Tcp>,
}

impl Connector {
    pub(super) fn new(tls: ClientConfig, secure: Reach, timeout: Duration) -> Self {
        let lane = |reach, tls| {
            let tcp = tcp(GuardedResolver { reach, system: GaiResolver::new() }, timeout);
            let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
            let connector = match reach {
                Reach::ThisMachine => builder.https_or_http().enable_http1().wrap_connector(tcp),
                Reach::Network { .. } => builder.https_only().enable_http1().wrap_connector(tcp),
            };
            Lane { reach, connector }
        };
        Self { plain: lane(Reach::ThisMachine, tls.clone()), secure: lane(secure, tls), timeout }
    }
}

/// Connects to where names lead, for TLS or without it.
pub(super) fn tcp<R>(resolver: R, timeout: Duration) -> HttpConnector<R> {
    let mut tcp = HttpConnector::new_with_resolver(resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Shared out among the addresses of a name, so that a dead one leaves time for the next.
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
        let Lane { reach, mut connector } = if plain { self.plain.clone() } else { self.secure.clone() };
        // hyper-util may finish connecting for the pool after the request is gone: this deadline is for then.
        let timeout = self.timeout;
        Box::pin(async move {
            // An IP literal never reaches the resolver.
            let host = uri.host().unwrap_or_default();
            if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
                reach.admit(address)?;
            }
            let connecting = async {
                std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
                connector.call(uri).await
            };
            tokio::time::timeout(timeout, connecting).await?
        })
    }
}

/// The system's resolver, less the addresses that are out of reach. What it returns is what is connected to.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    reach: Reach,
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
        let reach = self.reach;
        let resolving = self.system.call(name);
        Box::pin(async move { Ok(reach.admit_any(resolving.await?, SocketAddr::ip)?.into_iter()) })
    }
}
