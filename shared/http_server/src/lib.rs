//! The HTTP/1.1 server of the local host (RFC 9112): connections, and the limits that hold before any handler.
//!
//! It reads a head, has the handler refuse the request or take its body, reads the body, and writes the response
//! before it reads the next head. Every error is a problem document (CONTRACT §5), also if the request is not HTTP.
//! What clients can make it hold is bounded over all of them: heads by their length, bodies and unread responses by a
//! [`pool`] that lets go the clients that stall.

mod body;
mod connection;
mod head;
mod listener;
mod pool;
mod response;
mod stream;

use std::future::Future;

use equilibrium_http::{Problem, Request, Response};

pub use self::body::BODY_READ_TIMEOUT;
pub use self::connection::{HEADER_READ_TIMEOUT, WRITE_TIMEOUT};
pub use self::head::{MAX_HEAD_BYTES, MAX_HEADERS};
pub use self::listener::{MAX_CONNECTIONS, bind, max_connections, serve};
pub use self::pool::PATIENCE;

/// Answers the requests of a server.
pub trait Handler: Send + Sync + 'static {
    /// The longest body, in bytes as sent. A longer one is refused with [`Handler::body_too_large`].
    const MAX_BODY_BYTES: usize;

    /// The answer to a body that is too long.
    fn body_too_large() -> Problem;

    /// Whether the request's body is read, decided by its head alone; `request` has no body yet.
    ///
    /// # Errors
    /// The problem that [`Handler::respond`] would answer with whatever the body.
    fn takes_body(&self, request: &Request<'_>) -> Result<bool, Problem>;

    /// Answers a request.
    fn respond(&self, request: &Request<'_>) -> impl Future<Output = Response> + Send;
}
