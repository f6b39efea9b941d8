//! The gateway from its start to its end.

use crate::{
    admin::{self, Health},
    cli::banner,
    config::{Config, Log},
    exit::{Exit, Failure, OrExit},
    gateway::Gateway,
    reload::{ReadConfig, Reloader},
    server::{self, front::front},
    stores::Stores,
    upstream_watch::UpstreamWatch,
    waiting::waiting,
};
use std::{io::IsTerminal, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tracing::level_filters::LevelFilter;

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

    let (app, current) = watch::channel(waiting(&config).or_exit(Exit::Misconfigured)?);
    let front = front(&config, current);
    tokio::spawn(axum::serve(admin, admin::router(Arc::clone(&health))).into_future());
    tokio::spawn(health.count_samples());
    let reloader = Reloader::new(read, tls, Arc::clone(&health));
    let upstream = UpstreamWatch::new(reloader.subscribe(), stores, app, Arc::clone(&health));
    tokio::spawn(upstream.run());
    tokio::spawn(watch_files(reloader, Arc::clone(&health), hang_up));

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
    if let Some(gateway) = health.gateway() {
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

/// Reads changed files again. SIGHUP reads all files again, and opens the audit file again.
async fn watch_files(mut reloader: Reloader, health: Arc<Health>, mut hang_up: Signal) {
    loop {
        tokio::select! {
            () = reloader.changed() => reloader.reload_if_changed(),
            _ = hang_up.recv() => {
                if let Some(gateway) = health.gateway() {
                    reopen_audit(&gateway).await;
                }
                reloader.reload();
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
