//! A gateway in front of the example server. The configuration has only keys that older gateways know too.

use crate::programs::Running;
use std::{error::Error, fs, net::SocketAddr, path::Path, process::Command};

pub(crate) struct Gateway<'a> {
    pub(crate) program: &'a Path,
    /// The folder of the configuration, the key and the audit file.
    pub(crate) folder: &'a Path,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) upstream: SocketAddr,
}

impl Gateway<'_> {
    pub(crate) fn start(&self) -> Result<Running, Box<dyn Error>> {
        // As the package of the gateway does: the audit file is not in the watched folder of the configuration.
        fs::create_dir_all(self.folder.join("log"))?;
        fs::write(self.folder.join("gateway.toml"), self.configuration())?;
        let made = Command::new(self.program).args(["keygen", "active.pem"]).current_dir(self.folder).output()?;
        if !made.status.success() {
            return Err(format!("{}: keygen: {}", self.program.display(), made.status).into());
        }
        let mut serve = Command::new(self.program);
        Ok(Running::start(serve.args(["serve", "--config", "gateway.toml"]).current_dir(self.folder))?)
    }

    fn configuration(&self) -> String {
        let Self { address, admin, upstream, .. } = self;
        format!(
            r#"
[listen]
address = "{address}"
admin = "{admin}"

[upstream]
url = "http://{upstream}"
issuer = "http://{address}"
authenticate_clients_by = "client_credentials"
remember_clients = "5m"

[paths]
token = "/token"
jwks = "/jwks"
introspection = "/introspect"
revocation = "/revoke"

[keys]
active = {{ file = "active.pem" }}

[audit]
file = "log/audit.jsonl"

[log]
level = "warn"

[[client]]
id = "orders"

[[target]]
id = "orders"
aud = "https://orders.example"
owner = "orders"
scopes = ["read"]

[[target]]
id = "billing"
aud = "https://billing.example"
callers = ["orders"]
scopes = ["read"]

[[rule]]
clients = "orders"
subjects = {{ issuer = "http://{address}" }}
targets = "billing"
scopes = ["read"]
"#
        )
    }
}
