/// A mistake in the options of a [`RedisReplayStoreBuilder`](crate::replay::RedisReplayStoreBuilder).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConfigError {
    /// The URL is not the URL of a Redis server. The error does not repeat the URL, which can have a password.
    #[error("not the URL of a Redis server; give one such as `rediss://user:password@redis.example:6379/0`")]
    BadUrl,
    /// An option for TLS was given, but the URL begins with `redis://`.
    #[error("the URL begins with `redis://`, so there is no TLS; give `rediss://`, or remove the options for TLS")]
    TlsWithoutTls,
    /// The PEM text has no certificate of an authority.
    #[error("no certificate of an authority; give the text of a file with certificates in PEM")]
    NoRootCertificate,
    /// The name for the certificates is neither a host name nor an IP address.
    #[error("the name for the certificates is not a host name; give a name from the certificates of the servers")]
    BadServerName,
    /// The key prefix has braces, which have a meaning in Redis Cluster.
    #[error("the key prefix has a brace or a space; use other characters")]
    BadPrefix,
    /// A timeout is zero.
    #[error("a timeout is zero; give a longer one")]
    ZeroTimeout,
}
