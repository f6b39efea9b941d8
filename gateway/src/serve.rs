//! The gateway while it runs: from the start to the last request.

use crate::{
    admin::{self, Standing},
    config::{Config, Log},
    server::{self, front::front},
    upstream::{CAPACITY, Endpoints, Gateway, Stores},
};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_rustls::TlsAcceptor;
use tracing::level_filters::LevelFilter;

/// How often files are looked at, and the legacy server.
const LOOK: Duration = Duration::from_secs(2);
const UPSTREAM: Duration = Duration::from_secs(10);
/// How long a file is waited for that takes nothing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The certificate that is presented now, if any.
type Presented = watch::Sender<Option<TlsAcceptor>>;

pub(crate) async fn serve(path: &Path) -> Result<(), Failure> {
    let (config, seen) = read(path, None)?;
    Gateway::new(&config, Endpoints::assumed(&config), Stores::none())?;
    let (tls, presented) = watch::channel(server::acceptor(&config)?);
    let stores = Stores::open(&config).map_err(Failure::Start)?;
    log(&config.settings.log);
    let standing = Arc::new(Standing::new().map_err(Failure::Start)?);
    let listener = bind(&config, "listen.address", config.settings.listen.address)?;
    let admin = bind(&config, "listen.admin", config.settings.listen.admin)?;
    let signals = |kind| signal(kind).map_err(|error| Failure::Start(error.to_string()));
    let (mut terminate, mut interrupt) = (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);
    let hang_up = signals(SignalKind::hangup())?;
    banner(&config);

    let app = Arc::new(OnceLock::new());
    let front = front(&config, Arc::clone(&app));
    tokio::spawn(axum::serve(admin, admin::router(Arc::clone(&standing))).into_future());
    let (running, mut files) = (Arc::clone(&standing), Files { config: Arc::clone(&config), seen, tls });
    tokio::spawn(async move {
        let gateway = started(&mut files, &running, stores).await;
        let _ = app.set(gateway.app());
        let config = Arc::clone(&files.config);
        tokio::join!(look_after_upstream(&config, &gateway, &running), look_after(files, &gateway, &running, hang_up));
    });
    server::serve(listener, presented, &config, front, async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
    .await;
    if let Some(gateway) = standing.gateway.get() {
        gateway.exchange.flush_audit().await;
    }
    Ok(())
}

/// Why it did not start.
pub(crate) enum Failure {
    Configuration(String),
    Start(String),
}

impl From<String> for Failure {
    fn from(mistake: String) -> Self {
        Self::Configuration(mistake)
    }
}

fn bind(config: &Config, place: &str, address: std::net::SocketAddr) -> Result<TcpListener, Failure> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As tokio's own `bind` does, but for the queue: where it is full, clients wait for a second and more.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(4096)
    };
    listen().map_err(|error| Failure::Start(config.wrong(place, format!("{address} cannot be had: {error}"))))
}

/// The gateway, as soon as it is known where the endpoints of the legacy server are. Until then, files may change.
async fn started(files: &mut Files, standing: &Standing, stores: Stores) -> Gateway {
    loop {
        let endpoints = Endpoints::find(&files.config).await;
        match endpoints.and_then(|endpoints| Gateway::new(&files.config, endpoints, stores.clone())) {
            Ok(gateway) => {
                standing.start.send_replace(None);
                tracing::info!(endpoints = ?gateway.endpoints, "token exchange is there");
                return standing.gateway.get_or_init(|| gateway).clone();
            }
            Err(problem) => {
                tracing::warn!(problem, "the gateway waits for the legacy server; until then everything is 503");
                standing.start.send_replace(Some(problem));
                tokio::time::sleep(LOOK).await;
                files.look(false, None, standing);
            }
        }
    }
}

/// Looks after the legacy server, at once and then from time to time.
async fn look_after_upstream(config: &Config, gateway: &Gateway, standing: &Standing) {
    loop {
        gateway.look_at_upstream(config).await;
        gateway.exchange.readiness();
        if standing.clients.borrow().is_some() {
            let probed = gateway.authenticator.probe().await;
            standing.clients.send_replace(probed.err().map(|error| error.to_string()));
        }
        tokio::time::sleep(UPSTREAM).await;
    }
}

/// Looks after the files, and who wants the logs anew.
async fn look_after(mut files: Files, gateway: &Gateway, standing: &Standing, mut hang_up: Signal) {
    loop {
        let asked = tokio::select! {
            _ = hang_up.recv() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if asked {
            let audit = gateway.audit.clone();
            // It waits for a line that is being written.
            let reopened = tokio::task::spawn_blocking(move || audit.reopen());
            let problem = match tokio::time::timeout(PATIENCE, reopened).await {
                Ok(Ok(reopened)) => reopened.err().map(|error| error.to_string()),
                _ => Some("no line gets through".to_owned()),
            };
            if let Some(problem) = problem {
                tracing::error!(problem, "the audit file could not be opened anew; the old one is written on");
            }
        }
        files.look(asked, Some(gateway), standing);
    }
}

/// The configuration that counts, and its files as they were when it was read.
struct Files {
    config: Arc<Config>,
    seen: Vec<Option<Seen>>,
    tls: Presented,
}

/// Enough to see that a file is another one: where it is, and when that was changed.
type Seen = (u64, i64, i64);

impl Files {
    /// Reads everything anew if a file is another one, or somebody asked for it.
    fn look(&mut self, asked: bool, gateway: Option<&Gateway>, standing: &Standing) {
        let now = seen(&self.config.files());
        if !asked && now == self.seen {
            return;
        }
        self.seen = now;
        let changed = self.changed(gateway);
        let result = if changed.is_ok() { "taken" } else { "refused" };
        standing.reload.send_replace(changed.as_ref().err().cloned());
        match changed {
            Ok(next) => {
                tracing::info!("the configuration was read anew");
                (self.config, self.seen) = next;
            }
            Err(problem) => tracing::error!(problem, "a change was refused; what was there before still counts"),
        }
        metrics::counter!("gateway_reloads_total", "result" => result).increment(1);
    }

    fn changed(&self, gateway: Option<&Gateway>) -> Result<(Arc<Config>, Vec<Option<Seen>>), String> {
        let (next, seen) = read(&self.config.path(), Some(&self.config))?;
        let acceptor = server::acceptor(&next)?;
        match gateway {
            Some(gateway) => gateway.reload(&next)?,
            None => drop(Gateway::new(&next, Endpoints::assumed(&next), Stores::none())?),
        }
        self.tls.send_replace(acceptor);
        Ok((next, seen))
    }
}

fn seen(files: &[PathBuf]) -> Vec<Option<Seen>> {
    let look = |path: &PathBuf| std::fs::metadata(path).map(|file| (file.ino(), file.ctime(), file.ctime_nsec())).ok();
    files.iter().map(look).collect()
}

/// The configuration, and its files as they were before they were read. Which they are is known when they were.
fn read(path: &Path, before: Option<&Config>) -> Result<(Arc<Config>, Vec<Option<Seen>>), String> {
    let counting = |mut config: Config| {
        if let Some(before) = before {
            config.settings = Arc::clone(&before.settings);
        }
        config
    };
    let first = Config::read(path)?;
    if before.is_some_and(|before| !first.settings.are_as(&before.settings)) {
        tracing::warn!("settings other than keys, certificates and records count after a restart");
    }
    let mut config = counting(first);
    loop {
        let files = config.files();
        let seen = seen(&files);
        config = counting(Config::read(path)?);
        if config.files() == files {
            return Ok((Arc::new(config), seen));
        }
    }
}

fn log(log: &Log) {
    let level = log.level.as_deref().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    // Standard output is for the audit.
    let logs = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    if log.json { logs.json().init() } else { logs.with_ansi(crate::cli::is_terminal()).init() }
}

/// What is trusted, who may exchange what, and which limits hold.
pub(crate) fn banner(config: &Config) {
    let settings = &config.settings;
    let (listen, limits) = (&settings.listen, &settings.limits);
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    eprintln!("token exchange in front of {}", settings.upstream.url);
    eprintln!("  listens      {scheme}://{}, admin http://{}", listen.address, listen.admin);
    eprintln!("  trusts       {}, which knows the clients' secrets too", settings.upstream.issuer);
    config.document.to_string().lines().for_each(|line| eprintln!("  {line}"));
    let kept = match &settings.revocations.file {
        Some(path) => format!("in {}", config.beside(path).display()),
        None => "in memory: a restart forgets them".to_owned(),
    };
    eprintln!("  revocations  {kept}, {} at most", settings.revocations.capacity.unwrap_or(CAPACITY));
    let audit = settings.audit.file.as_ref().map(|path| config.beside(path).display().to_string());
    let required = if settings.audit.optional { "NOT required" } else { "required" };
    eprintln!("  audit        {}, {required}", audit.as_deref().unwrap_or("standard output"));
    eprintln!(
        "  limits       {} connections, {} requests at a time, tokens for {} s",
        limits.connections,
        limits.concurrent_requests,
        limits.max_lifetime.as_secs()
    );
}
