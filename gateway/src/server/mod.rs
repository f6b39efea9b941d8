//! The connections of clients: their number, their time limits, TLS, and their end.

mod activity;
mod answer_body;
mod arrival;
mod connection;
pub(crate) mod front;
mod lingering;
mod refusals;
mod registry;
mod requests;
mod share;
pub(crate) mod tls;
mod trace_context;

use crate::config::{Config, Settings};
use axum::body::Body;
use connection::Connector;
use http::{Request, Response};
use metrics::{Unit, describe_counter, describe_gauge};
use refusals::Refusals;
use registry::Registry;
use std::{convert::Infallible, time::Duration};
use tls::Acceptor;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tower::Service;
use tower_token_exchange::limits::Peer;

/// Serves connections until `stop` is ready, and then until every request has its answer or the time for this is over.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    tls: watch::Receiver<Option<Acceptor>>,
    config: &Config,
    service: S,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let Settings { limits, listen, .. } = &*config.settings;
    describe_metrics();
    let connections = Registry::new(limits.connections.get(), limits.connections_per_peer(), "connections");
    let (connector, refusals) = (Connector::new(limits), Refusals::of_connections());
    // Every connection has a receiver until its end.
    let (stopping, receiver) = watch::channel(());
    tokio::pin!(stop);
    loop {
        let (stream, address) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The process may have too many open files. A moment later there may be fewer.
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        // A proxy makes the connections of all its clients.
        let peer = (!listen.behind_proxy).then(|| Peer::from(address.ip()));
        let admission = match connections.admit(peer) {
            Ok(admission) => admission,
            Err(full) => {
                refusals.report(full, peer);
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (tls, service) = (tls.borrow().clone(), service.clone());
        tokio::spawn(connector.clone().serve(stream, address, admission, tls, service, receiver.clone()));
    }
    drop((listener, receiver));
    stopping.send_replace(());
    if timeout(limits.drain, stopping.closed()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were ended");
    }
}

fn describe_metrics() {
    describe_gauge!("gateway_open", Unit::Count, "Open connections and open requests");
    describe_counter!("gateway_idle_ended_total", Unit::Count, "Idle connections and requests that ended for others");
    describe_counter!("gateway_connections_refused_total", Unit::Count, "Refused connections, by the limit");
    describe_counter!("gateway_requests_refused_total", Unit::Count, "Requests answered with 429 or 503, by the limit");
}
