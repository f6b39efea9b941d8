use crate::{
    client_authentication,
    config::Config,
    server_record::statements,
    stores::{DEFAULT_CAPACITY, DEFAULT_REPLAY_CAPACITY},
};
use std::net::SocketAddr;

/// Prints to standard error what the gateway trusts, who may exchange what, and which limits apply.
pub(crate) fn banner(config: &Config, address: SocketAddr, admin: SocketAddr) {
    let settings = &config.settings;
    let scheme = if settings.listen.tls.is_some() { "https" } else { "http" };
    eprintln!("token exchange in front of {}", settings.upstream.url);
    eprintln!("  listens      {scheme}://{address}, admin http://{admin}");
    eprintln!("  trusts       {}", settings.upstream.issuer);
    eprintln!("  clients      {}", client_authentication::described(config));
    if let Some(preset) = config.preset {
        eprintln!("  preset       {preset}");
    }
    statements(config).iter().for_each(|statement| eprintln!("  its tokens   {statement}"));
    config.document.to_string().lines().for_each(|line| eprintln!("  {line}"));
    let revocations = match &settings.revocations.file {
        Some(path) => format!("in {}", config.beside(path).display()),
        None => "in memory, lost at a restart".to_owned(),
    };
    let capacity = settings.revocations.capacity.unwrap_or(DEFAULT_CAPACITY);
    eprintln!("  revocations  {revocations}, at most {capacity}");
    eprintln!("  single use   {}", replays(config));
    let audit = settings.audit.file.as_ref().map(|path| config.beside(path).display().to_string());
    let required = if settings.audit.optional { "NOT required" } else { "required" };
    eprintln!("  audit        {}, {required}", audit.as_deref().unwrap_or("standard output"));
    let limits = &settings.limits;
    eprintln!(
        "  limits       {} connections ({} of one peer), {} concurrent requests ({} of one peer), tokens for {} s",
        limits.connections,
        limits.connections_per_peer(),
        limits.concurrent_requests,
        limits.requests_per_peer(),
        limits.max_lifetime.as_secs()
    );
}

/// Where the gateway remembers what may be used once.
fn replays(config: &Config) -> String {
    let replay = &config.settings.replay;
    let capacity = replay.capacity.unwrap_or(DEFAULT_REPLAY_CAPACITY);
    match (&replay.redis, &replay.file) {
        (Some(redis), _) => format!("in Redis at {}", redis.url),
        (None, Some(path)) => format!("in {}, at most {capacity}", config.beside(path).display()),
        (None, None) => format!("in memory, lost at a restart, at most {capacity}"),
    }
}
