//! Attacks that need the failure of a part.

use super::*;
use crate::support::*;
use axum::{Router, response::Response, routing::post};
use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use http::{HeaderValue, Request};
use serde_json::json;
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::{Duration, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::mpsc};
use tower::{BoxError, Service, service_fn};
use tower_token_exchange::{
    client_auth::{Authentication, Credentials},
    policy::{Decision, Query},
    signing::Signer,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Errs,
    IsNeverReady,
    PanicsInCall,
    PanicsLater,
    Hangs,
}

/// A part that works until the test sets a fault.
#[derive(Clone)]
struct Breakable<S> {
    part: S,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl<S, Q> Service<Q> for Breakable<S>
where
    S: Service<Q, Response: Send + 'static, Error: Into<BoxError>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match *self.fault.lock().unwrap() {
            Some(Fault::IsNeverReady) => Poll::Ready(Err("not ready".into())),
            _ => self.part.poll_ready(cx).map_err(Into::into),
        }
    }

    fn call(&mut self, question: Q) -> Self::Future {
        let fault = *self.fault.lock().unwrap();
        match fault {
            None | Some(Fault::IsNeverReady) => {
                let answer = self.part.call(question);
                async { answer.await.map_err(Into::into) }.boxed()
            }
            Some(Fault::Errs) => async { Err("broken".into()) }.boxed(),
            Some(Fault::PanicsInCall) => panic!("in the call"),
            Some(Fault::PanicsLater) => async { panic!("in the future") }.boxed(),
            Some(Fault::Hangs) => std::future::pending().boxed(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    Authenticator,
    Fetch,
    Policy,
    Signer,
    Audit,
}

/// Returns a world with one part that can fail. The answers have the reason in a header, because a failing sink records no
/// event.
async fn breakable(which: Which, clock: &Arc<AtomicU64>) -> (World, Minter, Arc<Mutex<Option<Fault>>>) {
    let fault = Arc::<Mutex<Option<Fault>>>::default();
    let with = Arc::clone(&fault);
    let partner = partner();
    let keys = partner.key.published_keys().to_json();
    let fetch = service_fn(move |_: Request<Bytes>| {
        let keys = Bytes::from(keys.clone());
        async { Ok::<_, Infallible>(http::Response::new(keys)) }
    });
    let record = Issuer::new(PARTNER)
        .jwks_uri("https://partner.example/jwks.json")
        .map_subjects(SubjectMapping::Prefix("partner|".into()))
        .allow_presenters(["orders"]);
    let authenticator = service_fn(|credentials: Credentials| async move {
        let known = credentials.readings().any(|reading| reading == ("orders", secret_of("orders").as_str()));
        Ok::<_, Infallible>(if known { Authentication::Client("orders".into()) } else { Authentication::Rejected })
    });
    let policy = service_fn(|_: Query| async { Ok::<_, Infallible>(Decision::delegate()) });
    let (sender, events) = mpsc::unbounded_channel();
    let sink = recorder(sender);
    let clock = Arc::clone(clock);
    let plan = plan().with(|builder| builder.clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(SeqCst))));
    let key = plan.own.key.clone();
    let (name, algorithm) = (key.key_id().clone(), key.algorithm());
    let keys = key.published_keys().key_set();
    let fetch_fault = if which == Which::Fetch { Arc::clone(&with) } else { Arc::default() };
    // The deadline is long enough for a slow machine.
    let plan = plan.with(|builder| {
        let fetch = Breakable { part: fetch, fault: fetch_fault };
        builder.issuers([record]).http(fetch).deadline(Duration::from_secs(2))
    });
    let plan = plan.with(|builder| match which {
        Which::Authenticator => builder.client_authenticator(Breakable { part: authenticator, fault: with }),
        Which::Policy => builder.policy(Breakable { part: policy, fault: with }),
        Which::Signer => {
            builder.signer(Signer::new(name, algorithm, Breakable { part: key, fault: with }, keys).unwrap())
        }
        Which::Fetch | Which::Audit => builder,
    });
    let sink_fault = if which == Which::Audit { Arc::clone(&fault) } else { Arc::default() };
    let mut world = plan.start_with_audit(Breakable { part: sink, fault: sink_fault }, events).await;

    let tell = |mut response: Response| {
        if let Some(reason) = response.extensions().get::<Reason>() {
            let code = HeaderValue::from_static(reason.code());
            response.headers_mut().insert("x-reason", code);
        }
        response
    };
    let app = Router::new().route("/token", post(async || "no exchange")).layer(world.layer.clone());
    let app = app.layer(axum::middleware::map_response(move |response: Response| async move { tell(response) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (world, partner, fault)
}

async fn no_token_while(which: Which, fault: Fault) {
    let why = format!("{which:?} {fault:?}");
    let clock = Arc::new(AtomicU64::new(NOW));
    let (mut world, partner, switch) = breakable(which, &clock).await;
    let subject = partner.foreign(json!({}));
    let attack = ask_foreign("orders", &subject);
    *switch.lock().unwrap() = Some(fault);
    let reply = attack.send(&world).await;
    let panics = matches!(fault, Fault::PanicsInCall | Fault::PanicsLater);
    let reason = match which {
        Which::Audit => Reason::AuditUnavailable,
        // The faults of an issuer.
        Which::Fetch if fault != Fault::Hangs => Reason::IssuerKeysUnavailable,
        _ if fault == Fault::Hangs => Reason::DeadlineExceeded,
        Which::Authenticator if panics => Reason::AuthenticatorPanicked,
        Which::Policy if panics => Reason::PolicyPanicked,
        Which::Signer if panics => Reason::SignerPanicked,
        Which::Authenticator => Reason::AuthenticatorUnavailable,
        Which::Policy => Reason::PolicyUnavailable,
        Which::Signer | Which::Fetch => Reason::SignerUnavailable,
    };
    let broken = panics && !matches!(which, Which::Audit | Which::Fetch);
    let told = if broken { (500, "server_error") } else { (503, "temporarily_unavailable") };
    assert_eq!(reply.headers.get("x-reason").map(|code| code.to_str().unwrap()), Some(reason.code()), "{why}");
    if which == Which::Audit {
        assert_eq!((reply.status.as_u16(), reply.error().as_str()), told, "{why}: {}", reply.text);
        assert!(reply.json().get("access_token").is_none() && world.no_event(), "{why}: {}", reply.text);
    } else {
        assert_refused(&mut world, &reply, told, reason, &why).await;
    }

    *switch.lock().unwrap() = None;
    clock.fetch_add(61, SeqCst);
    // A hanging fetch ends later than the requests that wait for the fetch. Other requests do not wait.
    let hangs_on = which == Which::Fetch && fault == Fault::Hangs;
    let honest = if hangs_on { ask("orders", &world.own.access_token(json!({}))) } else { attack };
    honest.token(&mut world, &why).await;
}

/// Attack: the attacker waits for the failure of a part that decides, or causes the failure.
#[tokio::test]
async fn th_45_a_failing_part_permits_nothing() {
    use Fault::*;
    use Which::*;
    let faults = [Errs, IsNeverReady, PanicsInCall, PanicsLater, Hangs];
    let parts = [Authenticator, Fetch, Policy, Signer, Audit];
    join_all(parts.into_iter().flat_map(|part| faults.map(|fault| no_token_while(part, fault)))).await;
}
