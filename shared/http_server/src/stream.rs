//! Bytes from and to a socket, without a copy of what arrives.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// How much is read at once.
const READ_BYTES: usize = 8 << 10;

/// How long the rest of a refused request is read and dropped, so that the refusal arrives before a reset.
const LINGER: Duration = Duration::from_secs(2);

/// A client's socket, and the bytes that have arrived and are not used yet.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    pub arrived: Vec<u8>,
}

impl Stream {
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, arrived: Vec::new() }
    }

    /// Waits until something can be read.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Waits until something can be written.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Reads at most `limit` bytes behind those that have arrived; `None` if there are none now, 0 at the end.
    pub fn try_fill(&mut self, limit: usize) -> io::Result<Option<usize>> {
        // By way of the stack: a client that has sent little takes little memory while it is waited for.
        let mut buffer = [0; READ_BYTES];
        let read = later(self.socket.try_read(&mut buffer[..limit.min(READ_BYTES)]))?;
        self.arrived.extend_from_slice(&buffer[..read.unwrap_or(0)]);
        Ok(read)
    }

    /// Reads at most `limit` bytes into `body`; `None` if there are none now, 0 at the end.
    pub fn try_read_into(&self, body: &mut Vec<u8>, limit: usize) -> io::Result<Option<usize>> {
        let length = body.len();
        body.resize(length + limit, 0);
        let read = later(self.socket.try_read(&mut body[length..]));
        body.truncate(length + read.as_ref().map_or(0, |read| read.unwrap_or(0)));
        read
    }

    /// Writes some bytes of `parts`; `None` if the client takes none now.
    pub fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        later(self.socket.try_write_vectored(parts))
    }

    /// Closes the connection so that the client receives what has been written: a socket that is closed with unread
    /// bytes resets the connection (RFC 9112 §9.6).
    pub async fn close(mut self) {
        let end = Instant::now() + LINGER;
        if poll_fn(|cx| Pin::new(&mut self.socket).poll_shutdown(cx)).await.is_err() {
            return;
        }
        loop {
            self.arrived.clear();
            match self.try_fill(READ_BYTES) {
                Ok(Some(0)) | Err(_) => return,
                Ok(Some(_)) => tokio::task::yield_now().await,
                Ok(None) => {
                    if !timeout_at(end, self.readable()).await.is_ok_and(|ready| ready.is_ok()) {
                        return;
                    }
                }
            }
            if Instant::now() >= end {
                return;
            }
        }
    }
}

fn later(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
