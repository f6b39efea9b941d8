use super::tls::Tls;
use ::redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Mutex,
    time::{Instant, timeout},
};

/// How long a node that could not be reached is not tried again.
const BACK_OFF: Duration = Duration::from_millis(200);

/// What all connections of a store have in common.
#[derive(Debug)]
pub(super) struct Access {
    /// The user, the password and the number of the database.
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: Option<Tls>,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
}

/// One Redis server, and the connection to the server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// The number of connections that were made, which tells an old connection from the current one.
    number: u64,
    failed: Option<(Instant, RedisError)>,
}

impl Node {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self { host, port, state: Mutex::default() }
    }

    /// Sends one command. `asking` tells the node that the key is on its way to the node (Redis Cluster, `ASK`).
    pub(super) async fn send(&self, access: &Access, command: &Cmd, asking: bool) -> RedisResult<Value> {
        let (mut connection, number) = self.connection(access).await?;
        let result = if asking {
            let mut commands = Pipeline::new();
            commands.cmd("ASKING").ignore().add_command(command.clone());
            commands.query_async(&mut connection).await.map(|(answer,): (Value,)| answer)
        } else {
            command.query_async(&mut connection).await
        };
        if let Err(error) = &result
            && needs_reconnect(error)
        {
            let mut state = self.state.lock().await;
            if state.number == number {
                state.connection = None;
            }
        }
        result
    }

    /// The connection. One request connects, and the others wait for that connection.
    async fn connection(&self, access: &Access) -> RedisResult<(MultiplexedConnection, u64)> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.number));
        }
        if let Some((_, error)) = state.failed.as_ref().filter(|(since, _)| since.elapsed() < BACK_OFF) {
            return Err(error.clone());
        }
        let connected = match timeout(access.connect_timeout, self.connect(access)).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within the time").into()),
        };
        match connected {
            Ok(connection) => {
                state.number += 1;
                state.failed = None;
                state.connection = Some(connection.clone());
                Ok((connection, state.number))
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self, access: &Access) -> RedisResult<MultiplexedConnection> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &access.tls {
            Some(tls) => log_in(access, tls.connect(&self.host, stream).await?).await,
            None => log_in(access, stream).await,
        }
    }
}

async fn log_in(
    access: &Access,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(access.response_timeout));
    let (connection, driver) = MultiplexedConnection::new_with_config(&access.login, stream, config).await?;
    // The task ends when the last clone of the connection is dropped.
    tokio::spawn(driver);
    Ok(connection)
}

/// Whether another connection can help: the server is gone, does not answer, or is a replica that was promoted or demoted.
fn needs_reconnect(error: &RedisError) -> bool {
    use ::redis::{ErrorKind, ServerErrorKind};
    error.is_unrecoverable_error()
        || error.is_timeout()
        || error.is_io_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
