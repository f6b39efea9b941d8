//! The gateway, the server behind it, and everything that the faults change.

use super::{
    clients::Client,
    history::{Fault, History},
    ledger::Ledger,
    process::{Folder, Gateway, free_port, wait_for},
    proxy::Proxy,
    server::{self, Behaviour},
    tokens::{Keys, of_server},
    upstream::Upstream,
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    env, fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::sleep,
    time::Duration,
};
use tower_token_exchange::signing::{Algorithm, LocalSigner};

pub(crate) const ISSUER: &str = "http://gateway.test";

const CONFIGURATION: &str = include_str!("gateway.toml");

/// The rule that is not always in force.
const RULE: &str = r#"
[[rule]]
clients = "reports"
subjects = { issuer = "http://gateway.test" }
targets = "billing"
scopes = ["read"]
"#;

pub(crate) fn basic(client: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{client}:a-long-secret-of-{client}").as_bytes()))
}

/// A file system of its own for the revocations, which can be filled.
struct Disk(PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

pub(crate) struct World {
    pub(crate) history: History,
    pub(crate) ledger: Ledger,
    pub(crate) behaviour: Behaviour,
    pub(crate) proxy: Proxy,
    pub(crate) keys: Keys,
    pub(crate) port: u16,
    pub(crate) ended: AtomicBool,
    server_key: LocalSigner,
    gateway: Mutex<Option<Gateway>>,
    ports: [u16; 3],
    key_files: Mutex<Vec<String>>,
    audit_files: AtomicU64,
    /// Odd while the clock jumps.
    clock: AtomicU64,
    faketime: Option<PathBuf>,
    disk: Option<Disk>,
    folder: Folder,
    _server: Upstream,
}

impl World {
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let server_key = LocalSigner::generate(Algorithm::ES256).unwrap();
        // Another key under the same name.
        let false_key = LocalSigner::generate(Algorithm::ES256).unwrap().with_key_id(server_key.key_id().clone());
        let behaviour = Behaviour::default();
        let key_set = |key: &LocalSigner| key.published_keys().to_json();
        let server = server::start(&behaviour, key_set(&server_key), key_set(&false_key));
        let ports = [free_port(), free_port(), free_port()];
        let mounted = {
            let path = folder.0.join("disk");
            fs::create_dir_all(&path).unwrap();
            let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&path).output();
            mount.is_ok_and(|mount| mount.status.success()).then(|| Disk(path))
        };
        if mounted.is_none() {
            println!("NOT CHECKED: a full disk: run the test as root");
        }
        let world = Self {
            history: History::default(),
            ledger: Ledger::default(),
            behaviour,
            proxy: Proxy::start(ports[2], server.port),
            keys: Keys::default(),
            port: ports[0],
            ended: AtomicBool::new(false),
            server_key,
            gateway: Mutex::new(None),
            ports,
            key_files: Mutex::default(),
            audit_files: AtomicU64::new(0),
            clock: AtomicU64::new(0),
            faketime: env::var_os("FAKETIME_LIBRARY").map(PathBuf::from),
            disk: mounted,
            folder,
            _server: server,
        };
        world.set_clock("+0");
        world.new_audit_file();
        world.new_key();
        world.history.begin(Fault::RuleOff);
        world.configure(false, "");
        world.start_gateway();
        wait_for("token exchange is available", || world.with_gateway(Gateway::is_ready));
        world
    }

    pub(crate) fn has_false_clock(&self) -> bool {
        self.faketime.is_some()
    }

    pub(crate) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    pub(crate) fn subject_token(&self, sub: &str) -> String {
        of_server(&self.server_key, sub)
    }

    /// Names the present time. `None` while the clock jumps.
    pub(crate) fn clock(&self) -> Option<u64> {
        let clock = self.clock.load(Ordering::SeqCst);
        clock.is_multiple_of(2).then_some(clock)
    }

    /// Moves the clock of the gateway by a number of seconds, such as `+3600`.
    pub(crate) fn set_clock(&self, offset: &str) {
        self.clock.fetch_add(1, Ordering::SeqCst);
        self.history.begin(Fault::ClockJumps);
        self.folder.write("clock", offset);
        if self.gateway.lock().unwrap().is_some() {
            // The gateway reads the file once a second, and may be slow.
            sleep(Duration::from_secs(3));
        }
        self.history.end(Fault::ClockJumps);
        self.clock.fetch_add(1, Ordering::SeqCst);
    }

    fn with_gateway<T>(&self, action: impl FnOnce(&Gateway) -> T) -> T {
        action(self.gateway.lock().unwrap().as_ref().unwrap())
    }

    pub(crate) fn start_gateway(&self) {
        let clock = self.folder.0.join("clock");
        let gateway = Gateway::start_with(&self.folder, |command| {
            if let Some(library) = &self.faketime {
                command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
                command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            }
        });
        *self.gateway.lock().unwrap() = Some(gateway);
    }

    /// Kills the gateway, which must be alive.
    pub(crate) fn kill_gateway(&self) {
        let mut gateway = self.gateway.lock().unwrap().take().unwrap();
        assert!(gateway.process.0.try_wait().unwrap().is_none(), "the gateway ended: {}", self.folder.read("log"));
    }

    pub(crate) fn hang_up(&self) {
        self.with_gateway(|gateway| gateway.process.signal("-HUP"));
        sleep(Duration::from_millis(300));
    }

    /// Lets the audit go to a new file from the next SIGHUP on.
    pub(crate) fn new_audit_file(&self) {
        let number = self.audit_files.fetch_add(1, Ordering::Relaxed);
        self.audit_goes_to(&format!("audit-{number}.jsonl"));
    }

    pub(crate) fn audit_goes_to(&self, path: &str) {
        let (link, new) = (self.folder.0.join("audit.jsonl"), self.folder.0.join("audit.new"));
        symlink(path, &new).unwrap();
        fs::rename(new, link).unwrap();
    }

    /// Fills the disk with the revocations, or makes room again.
    pub(crate) fn fill_disk(&self, is_full: bool) {
        let filler = self.folder.0.join("disk/filler");
        if is_full {
            // Fails when the disk is full.
            let _ = fs::write(filler, vec![0; 64 << 20]);
        } else {
            fs::remove_file(filler).unwrap();
        }
    }

    pub(crate) fn new_key(&self) {
        let name = format!("key-{}.pem", self.key_files.lock().unwrap().len());
        self.folder.keygen(&name);
        self.keys.add(&LocalSigner::from_pem(Algorithm::ES256, self.folder.read(&name)).unwrap().published_keys());
        self.key_files.lock().unwrap().push(name);
    }

    /// Writes the configuration: with the newest key, all older keys, and some more text.
    pub(crate) fn configure(&self, has_rule: bool, more: &str) {
        let files = self.key_files.lock().unwrap();
        let (active, older) = files.split_last().unwrap();
        let older: Vec<String> = older.iter().map(|file| format!("{{ file = {file:?} }}")).collect();
        let revocations = if self.has_disk() { "disk/revocations.redb" } else { "revocations.redb" };
        let mut configuration = CONFIGURATION.replace("{active}", active).replace("{older}", &older.join(", "));
        configuration = configuration.replace("{revocations}", revocations);
        for (name, port) in ["{port}", "{admin}", "{upstream}"].into_iter().zip(self.ports) {
            configuration = configuration.replace(name, &port.to_string());
        }
        let rule = if has_rule { RULE } else { "" };
        self.folder.write("ancestry.key", &"k".repeat(32));
        self.folder.write("gateway.toml", &format!("{configuration}{rule}{more}"));
    }

    fn audit_events(&self) -> Vec<Value> {
        let files = fs::read_dir(&self.folder.0).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("audit-"));
        // A line is torn if the gateway was killed while it wrote the line.
        let lines = |path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        files.flat_map(lines).filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    fn issued_events(&self) -> HashSet<String> {
        let events = self.audit_events();
        let issued = events.iter().filter(|event| event["outcome"] == "issued");
        issued.filter_map(|event| event["granted"]["jti"].as_str()).map(str::to_owned).collect()
    }

    /// Checks that every exchange succeeds after the last fault, and that audit and metrics agree.
    pub(crate) async fn check_calm(&self) {
        tokio::time::sleep(self.history.time_to_calm()).await;
        let counters = || {
            let issued = |gateway: &Gateway| gateway.count("token_exchange_attempts_total", &["issued"]);
            (self.with_gateway(issued), self.issued_events().len() as u64)
        };
        let (counted, written) = counters();
        let client = Client::new(self, 200);
        for number in 0..50 {
            let issued = client.exchange("orders", &self.subject_token(&format!("calm-{number}"))).await;
            let last = || self.audit_events().last().map(Value::to_string);
            assert_eq!(issued.map(|answer| answer.status), Ok(200), "a calm exchange: {:?}", last());
        }
        let (counted_later, written_later) = counters();
        assert_eq!((counted_later - counted, written_later - written), (50, 50), "metrics and audit agree");
        let (id, alive) = {
            let mut gateway = self.gateway.lock().unwrap();
            let process = &mut gateway.as_mut().unwrap().process.0;
            (process.id(), process.try_wait().unwrap().is_none())
        };
        assert!(alive, "the gateway ended: {}", self.folder.read("log"));
        if let Ok(open) = fs::read_dir(format!("/proc/{id}/fd")) {
            assert!(open.count() < 100, "files or connections stay open");
        }
    }

    /// Wrong answers, each with the audit events of its request.
    fn with_audit_events(&self, wrong: &[String]) -> String {
        let events = self.audit_events();
        let lines = wrong.iter().take(200).map(|wrong| {
            let of_answer = events.iter().filter(|event| {
                event["request_id"].as_str().is_some_and(|id| wrong.contains(&format!("request_id: {id:?}")))
            });
            let told = of_answer.map(|event| {
                json!([event["time"], event["stage"], event["reason"], event["detail"], event["issued_token"]])
                    .to_string()
            });
            format!("{wrong}; audit: {:?}", told.collect::<Vec<_>>())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Checks everything that must hold for ever.
    pub(crate) fn check_everything(&self, runtime: &tokio::runtime::Runtime) {
        let mut reasons = BTreeMap::<String, usize>::new();
        for event in self.audit_events() {
            *reasons.entry(event["reason"].as_str().unwrap_or("none").to_owned()).or_default() += 1;
        }
        println!("audit events by reason: {reasons:?}");
        let wrong = self.ledger.all_wrong();
        assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), self.with_audit_events(&wrong));

        let events = self.issued_events();
        let issued = self.ledger.all_issued();
        let unseen: Vec<_> = issued.iter().filter(|jti| !events.contains(*jti)).collect();
        assert!(unseen.is_empty(), "{} of {} tokens without an audit event: {unseen:?}", unseen.len(), issued.len());

        let client = Client::new(self, 201);
        let revoked = self.ledger.all_revoked();
        for token in &revoked {
            let answer = runtime.block_on(client.introspect("orders", &token.token)).unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"active":false}"#), "{}", token.jti);
        }
        let log = self.folder.read("log");
        assert!(!log.contains("panicked"), "{log}");
        println!(
            "{} tokens have their audit event, {} revocations hold, {} connections to the server were cut",
            issued.len(),
            revoked.len(),
            self.proxy.cuts()
        );
    }
}
