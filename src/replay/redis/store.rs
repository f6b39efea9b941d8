use super::nodes::Nodes;
use crate::replay::{UseOnce, Used};
use ::redis::{Value, cmd};
use futures_util::future::BoxFuture;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{BoxError, Service};

/// A [`ReplayStore`](crate::replay::ReplayStore) in Redis 6 or later, or in a server with the same protocol such as Valkey, for several
/// processes.
///
/// The store sends one command for each key: `SET key 1 NX PX …`. Redis does all of it in one step, so exactly one of several
/// processes is the first. The keys have a [prefix](crate::replay::RedisReplayStoreBuilder::key_prefix) and a SHA-256 hash, and no token.
///
/// The store connects when it is asked for the first time, keeps one connection for each node, and connects again after a
/// failure. If Redis is away or slow, the store returns an error, and the layer answers 503. A command whose answer is lost may
/// have been done: the key then counts as used.
///
/// # What Redis must not lose
///
/// A key that Redis loses before it expires can be used a second time:
///
/// - **Eviction.** With `maxmemory`, the policy has to be `noeviction`. Every other policy may remove keys that have not expired.
/// - **Restart.** Redis has to write each key to the disk before Redis answers: `appendonly yes` and `appendfsync always`.
/// - **Failover.** Redis copies keys to its replicas after Redis has answered. If a node fails in between and a replica takes its
///   place, the last keys are lost. `min-replicas-to-write` makes the time shorter, and does not make it zero.
///
/// [`risks`](Self::risks) asks Redis about the first two.
///
/// # Cluster
///
/// The URL names any node of a Redis Cluster. The store follows the redirections of the nodes, and remembers them. The user of
/// the store needs the commands `SET` and `PING`; `INFO` is for [`risks`](Self::risks).
///
/// ```
/// use std::time::Duration;
/// use tower_token_exchange::replay::RedisReplayStore;
///
/// let store = RedisReplayStore::builder("rediss://replay:the-password@redis.example:6379")
///     .key_prefix("as-example:")
///     .response_timeout(Duration::from_millis(200))
///     .build()?;
/// # let _ = store;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct RedisReplayStore {
    nodes: Arc<Nodes>,
    prefix: Arc<str>,
}

impl RedisReplayStore {
    pub(super) fn new(nodes: Nodes, prefix: &str) -> Self {
        Self { nodes: Arc::new(nodes), prefix: prefix.into() }
    }

    pub(super) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    async fn use_once(&self, question: &UseOnce) -> Result<Used, BoxError> {
        let part = usize::from(question.key.hash()[0]);
        // Redis puts all keys with the same text in braces into one slot, so that each part of the keys has one node.
        let key = format!("{}{{{part:02x}}}:{}", self.prefix, question.key);
        let lifetime = question.remember_until.saturating_since(question.now).as_secs().max(1);
        let mut set = cmd("SET");
        set.arg(key).arg(1).arg("NX").arg("PX").arg(lifetime.saturating_mul(1000));
        match self.nodes.send(part, &set).await? {
            Value::Okay => Ok(Used::First),
            Value::Nil => Ok(Used::Again),
            _ => Err("Redis gave another answer than `OK` and nil to `SET`".into()),
        }
    }
}

impl Service<UseOnce> for RedisReplayStore {
    type Response = Used;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Used, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: UseOnce) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.use_once(&question).await })
    }
}

impl fmt::Debug for RedisReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplayStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
