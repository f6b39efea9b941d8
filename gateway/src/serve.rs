//! The gateway from its start to its end.

use crate::{
    admin::{self, Health},
    cli::banner,
    config::{Config, Log},
    exit::{Exit, Failure, OrExit},
    gateway::{App, Gateway},
    reload::{ReadConfig, Reloader},
    server::{self, front::front},
    stores::Stores,
    upstream::Endpoints,
};
use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::level_filters::LevelFilter;

/// How long the gateway waits before it asks again for the endpoints of the authorization server.
const RETRY: Duration = Duration::from_secs(2);

/// How often the gateway asks whether the authorization server answers.
const UPSTREAM_INTERVAL: Duration = Duration::from_secs(10);

/// How long the gateway waits for a file that blocks.
pub(crate) const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the gateway until SIGTERM or SIGINT.
pub(crate) async fn serve(path: &Path) -> Result<(), Failure> {
    let read = ReadConfig::first(path).or_exit(Exit::Misconfigured)?;
    let config = Arc::clone(&read.config);
    Gateway::check(&config).or_exit(Exit::Misconfigured)?;
    let (tls, acceptor) = watch::channel(server::tls::acceptor(&config).or_exit(Exit::Misconfigured)?);
    let stores = Stores::open(&config).or_exit(Exit::Failed)?;
    start_log(&config.settings.log);
    let health = Arc::new(Health::new().or_exit(Exit::Failed)?);
    let (listener, address) = bind(&config, "listen.address", config.settings.listen.address)?;
    let (admin, admin_address) = bind(&config, "listen.admin", config.settings.listen.admin)?;
    let mut terminate = signal(SignalKind::terminate()).or_exit(Exit::Failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).or_exit(Exit::Failed)?;
    let hang_up = signal(SignalKind::hangup()).or_exit(Exit::Failed)?;
    banner(&config, address, admin_address);

    let app = Arc::new(OnceLock::new());
    let front = front(&config, Arc::clone(&app));
    tokio::spawn(axum::serve(admin, admin::router(Arc::clone(&health))).into_future());
    let reloader = Reloader::new(read, tls, Arc::clone(&health));
    tokio::spawn(run(reloader, Arc::clone(&health), stores, app, hang_up));

    let drain = config.settings.limits.drain;
    server::serve(listener, acceptor, &config, front, async move {
        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        let seconds = drain.as_secs();
        tracing::info!(signal, seconds, "the gateway stops: no new connections, open requests may finish in this time");
    })
    .await;
    if let Some(gateway) = health.gateway.get() {
        gateway.exchange.flush_audit().await;
    }
    tracing::info!("the gateway stopped");
    Ok(())
}

fn bind(config: &Config, key: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Tokio's own `bind` does the same with a shorter queue. If the queue is full, clients wait for a second and more.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(4096)?;
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address))
    };
    let listener = listen();
    listener.map_err(|error| config.wrong(key, format!("cannot listen at {address}: {error}"))).or_exit(Exit::Failed)
}

/// Starts the app as soon as the endpoints of the authorization server are known, and watches files and server from then on.
async fn run(
    mut reloader: Reloader,
    health: Arc<Health>,
    stores: Stores,
    app: Arc<OnceLock<App>>,
    mut hang_up: Signal,
) {
    let gateway = start(&mut reloader, &health, stores, &mut hang_up).await;
    let _ = app.set(gateway.app());
    let config = Arc::clone(reloader.config());
    tokio::join!(watch_upstream(&config, &gateway, &health), watch_files(reloader, &gateway, hang_up));
}

async fn start(reloader: &mut Reloader, health: &Health, stores: Stores, hang_up: &mut Signal) -> Gateway {
    loop {
        let config = reloader.config();
        let endpoints = Endpoints::find(config).await;
        let problem = match endpoints.and_then(|endpoints| Gateway::new(config, endpoints, stores.clone())) {
            Ok(gateway) => {
                health.start.send_replace(None);
                tracing::info!(endpoints = %gateway.endpoints, "token exchange is available");
                return health.gateway.get_or_init(|| gateway).clone();
            }
            Err(error) => format!("{error:#}"),
        };
        let is_new = health.start.borrow().as_ref() != Some(&problem);
        if is_new {
            tracing::warn!(
                problem,
                "the gateway waits for the authorization server, and answers every request with 503"
            );
        }
        health.start.send_replace(Some(problem));
        tokio::select! {
            () = tokio::time::sleep(RETRY) => reloader.reload_if_changed(None),
            () = reloader.changed() => reloader.reload_if_changed(None),
            _ = hang_up.recv() => reloader.reload(None),
        }
    }
}

/// Asks the authorization server from time to time for its documents, and whether clients can be authenticated.
async fn watch_upstream(config: &Config, gateway: &Gateway, health: &Health) {
    loop {
        gateway.ask_upstream(config).await;
        // Looking at the keys starts a fetch of keys that are too old.
        gateway.exchange.readiness();
        if health.clients.borrow().is_some() {
            let probe = gateway.authenticator.probe().await;
            health.clients.send_replace(probe.err().map(|error| error.to_string()));
        }
        tokio::time::sleep(UPSTREAM_INTERVAL).await;
    }
}

/// Reads changed files again. SIGHUP reads all files again, and opens the audit file again.
async fn watch_files(mut reloader: Reloader, gateway: &Gateway, mut hang_up: Signal) {
    reloader.reload_if_changed(Some(gateway));
    loop {
        tokio::select! {
            () = reloader.changed() => reloader.reload_if_changed(Some(gateway)),
            _ = hang_up.recv() => {
                reopen_audit(gateway).await;
                reloader.reload(Some(gateway));
            }
        }
    }
}

async fn reopen_audit(gateway: &Gateway) {
    let audit = gateway.audit.clone();
    // This waits for a line that is being written.
    let reopened = tokio::task::spawn_blocking(move || audit.reopen());
    let problem = match tokio::time::timeout(FILE_TIMEOUT, reopened).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) => error.to_string(),
        _ => "the file blocks".to_owned(),
    };
    tracing::error!(problem, "the audit file could not be opened again; the gateway writes to the old file");
}

fn start_log(log: &Log) {
    let level = log.level.as_deref().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // Standard output is for the audit.
    let subscriber = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    if log.json {
        subscriber.json().init();
    } else {
        let has_colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        subscriber.with_ansi(has_colours).init();
    }
}
