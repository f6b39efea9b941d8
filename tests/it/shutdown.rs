//! A runtime that shuts down during an exchange loses no audit event.

use crate::support::*;
use axum::body::Body;
use http::{Request, Response, header};
use serde_json::json;
use std::{
    convert::Infallible,
    future::pending,
    io::Write,
    sync::{Arc, Mutex},
};
use tokio::{runtime::Builder, sync::watch};
use tower::{Layer, ServiceExt, service_fn};
use tower_token_exchange::{
    audit::AuditEvent,
    policy::{Decision, Query},
};

/// The log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Starts an exchange, shuts the runtime down as soon as `reached` is set, and returns the log lines.
fn shut_down_in(plan: Plan, sink_hangs: bool, reached: watch::Sender<bool>) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let form = encode(&exchange_form(&plan.own.access_token(json!({})), &[]));
    let told = reached.clone();
    let sink = service_fn(move |_: AuditEvent| {
        let told = told.clone();
        async move {
            told.send_replace(true);
            if sink_hangs {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(())
        }
    });
    let layer = plan.builder.audit(sink).build().unwrap();
    let wrapped = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let request = Request::post("/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, basic("orders", &secret_of("orders")))
        .body(Body::from(form))
        .unwrap();
    runtime.block_on(async {
        tokio::spawn(layer.layer(wrapped).oneshot(request));
        reached.subscribe().wait_for(|reached| *reached).await.unwrap();
    });
    drop(runtime);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn a_shutdown_in_the_policy_loses_no_event() {
    let reached = watch::Sender::new(false);
    let told = reached.clone();
    let plan = plan().with(|builder| {
        builder.policy(service_fn(move |_: Query| {
            told.send_replace(true);
            pending::<Result<Decision, Infallible>>()
        }))
    });
    let log = shut_down_in(plan, false, reached);
    assert_eq!(log.matches("event_id=").count(), 1, "{log}");
    assert!(log.contains("reason=\"client_gone\"") && log.contains("stage=\"policy\""), "{log}");
}

#[test]
fn a_shutdown_in_the_sink_loses_no_event() {
    let log = shut_down_in(plan(), true, watch::Sender::new(false));
    assert_eq!(log.matches("event_id=").count(), 1, "{log}");
    // The token of that event was never released.
    assert!(log.contains("reason=\"audit_unavailable\"") && !log.contains("outcome=\"issued\""), "{log}");
}
