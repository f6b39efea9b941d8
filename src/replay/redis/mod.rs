mod builder;
mod config_error;
mod health;
mod node;
mod nodes;
mod store;
mod tls;

pub use builder::RedisReplayStoreBuilder;
pub use config_error::RedisConfigError;
pub use health::RedisRisk;
pub use store::RedisReplayStore;
