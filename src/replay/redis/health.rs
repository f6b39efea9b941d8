use super::store::RedisReplayStore;
use ::redis::{FromRedisValue, InfoDict, cmd};
use std::fmt;
use tower::BoxError;

/// A setting of Redis by which Redis can lose keys that have not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisRisk {
    /// Redis removes keys if the memory is full.
    #[non_exhaustive]
    Eviction {
        /// The setting `maxmemory-policy`.
        policy: String,
    },
    /// Redis does not write each key to the disk before Redis answers.
    #[non_exhaustive]
    Restart {
        /// The setting `appendonly` with its value.
        setting: String,
    },
}

impl fmt::Display for RedisRisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eviction { policy } => write!(
                f,
                "Redis can remove keys that have not expired, because `maxmemory-policy` is `{policy}`; set `noeviction`"
            ),
            Self::Restart { setting } => write!(
                f,
                "Redis can lose keys when it restarts, because of `{setting}`; set `appendonly yes` and `appendfsync always`"
            ),
        }
    }
}

impl RedisReplayStore {
    /// Connects to Redis, and asks for settings by which Redis can lose keys.
    ///
    /// The list is empty if Redis does not tell its settings (`INFO`). The sync policy `appendfsync` is not among the settings
    /// that Redis tells.
    ///
    /// # Errors
    /// Redis cannot be reached.
    pub async fn risks(&self) -> Result<Vec<RedisRisk>, BoxError> {
        self.nodes().send_to_one(&cmd("PING")).await?;
        let Ok(answer) = self.nodes().send_to_one(&cmd("INFO")).await else { return Ok(Vec::new()) };
        let info = InfoDict::from_redis_value(answer)?;
        let text = |name| info.get::<String>(name);
        let mut risks = Vec::new();
        let is_limited = text("maxmemory").is_some_and(|bytes| bytes != "0");
        if let Some(policy) = text("maxmemory_policy").filter(|policy| is_limited && policy != "noeviction") {
            risks.push(RedisRisk::Eviction { policy });
        }
        if text("aof_enabled").is_some_and(|enabled| enabled == "0") {
            risks.push(RedisRisk::Restart { setting: "appendonly no".to_owned() });
        }
        Ok(risks)
    }
}
