//! The connection to a cache: made when it is needed, kept, and made anew when it is lost.

use parking_lot::{Mutex, MutexGuard};
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

/// Connecting is given up after this: names, TCP, TLS and the password take a few milliseconds within one
/// region, and a function short of CPU ten times as long.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// After connecting failed it is not tried again for this long: a TLS handshake costs milliseconds of CPU,
/// which those who ask while the cache is down should not pay each.
pub const RECONNECT_BACKOFF: Duration = Duration::from_millis(100);

/// A call that meets a connection closed while it lay idle is put once more, over a new one.
const MAX_ATTEMPTS: usize = 2;

/// Where a connection leads.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Route {
    /// To one server.
    Single(Client),
    /// To a cluster's.
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

/// What is asked.
#[derive(Clone, Debug)]
enum RedisCall {
    Command(Cmd),
    Script(ScriptCall),
}

impl RedisCall {
    async fn put(&self, connection: &mut Connection) -> RedisResult<Value> {
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

/// A connection, or one in the making.
#[derive(Clone)]
struct ConnectionAttempt {
    number: u64,
    /// When it failed, where there is none.
    ready: Shared<BoxFuture<'static, Result<Connection, Instant>>>,
}

#[derive(Default)]
struct State {
    line: Option<ConnectionAttempt>,
    /// Lines there have been.
    lines: u64,
    failed: Option<Instant>,
}

/// The way to a cache.
pub struct RedisConnection {
    route: Route,
    deadline: Duration,
    state: Mutex<State>,
}

impl RedisConnection {
    /// A way that nobody has gone yet.
    pub fn new(route: Route, deadline: Duration) -> Self {
        Self { route, deadline, state: Mutex::default() }
    }

    /// The reply to a command, within the deadline.
    pub async fn ask(self: &Arc<Self>, cmd: Cmd) -> Result<Value, Unavailable> {
        self.wait_for(RedisCall::Command(cmd)).await
    }

    /// The reply to a script, within the deadline.
    pub async fn run(self: &Arc<Self>, call: ScriptCall) -> Result<Value, Unavailable> {
        self.wait_for(RedisCall::Script(call)).await
    }

    /// The question goes its way even if nobody waits for the reply any more: one that stays out tells
    /// that the line is dead.
    async fn wait_for(self: &Arc<Self>, question: RedisCall) -> Result<Value, Unavailable> {
        let link = Arc::clone(self);
        let asked = tokio::spawn(async move { link.put(&question).await });
        match timeout(self.deadline, asked).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) | Err(_) => Err(Unavailable),
        }
    }

    async fn put(&self, question: &RedisCall) -> Result<Value, Unavailable> {
        for _ in 0..MAX_ATTEMPTS {
            let line = self.line().ok_or(Unavailable)?;
            let mut connection = match line.ready.await {
                Ok(connection) => connection,
                Err(failed) => {
                    self.hang_up(line.number, Some(failed));
                    continue;
                }
            };
            match timeout(self.deadline, question.put(&mut connection)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) if !is_lost(&error) => return Err(Unavailable),
                Ok(Err(error)) => {
                    self.hang_up(line.number, None);
                    if !error.is_connection_dropped() {
                        return Err(Unavailable);
                    }
                }
                Err(_) => {
                    self.hang_up(line.number, None);
                    return Err(Unavailable);
                }
            }
        }
        Err(Unavailable)
    }

    /// The line there is, or a new one; `None` where making one has just failed.
    fn line(&self) -> Option<ConnectionAttempt> {
        let mut state = self.state();
        if state.line.is_some() {
            return state.line.clone();
        }
        if state.failed.is_some_and(|failed| failed.elapsed() < RECONNECT_BACKOFF) {
            return None;
        }
        state.lines += 1;
        // A task of its own: whoever asked first may not wait until it is made.
        let connecting = tokio::spawn(connect(self.route.clone()));
        let ready = async move {
            match connecting.await {
                Ok(Ok(connection)) => Ok(connection),
                Ok(Err(failed)) => Err(failed),
                // The runtime has ended, or the client panicked.
                Err(_) => Err(Instant::now()),
            }
        };
        state.line = Some(ConnectionAttempt { number: state.lines, ready: ready.boxed().shared() });
        state.line.clone()
    }

    /// Lets a line go, unless another has taken its place.
    fn hang_up(&self, number: u64, failed: Option<Instant>) {
        let mut state = self.state();
        if state.line.take_if(|line| line.number == number).is_some() {
            state.failed = failed;
        }
    }

    /// A panic of another does not spoil it, for nothing is left half done under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

async fn connect(route: Route) -> Result<Connection, Instant> {
    let made = timeout(CONNECT_TIMEOUT, async {
        match route {
            Route::Single(client) => {
                // Each call has a deadline of its own.
                let config = AsyncConnectionConfig::new().set_response_timeout(None);
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Single)
            }
            Route::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    });
    match made.await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(_)) | Err(_) => Err(Instant::now()),
    }
}

/// Whether the line is of no more use: it is broken, nobody understands what comes over it, or it leads to
/// a server that has become a replica, so that the endpoint's name has come to stand for another.
fn is_lost(error: &RedisError) -> bool {
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
        f.debug_struct("Link").field("route", &kind).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
