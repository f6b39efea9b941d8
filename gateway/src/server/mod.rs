//! Connections: how many, how long, with TLS or without, and their end.

pub(crate) mod front;
mod trace_context;

use crate::{config::Config, forward::Peer};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};

/// The place that a connection takes up for as long as it lasts, also after it changed its protocol.
#[derive(Clone)]
struct Place(#[expect(dead_code, reason = "it is held, not used")] Arc<OwnedSemaphorePermit>);

/// Reads the certificates that the configuration names, if it names any.
pub(crate) fn acceptor(config: &Config) -> Result<Option<TlsAcceptor>, String> {
    let Some(tls) = &config.settings.listen.tls else { return Ok(None) };
    let chain = config.certificates("listen.tls.certificate", &tls.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(config.text_of("listen.tls.key", &tls.key)?.as_bytes())
        .map_err(|error| config.wrong("listen.tls.key", format!("no private key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = match &tls.client_ca {
        None if tls.require_client_certificate => {
            let help = "nobody says which are good: give `client_ca` too";
            return Err(config.wrong("listen.tls.require_client_certificate", help));
        }
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = config.roots("listen.tls.client_ca", path)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if tls.require_client_certificate { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| config.wrong("listen.tls.client_ca", error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| config.wrong("listen.tls.key", format!("it does not go with the certificate: {error}")))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

/// Serves until `stop`, and then until every request in flight has its answer, or the time for that is over.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    tls: watch::Receiver<Option<TlsAcceptor>>,
    config: &Config,
    service: S,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let limits = &config.settings.limits;
    let places = Arc::new(Semaphore::new(limits.connections.get() as usize));
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).preserve_header_case(true);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.header_timeout)
        .max_concurrent_streams(100)
        .max_header_list_size(64 * 1024);
    let graceful = GracefulShutdown::new();
    // Whoever has said nothing yet is not waited for.
    let (ending, ended) = watch::channel(());
    tokio::pin!(stop);
    loop {
        // Whoever finds no place waits in the queue of the system.
        let place = tokio::select! {
            () = &mut stop => break,
            Ok(place) = Arc::clone(&places).acquire_owned() => place,
        };
        let (stream, address) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as too many open files: a moment later there may be fewer.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let (patience, mut ended) = (limits.header_timeout, ended.clone());
        let mut stream = TimeoutStream::new(stream);
        // Of an answer that nobody takes.
        stream.set_write_timeout(Some(limits.body_timeout));
        let (tls, http, service, watcher) = (tls.borrow().clone(), http.clone(), service.clone(), graceful.watcher());
        tokio::spawn(async move {
            let place = Place(Arc::new(place));
            let secured = tokio::select! {
                _ = ended.changed() => return,
                secured = timeout(patience, secured(Box::pin(stream), address, tls)) => secured,
            };
            let Ok(Some((io, peer))) = secured else { return };
            let first = Arc::new(Notify::new());
            let asked = Arc::clone(&first);
            let service = service.map_request(move |mut request: Request<Incoming>| {
                asked.notify_one();
                request.extensions_mut().insert(peer.clone());
                request.extensions_mut().insert(place.clone());
                request.map(Body::new)
            });
            let connection = http.serve_connection_with_upgrades(TokioIo::new(io), TowerToHyperService::new(service));
            let mut connection = pin!(watcher.watch(connection.into_owned()));
            // The HTTP library waits without end for whoever does not even say which version of it he speaks.
            let ended = tokio::select! {
                ended = &mut connection => ended,
                asked = timeout(patience, first.notified()) => match asked {
                    Ok(()) => connection.await,
                    Err(_elapsed) => return,
                },
            };
            if let Err(error) = ended {
                tracing::debug!(%address, %error, "a connection ended");
            }
        });
    }
    drop((listener, ending));
    tracing::info!(seconds = limits.drain.as_secs(), "no new connections; requests in flight are finished");
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still in flight");
    }
}

type Tcp = Pin<Box<TimeoutStream<TcpStream>>>;
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection as it can be spoken on.
async fn secured(stream: Tcp, address: SocketAddr, tls: Option<TlsAcceptor>) -> Option<(Box<dyn Io>, Peer)> {
    let Some(tls) = tls else { return Some((Box::new(stream), Peer::new(address))) };
    let stream = tls.accept(stream).await;
    let stream = stream.inspect_err(|error| tracing::debug!(%address, %error, "no TLS")).ok()?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.map(|der| Bytes::copy_from_slice(der));
    Some((Box::new(stream), Peer::with_tls(address, certificate)))
}
