//! Accepts connections, as many as files can be open.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::Handler;
use crate::connection::Server;

/// Maximum number of connections; further ones wait until one closes. An idle one takes less than 20 KB, and one that
/// has sent a head without its end at most as much again.
pub const MAX_CONNECTIONS: usize = 16_384;

/// File descriptors that are not available for connections, where there are enough.
const RESERVED_FILES: u64 = 256;

/// With fewer file descriptors nothing can be served: the process itself needs about half of them.
const MIN_FILES: u64 = 64;

/// What the system keeps of a response that the client does not read; connections take it over from the listener.
const SEND_BUFFER_BYTES: u32 = 256 << 10;

/// Pause after a connection could not be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How long a shutdown waits for requests in progress.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Binds `port` of the loopback address; nothing is accepted before the socket listens.
///
/// # Errors
/// Those of the system, such as a port in use.
pub fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

/// The number of connections that can be held. The limit of open files is raised as far as the system allows.
///
/// # Errors
/// If so few files can be open that nothing can be served; says how many it takes.
pub fn max_connections() -> io::Result<usize> {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    connections_of(files).ok_or_else(|| {
        io::Error::other(format!(
            "at most {files} files can be open, fewer than {MIN_FILES}: raise `ulimit -n`"
        ))
    })
}

/// Connections of a process that can open this many files: all but 256 of them, and at least half.
fn connections_of(files: u64) -> Option<usize> {
    let connections = files - RESERVED_FILES.min(files / 2);
    (files >= MIN_FILES).then(|| usize::try_from(connections).unwrap_or(MAX_CONNECTIONS).min(MAX_CONNECTIONS))
}

/// Serves up to `max` connections until `stop` is true, then waits up to a second for requests in progress.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    max: usize,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(max));
    let server = Arc::new(Server::new(handler));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((socket, slot)) => {
                let (server, stop) = (Arc::clone(&server), stop.clone());
                tokio::spawn(async move {
                    server.serve_connection(socket, stop).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
        }
    }
    drop(listener);
    let all = u32::try_from(max).unwrap_or(u32::MAX);
    drop(tokio::time::timeout(SHUTDOWN_GRACE, slots.acquire_many(all)).await);
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    Ok((socket, slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_are_few_connections_and_too_few_are_refused() {
        for (files, connections) in [
            (0, None),
            (63, None),
            (64, Some(32)),
            (256, Some(128)),
            (1_024, Some(768)),
            (u64::MAX, Some(MAX_CONNECTIONS)),
        ] {
            assert_eq!(connections_of(files), connections, "{files}");
        }
    }
}
