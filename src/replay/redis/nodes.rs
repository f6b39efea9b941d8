use super::node::{Access, Node};
use crate::locks::lock;
use ::redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use std::sync::{Arc, Mutex};

/// The most nodes of a cluster that are asked about one key.
const MAX_REDIRECTS: usize = 4;

/// The number of parts of the keys. The keys of one part have one node.
pub(super) const PARTS: usize = 256;

/// The most nodes that are known at a time.
const MAX_NODES: usize = 128;

/// The nodes of a cluster, or one server.
#[derive(Debug)]
pub(super) struct Nodes {
    access: Access,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// The node of the URL, and then the nodes that others named.
    nodes: Vec<Arc<Node>>,
    /// The node that is asked about a part whose node is not known.
    first: usize,
    /// The node of each part, as far as the nodes named it.
    parts: Vec<Option<Arc<Node>>>,
}

impl Nodes {
    pub(super) fn new(access: Access, host: String, port: u16) -> Self {
        let nodes = vec![Arc::new(Node::new(host, port))];
        Self { access, known: Mutex::new(Known { nodes, first: 0, parts: vec![None; PARTS] }) }
    }

    /// Sends a command about a key to the node that has the part of the key.
    pub(super) async fn send(&self, part: usize, command: &Cmd) -> RedisResult<Value> {
        let mut node = lock(&self.known).node_of(part);
        let mut asking = false;
        for _ in 0..MAX_REDIRECTS {
            let error = match node.send(&self.access, command, asking).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some((address, _slot)) = error.redirect_node() else {
                lock(&self.known).forget(part, &node);
                return Err(error);
            };
            asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            let Some((host, port)) = parse(address, &node.host) else { return Err(error) };
            let mut known = lock(&self.known);
            node = known.named(host, port);
            if !asking {
                known.parts[part] = Some(Arc::clone(&node));
            }
        }
        let problem = "the nodes of the cluster redirect in a circle";
        Err((ErrorKind::Client, problem).into())
    }

    /// Sends a command that is not about a key to one node.
    pub(super) async fn send_to_one(&self, command: &Cmd) -> RedisResult<Value> {
        let node = lock(&self.known).first();
        node.send(&self.access, command, false).await
    }
}

impl Known {
    fn first(&self) -> Arc<Node> {
        Arc::clone(&self.nodes[self.first])
    }

    fn node_of(&self, part: usize) -> Arc<Node> {
        self.parts[part].clone().unwrap_or_else(|| self.first())
    }

    /// The node with an address that another node named.
    fn named(&mut self, host: String, port: u16) -> Arc<Node> {
        let known = self.nodes.iter().find(|node| node.host == host && node.port == port);
        if let Some(node) = known {
            return Arc::clone(node);
        }
        let node = Arc::new(Node::new(host, port));
        if self.nodes.len() < MAX_NODES {
            self.nodes.push(Arc::clone(&node));
        }
        node
    }

    /// Asks another node the next time. Only nodes of the same cluster are known, and each of them knows the node of a key.
    fn forget(&mut self, part: usize, failed: &Arc<Node>) {
        self.parts[part] = None;
        if Arc::ptr_eq(&self.nodes[self.first], failed) {
            self.first = (self.first + 1) % self.nodes.len();
        }
    }
}

/// Reads `host:port`. An empty host is the host of the node that names the address.
fn parse(address: &str, this: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { this } else { host };
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nodes_are_read() {
        for (address, expected) in [
            ("10.0.0.1:6379", Some(("10.0.0.1", 6379))),
            ("2001:db8::1:6380", Some(("2001:db8::1", 6380))),
            ("[2001:db8::1]:6380", Some(("2001:db8::1", 6380))),
            (":6381", Some(("this", 6381))),
            ("node", None),
            ("node:x", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(parse(address, "this"), expected, "{address}");
        }
    }
}
