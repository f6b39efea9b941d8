//! One connection, from its TLS handshake to its end.

use super::{
    activity::Activity, answer_body::StreamExecutor, lingering::Lingering, registry::Admission, tls::Acceptor,
};
use crate::{config::Limits, forward::Peer};
use axum::body::Body;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto::Builder,
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
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tower::{Service, ServiceExt};

/// How much is buffered of the head of a request over HTTP/1.1, of a request body that nobody reads over HTTP/2, and of an
/// answer that nobody reads. Memory that a client can fill is a small multiple of this number for each open request.
const BUFFER: u32 = 64 * 1024;

/// How long an idle client has for its part of the end of a connection.
const GOODBYE: Duration = Duration::from_secs(1);

/// How connections are served.
#[derive(Clone)]
pub(super) struct Connector {
    http: Builder<StreamExecutor>,
    header_timeout: Duration,
    body_timeout: Duration,
    drain: Duration,
}

impl Connector {
    pub(super) fn new(limits: &Limits) -> Self {
        let mut http = Builder::new(StreamExecutor(limits.body_timeout));
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(BUFFER as usize)
            .preserve_header_case(true);
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(limits.header_timeout)
            .max_concurrent_streams(100)
            .max_header_list_size(BUFFER)
            .initial_stream_window_size(BUFFER)
            .initial_connection_window_size(2 * BUFFER)
            .max_send_buf_size(BUFFER as usize);
        let (header_timeout, body_timeout, drain) = (limits.header_timeout, limits.body_timeout, limits.drain);
        Self { http, header_timeout, body_timeout, drain }
    }

    /// Serves a connection until its end. When `stopping` changes, the connection ends after the open requests.
    pub(super) async fn serve<S>(
        self,
        stream: TcpStream,
        address: SocketAddr,
        admission: Admission,
        tls: Option<Acceptor>,
        service: S,
        mut stopping: watch::Receiver<()>,
    ) where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let activity = Activity::new(admission);
        let mut stream = TimeoutStream::new(stream);
        // A client that takes nothing of an answer loses its connection.
        stream.set_write_timeout(Some(self.body_timeout));
        let secured = tokio::select! {
            secured = timeout(self.header_timeout, secure(Box::pin(stream), address, tls)) => secured,
            () = activity.ended() => return,
            _ = stopping.changed() => return,
        };
        let Ok(Some((io, peer))) = secured else { return };
        let connection = Arc::clone(&activity);
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer.clone());
            request.extensions_mut().insert(Arc::clone(&connection));
            service.clone().oneshot(Lingering::wrap(request).map(Body::new))
        });
        let connection = self.http.serve_connection_with_upgrades(TokioIo::new(io), service).into_owned();
        let mut connection = pin!(connection);
        let time_left = tokio::select! {
            result = connection.as_mut() => return log_end(address, result),
            () = activity.ended() => return,
            // The HTTP library has no timeout for a client that shows no version of HTTP, or that only answers pings.
            () = activity.idle_for(self.header_timeout) => self.time_for_bodies(&activity),
            _ = stopping.changed() => self.drain,
        };
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            result = connection => log_end(address, result),
            () = activity.ended() => {}
            () = sleep(time_left) => {}
        }
    }

    /// How long an idle connection has for its end: the requests that wait for their bodies have their full time.
    fn time_for_bodies(&self, activity: &Activity) -> Duration {
        if activity.has_requests() { self.body_timeout } else { GOODBYE }
    }
}

fn log_end(address: SocketAddr, result: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = result {
        tracing::debug!(%address, error = format!("{:#}", anyhow::Error::from_boxed(error)), "a connection failed");
    }
}

type Tcp = Pin<Box<TimeoutStream<TcpStream>>>;
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Starts TLS on a connection, if there is TLS.
async fn secure(stream: Tcp, address: SocketAddr, tls: Option<Acceptor>) -> Option<(Box<dyn Io>, Peer)> {
    let Some(tls) = tls else { return Some((Box::new(stream), Peer::new(address))) };
    let stream = tls.accept(stream).await;
    let stream = stream.inspect_err(|error| tracing::debug!(%address, %error, "the TLS handshake failed")).ok()?;
    let peer = match stream.get_ref().1.peer_certificates() {
        Some(chain) => Peer::with_certificates(address, tls.certificates(chain)),
        None => Peer::with_tls(address, None),
    };
    Some((Box::new(stream), peer))
}
