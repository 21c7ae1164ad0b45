//! The connection to a cache: opened by the first call, kept, and reopened when it is lost.

use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::unavailable::Unavailable;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::{Instant, timeout};

use crate::cache::layout::ScriptCall;

/// Limit of connecting. DNS, TCP, TLS and authentication take a few milliseconds within one region, and ten
/// times as long in a function that is short of CPU.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Calls do not connect again for this long after connecting has failed: a TLS handshake costs milliseconds of
/// CPU, which not every call should pay while the cache is down.
pub const RECONNECT_BACKOFF: Duration = Duration::from_millis(100);

/// Attempts at a call: if the connection was closed while it was idle, the call is sent again over a new one.
const MAX_ATTEMPTS: usize = 2;

/// The server or cluster to connect to.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a process has only one")]
pub enum Route {
    /// A single server.
    Single(Client),
    /// A cluster.
    Cluster(ClusterClient),
}

#[derive(Clone)]
enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    async fn send(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let reply = match self {
            Self::Single(connection) => connection.req_packed_command(cmd).await,
            Self::Cluster(connection) => connection.req_packed_command(cmd).await,
        };
        reply?.extract_error()
    }
}

/// A request to the cache.
#[derive(Clone, Debug)]
enum RedisCall {
    Command(Cmd),
    Script(ScriptCall),
}

impl RedisCall {
    async fn send(&self, connection: &mut Connection) -> RedisResult<Value> {
        match self {
            Self::Command(cmd) => connection.send(cmd).await,
            Self::Script(call) => match connection.send(&call.by_hash).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    connection.send(&call.in_full).await
                }
                reply => reply,
            },
        }
    }
}

/// A connection that is open or being opened.
#[derive(Clone)]
struct ConnectionAttempt {
    number: u64,
    /// The connection, or the time at which connecting failed.
    ready: Shared<BoxFuture<'static, Result<Connection, Instant>>>,
}

#[derive(Default)]
struct State {
    attempt: Option<ConnectionAttempt>,
    /// Number of attempts so far.
    attempts: u64,
    failed_at: Option<Instant>,
}

/// A connection to a cache that reconnects by itself.
pub struct RedisConnection {
    route: Route,
    deadline: Duration,
    state: Mutex<State>,
}

impl RedisConnection {
    /// A connection that the first call opens.
    pub fn new(route: Route, deadline: Duration) -> Self {
        Self { route, deadline, state: Mutex::default() }
    }

    /// The reply to a command, within the deadline.
    pub async fn send(self: &Arc<Self>, cmd: Cmd) -> Result<Value, Unavailable> {
        self.call(RedisCall::Command(cmd)).await
    }

    /// The reply to a script, within the deadline.
    pub async fn run_script(self: &Arc<Self>, call: ScriptCall) -> Result<Value, Unavailable> {
        self.call(RedisCall::Script(call)).await
    }

    /// The call is a task of its own, so that it continues if its caller stops waiting: a missing reply shows
    /// that the connection is dead.
    async fn call(self: &Arc<Self>, call: RedisCall) -> Result<Value, Unavailable> {
        let connection = Arc::clone(self);
        let task = tokio::spawn(async move { connection.attempt_call(&call).await });
        match timeout(self.deadline, task).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) | Err(_) => Err(Unavailable),
        }
    }

    async fn attempt_call(&self, call: &RedisCall) -> Result<Value, Unavailable> {
        for _ in 0..MAX_ATTEMPTS {
            let attempt = self.connect_if_needed().ok_or(Unavailable)?;
            let mut connection = match attempt.ready.await {
                Ok(connection) => connection,
                Err(failed_at) => {
                    self.disconnect(attempt.number, Some(failed_at));
                    continue;
                }
            };
            match timeout(self.deadline, call.send(&mut connection)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) if !is_connection_lost(&error) => return Err(Unavailable),
                Ok(Err(error)) => {
                    self.disconnect(attempt.number, None);
                    if !error.is_connection_dropped() {
                        return Err(Unavailable);
                    }
                }
                Err(_) => {
                    self.disconnect(attempt.number, None);
                    return Err(Unavailable);
                }
            }
        }
        Err(Unavailable)
    }

    /// The current connection, or a new one; `None` if connecting has failed within [`RECONNECT_BACKOFF`].
    fn connect_if_needed(&self) -> Option<ConnectionAttempt> {
        let mut state = self.state.lock();
        if state.attempt.is_some() {
            return state.attempt.clone();
        }
        if state.failed_at.is_some_and(|failed_at| failed_at.elapsed() < RECONNECT_BACKOFF) {
            return None;
        }
        state.attempts += 1;
        // A task of its own, because the first caller may stop waiting before the connection is open.
        let connecting = tokio::spawn(connect(self.route.clone()));
        let ready = async move {
            match connecting.await {
                Ok(Ok(connection)) => Ok(connection),
                Ok(Err(failed_at)) => Err(failed_at),
                // The runtime has ended, or the client panicked.
                Err(_) => Err(Instant::now()),
            }
        };
        state.attempt = Some(ConnectionAttempt { number: state.attempts, ready: ready.boxed().shared() });
        state.attempt.clone()
    }

    /// Drops the connection of this attempt, unless a newer one has replaced it.
    fn disconnect(&self, number: u64, failed_at: Option<Instant>) {
        let mut state = self.state.lock();
        if state.attempt.take_if(|attempt| attempt.number == number).is_some() {
            state.failed_at = failed_at;
        }
    }
}

async fn connect(route: Route) -> Result<Connection, Instant> {
    let opened = timeout(CONNECT_TIMEOUT, async {
        match route {
            Route::Single(client) => {
                // Each call has its own deadline.
                let config = AsyncConnectionConfig::new().set_response_timeout(None);
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Single)
            }
            Route::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    });
    match opened.await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(_)) | Err(_) => Err(Instant::now()),
    }
}

/// Whether the connection must be reopened: it is broken, its replies cannot be parsed, or its server has become
/// a replica and the endpoint's name now resolves to the new primary.
fn is_connection_lost(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown),
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

impl fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.route {
            Route::Single(_) => "single",
            Route::Cluster(_) => "cluster",
        };
        f.debug_struct("RedisConnection")
            .field("route", &kind)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
