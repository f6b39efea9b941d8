use super::{config_error::RedisConfigError, node::Access, nodes::Nodes, store::RedisReplayStore, tls::Tls};
use ::redis::{ConnectionAddr, IntoConnectionInfo};
use std::{fmt, time::Duration};
use zeroize::Zeroizing;

/// Builds a [`RedisReplayStore`]. Every option has a default.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RedisReplayStoreBuilder {
    url: Zeroizing<String>,
    password: Option<Zeroizing<String>>,
    prefix: String,
    roots: Option<Vec<u8>>,
    tls_server_name: Option<String>,
    connect_timeout: Duration,
    response_timeout: Duration,
}

impl RedisReplayStore {
    /// Builds a store for the Redis server at a URL: `redis://` or, with TLS, `rediss://`, then user, password, host, port and the
    /// number of the database.
    pub fn builder(url: impl Into<String>) -> RedisReplayStoreBuilder {
        RedisReplayStoreBuilder::new(url.into())
    }
}

impl RedisReplayStoreBuilder {
    fn new(url: String) -> Self {
        Self {
            url: Zeroizing::new(url),
            password: None,
            prefix: "token-exchange:".to_owned(),
            roots: None,
            tls_server_name: None,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(500),
        }
    }

    /// Sets the password, in place of a password in the URL.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(Zeroizing::new(password.into()));
        self
    }

    /// Sets the text before each key. Default: `token-exchange:`.
    ///
    /// All processes of one authorization server need the same prefix. Two authorization servers that share a Redis server need
    /// different prefixes, because their clients can have the same names.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the prefix has braces or spaces.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the authorities that may sign the certificate of the server, as PEM text. Default: the public certificate
    /// authorities of webpki-roots.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the text has no certificate of an authority, or if the URL begins with `redis://`.
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Sets the name in the certificates of all nodes, for a cluster whose nodes are known by their IP addresses. Default: the
    /// host of the URL, and the host that a node names.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the name is not a host name, or if the URL begins with `redis://`.
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls_server_name = Some(name.into());
        self
    }

    /// Sets the longest time for a connection, from the resolution of the name to the login. Default: 1 s.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the time is zero.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the longest time for the answer to a command. Default: 500 ms.
    ///
    /// # Errors
    /// [`build`](Self::build) fails if the time is zero.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Builds the store. The store connects when it is asked for the first time.
    ///
    /// # Errors
    /// [`RedisConfigError`] names the wrong option and what to do.
    pub fn build(self) -> Result<RedisReplayStore, RedisConfigError> {
        if self.connect_timeout.is_zero() || self.response_timeout.is_zero() {
            return Err(RedisConfigError::ZeroTimeout);
        }
        if self.prefix.contains(['{', '}', ' ']) {
            return Err(RedisConfigError::BadPrefix);
        }
        // The client library has no TLS with a provider that is given explicitly. So the library only reads the URL.
        let (has_tls, plain) = match self.url.strip_prefix("rediss://") {
            Some(rest) => (true, Zeroizing::new(format!("redis://{rest}"))),
            None => (false, self.url.clone()),
        };
        let info = plain.as_str().into_connection_info().map_err(|_| RedisConfigError::BadUrl)?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else { return Err(RedisConfigError::BadUrl) };
        let tls = match has_tls {
            true => Some(Tls::new(self.roots.as_deref(), self.tls_server_name)?),
            false if self.roots.is_some() || self.tls_server_name.is_some() => {
                return Err(RedisConfigError::TlsWithoutTls);
            }
            false => None,
        };
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        let access = Access {
            login: match &self.password {
                Some(password) => login.set_password(password.as_str()),
                None => login,
            },
            tls,
            connect_timeout: self.connect_timeout,
            response_timeout: self.response_timeout,
        };
        let nodes = Nodes::new(access, host.clone(), *port);
        Ok(RedisReplayStore::new(nodes, &self.prefix))
    }
}

impl fmt::Debug for RedisReplayStoreBuilder {
    /// Leaves the URL out, which can have a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplayStoreBuilder")
            .field("key_prefix", &self.prefix)
            .field("tls_server_name", &self.tls_server_name)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_told_without_the_password() {
        type Change = fn(RedisReplayStoreBuilder) -> RedisReplayStoreBuilder;
        let cases: [(&str, Change, RedisConfigError); 8] = [
            ("http://user:p4ssword@redis.example", |builder| builder, RedisConfigError::BadUrl),
            ("redis://user:p4ssword@", |builder| builder, RedisConfigError::BadUrl),
            ("unix:///run/redis?pass=p4ssword", |builder| builder, RedisConfigError::BadUrl),
            ("redis://redis.example", |builder| builder.key_prefix("{a}"), RedisConfigError::BadPrefix),
            ("redis://redis.example", |builder| builder.tls_server_name("a"), RedisConfigError::TlsWithoutTls),
            ("rediss://redis.example", |builder| builder.tls_server_name("a b"), RedisConfigError::BadServerName),
            (
                "rediss://redis.example",
                |builder| builder.root_certificates_pem("ca.pem"),
                RedisConfigError::NoRootCertificate,
            ),
            (
                "redis://redis.example",
                |builder| builder.response_timeout(Duration::ZERO),
                RedisConfigError::ZeroTimeout,
            ),
        ];
        for (url, change, expected) in cases {
            let builder = change(RedisReplayStore::builder(url));
            assert!(!format!("{builder:?}").contains("p4ssword"));
            assert_eq!(builder.build().unwrap_err(), expected, "{url}");
        }
    }
}
