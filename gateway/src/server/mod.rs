//! The connections of clients: their number, their time limits, TLS, and their end.

pub(crate) mod front;
mod lingering;
pub(crate) mod tls;
mod trace_context;

use crate::{
    config::{Config, Settings},
    forward::Peer,
};
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use lingering::Lingering;
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

/// A connection counts for as long as this value lives, also after it changed its protocol.
#[derive(Clone)]
struct ConnectionPermit(#[expect(dead_code, reason = "the permit is held, not read")] Arc<OwnedSemaphorePermit>);

/// Serves connections until `stop` is ready, and then until every request has its answer or the time for this is over.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    tls: watch::Receiver<Option<TlsAcceptor>>,
    config: &Config,
    service: S,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let Settings { limits, .. } = &*config.settings;
    let permits = Arc::new(Semaphore::new(limits.connections.get() as usize));
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).preserve_header_case(true);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.header_timeout)
        .max_concurrent_streams(100)
        .max_header_list_size(64 * 1024);
    let graceful = GracefulShutdown::new();
    // Connections that have sent nothing yet are closed at once.
    let (ending, ended) = watch::channel(());
    tokio::pin!(stop);
    loop {
        // Connections beyond the limit wait in the queue of the operating system.
        let permit = tokio::select! {
            () = &mut stop => break,
            Ok(permit) = Arc::clone(&permits).acquire_owned() => permit,
        };
        let (stream, address) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The process may have too many open files. A moment later there may be fewer.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        // A client that takes nothing of an answer loses its connection.
        stream.set_write_timeout(Some(limits.body_timeout));
        let (header_timeout, mut ended) = (limits.header_timeout, ended.clone());
        let (tls, http, service, watcher) = (tls.borrow().clone(), http.clone(), service.clone(), graceful.watcher());
        tokio::spawn(async move {
            let permit = ConnectionPermit(Arc::new(permit));
            let secured = tokio::select! {
                _ = ended.changed() => return,
                secured = timeout(header_timeout, secure(Box::pin(stream), address, tls)) => secured,
            };
            let Ok(Some((io, peer))) = secured else { return };
            let first_request = Arc::new(Notify::new());
            let requested = Arc::clone(&first_request);
            let service = service.map_request(move |mut request: Request<Incoming>| {
                requested.notify_one();
                request.extensions_mut().insert(peer.clone());
                request.extensions_mut().insert(permit.clone());
                Lingering::wrap(request).map(Body::new)
            });
            let connection = http.serve_connection_with_upgrades(TokioIo::new(io), TowerToHyperService::new(service));
            let mut connection = pin!(watcher.watch(connection.into_owned()));
            // The HTTP library has no timeout for a client that does not even show its version of HTTP.
            let result = tokio::select! {
                result = &mut connection => result,
                requested = timeout(header_timeout, first_request.notified()) => match requested {
                    Ok(()) => connection.await,
                    Err(_elapsed) => return,
                },
            };
            if let Err(error) = result {
                tracing::debug!(%address, error = format!("{:#}", anyhow::Error::from_boxed(error)), "a connection failed");
            }
        });
    }
    drop((listener, ending));
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were ended");
    }
}

type Tcp = Pin<Box<TimeoutStream<TcpStream>>>;
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Starts TLS on a connection, if there is TLS.
async fn secure(stream: Tcp, address: SocketAddr, tls: Option<TlsAcceptor>) -> Option<(Box<dyn Io>, Peer)> {
    let Some(tls) = tls else { return Some((Box::new(stream), Peer::new(address))) };
    let stream = tls.accept(stream).await;
    let stream = stream.inspect_err(|error| tracing::debug!(%address, %error, "the TLS handshake failed")).ok()?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let certificate = certificate.map(|der| Bytes::copy_from_slice(der));
    Some((Box::new(stream), Peer::with_tls(address, certificate)))
}
