//! The limits of open requests, and of requests that are worked on.

use super::{
    activity::{ActiveRequest, Activity},
    arrival::arrived,
    refusals::Refusals,
    registry::{Admission, Registry},
    share::{Full, Places},
};
use crate::{answer, config::Settings, forward, gateway::App};
use axum::body::Body;
use http::{Request, Response, StatusCode};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tower::ServiceExt;
use tower_token_exchange::{client_auth::ClientAddress, limits::Peer};

/// The limits for the requests of all connections.
///
/// A request is *open* from its head to the end of its answer. A request has a *place* while the gateway works on it: from
/// the moment when the first bytes of its body are there, until its answer begins. A client that sends or reads nothing holds
/// no place.
#[derive(Debug)]
pub(super) struct RequestLimits {
    open: Arc<Registry>,
    places: Places,
    body_timeout: Duration,
    behind_proxy: bool,
    refusals: Refusals,
}

/// A request whose answer has not ended.
#[derive(Debug)]
pub(super) struct OpenRequest {
    admission: Admission,
    /// The connection counts as long as the request, also after the connection changed its protocol.
    active: Option<ActiveRequest>,
}

impl OpenRequest {
    fn body_arrived(&self) {
        self.admission.set_idle_since(None);
        if let Some(active) = &self.active {
            active.body_arrived();
        }
    }
}

impl RequestLimits {
    pub(super) fn new(settings: &Settings) -> Self {
        let (limits, behind_proxy) = (&settings.limits, settings.listen.behind_proxy);
        let (connections, places) = (limits.connections.get(), limits.concurrent_requests.get());
        Self {
            // Over HTTP/1.1, each connection has one open request.
            open: Registry::new(connections.max(places), limits.requests_per_peer(), "requests"),
            places: Places::new(places),
            body_timeout: limits.body_timeout,
            behind_proxy,
            refusals: Refusals::of_requests(),
        }
    }

    /// Opens a request. An error is the status for a peer with too many open requests.
    pub(super) fn open(&self, request: &mut Request<Body>) -> Result<Arc<OpenRequest>, StatusCode> {
        let peer = self.peer_of(request);
        let admission = self.open.admit(peer).map_err(|full| self.refuse(full, peer))?;
        let connection = request.extensions_mut().remove::<Arc<Activity>>();
        let active = connection.map(|connection| connection.request());
        let open = Arc::new(OpenRequest { admission, active });
        request.extensions_mut().insert(Arc::clone(&open));
        Ok(open)
    }

    /// Lets the app answer a request that is open, once the first bytes of its body are there.
    pub(super) async fn answer(&self, request: Request<Body>, app: App) -> Response<Body> {
        let Some(open) = request.extensions().get::<Arc<OpenRequest>>().cloned() else {
            return answer::plain(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let peer = open.admission.peer();
        // In this order, a body that is there needs no place in the list of those that wait.
        let arrived = tokio::select! {
            biased;
            arrived = timeout(self.body_timeout, arrived(request)) => arrived,
            () = open.admission.ended() => return answer::later(self.refuse(Full::Total, peer)),
        };
        let Ok(request) = arrived else { return answer::plain(StatusCode::REQUEST_TIMEOUT) };
        open.body_arrived();
        let _place = match self.places.take(peer) {
            Ok(place) => place,
            Err(full) => return answer::later(self.refuse(full, peer)),
        };
        let Ok(response) = app.oneshot(request).await;
        response
    }

    fn peer_of(&self, request: &Request<Body>) -> Option<Peer> {
        let address = request.extensions().get::<forward::Peer>()?.address.ip();
        Some(Peer::from(match self.behind_proxy {
            true => ClientAddress::behind_proxy(address, request.headers()).address(),
            false => address,
        }))
    }

    fn refuse(&self, full: Full, peer: Option<Peer>) -> StatusCode {
        self.refusals.report(full, peer);
        match full {
            Full::Peer => StatusCode::TOO_MANY_REQUESTS,
            Full::Total => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

#[cfg(test)]
impl OpenRequest {
    pub(super) fn of_test() -> Self {
        let admission = Registry::new(1, 1, "requests").admit(None).expect("a new registry has room");
        Self { admission, active: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt, stream};
    use http::header;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use std::{future, net::SocketAddr};
    use tower::service_fn;

    fn limits(open_per_peer: u32) -> RequestLimits {
        RequestLimits {
            open: Registry::new(100, open_per_peer, "requests"),
            places: Places::new(4),
            body_timeout: Duration::from_secs(30),
            behind_proxy: false,
            refusals: Refusals::of_requests(),
        }
    }

    fn request(last: u8, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        request.extensions_mut().insert(forward::Peer::new(SocketAddr::from(([192, 0, 2, last], 50_000))));
        request
    }

    /// A body of which only one byte comes.
    fn silent() -> Body {
        let first = stream::iter([Ok::<_, axum::Error>(Frame::data("x".into()))]);
        Body::new(StreamBody::new(first.chain(stream::pending())))
    }

    fn app() -> App {
        App::new(service_fn(|_| future::ready(Ok(Response::new(Body::empty())))))
    }

    fn busy_app() -> App {
        App::new(service_fn(|_| future::pending()))
    }

    async fn status(limits: &RequestLimits, last: u8) -> StatusCode {
        let mut request = request(last, Body::empty());
        match limits.open(&mut request) {
            Ok(_open) => limits.answer(request, app()).await.status(),
            Err(status) => status,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_taken_when_there_is_work() {
        let limits = limits(50);
        let mut waiting: Vec<_> = (0..20)
            .map(|_| {
                let mut request = request(1, silent());
                let open = limits.open(&mut request).unwrap();
                (open, Box::pin(limits.answer(request, app())))
            })
            .collect();
        for (_, answer) in &mut waiting {
            assert!(answer.as_mut().now_or_never().is_none());
        }
        assert_eq!((status(&limits, 1).await, status(&limits, 2).await), (StatusCode::OK, StatusCode::OK));
        for (_, answer) in waiting {
            assert_eq!(answer.await.status(), StatusCode::REQUEST_TIMEOUT, "a body that does not come");
        }
    }

    #[tokio::test]
    async fn no_peer_takes_all_places() {
        let limits = limits(50);
        let mut open = Vec::new();
        let mut working: Vec<_> = (0..3)
            .map(|_| {
                let mut request = request(1, Body::empty());
                open.push(limits.open(&mut request).unwrap());
                Box::pin(limits.answer(request, busy_app()))
            })
            .collect();
        let answered: Vec<_> = working.iter_mut().map(|answer| answer.as_mut().now_or_never()).collect();
        assert!(answered[0].is_none() && answered[1].is_none(), "two of four places");
        let refused = answered[2].as_ref().unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
        assert_eq!(status(&limits, 2).await, StatusCode::OK);
    }

    #[test]
    fn no_peer_opens_more_than_its_share() {
        let limits = limits(3);
        let open = |last| limits.open(&mut request(last, silent()));
        let held: Vec<_> = (0..3).map(|_| open(1).unwrap()).collect();
        assert_eq!(open(1).unwrap_err(), StatusCode::TOO_MANY_REQUESTS);
        assert!(open(2).is_ok());
        drop(held);
        assert!(open(1).is_ok());
    }

    #[tokio::test]
    async fn a_silent_request_ends_for_another() {
        let mut limits = limits(50);
        limits.open = Registry::new(2, 2, "requests");
        let mut waiting: Vec<_> = (1..3)
            .map(|last| {
                let mut request = request(last, silent());
                let open = limits.open(&mut request).unwrap();
                (open, Box::pin(limits.answer(request, app())))
            })
            .collect();
        assert!(waiting.iter_mut().all(|(_, answer)| answer.as_mut().now_or_never().is_none()));
        assert_eq!(status(&limits, 3).await, StatusCode::OK);
        let (_open, answer) = waiting.remove(0);
        assert_eq!(answer.await.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn a_proxy_names_the_peer_of_a_request() {
        let mut limits = limits(1);
        limits.behind_proxy = true;
        let open = |client: &str| {
            let mut request = request(1, silent());
            request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
            limits.open(&mut request)
        };
        let _first = open("203.0.113.9").unwrap();
        assert_eq!(open("6.6.6.6, 203.0.113.9").unwrap_err(), StatusCode::TOO_MANY_REQUESTS);
        assert!(open("203.0.113.10").is_ok());
    }
}
