//! The HTTP/1.1 server of the local host (RFC 9112): connections, and the limits that hold before any handler.
//!
//! It reads a head, has the handler refuse the request or take its body, reads the body, and writes the response
//! before it reads the next head. Every error is a problem document (CONTRACT §5), also if the request is not HTTP.
//! What clients can make it hold is bounded over all of them: heads by their length, bodies and unread responses by a
//! [`pool`] that lets go the clients that stall.

mod body;
mod connection;
pub mod head;
mod listener;
mod pool;
mod response;
mod stream;

use std::future::Future;
use std::sync::Arc;

use equilibrium_http::{Problem, Request, Response};

pub use self::body::BODY_READ_TIMEOUT;
pub use self::connection::{HEADER_READ_TIMEOUT, WRITE_TIMEOUT};
pub use self::head::{MAX_HEAD_BYTES, MAX_HEADERS};
pub use self::listener::{MAX_CONNECTIONS, bind, max_connections, serve};
pub use self::pool::PATIENCE;

/// The answer to a request.
#[derive(Debug)]
pub enum Answer<S> {
    /// A response with all of its content.
    Whole(Response),
    /// The head of a response, and its content, which has no end.
    Stream(Response, S),
}

/// Content without an end, sent piece by piece as long as the client takes it.
pub trait Pieces: Send {
    /// Waits for the next piece, which is not empty. One that others hold as well takes no room of this client's.
    fn next(&mut self) -> impl Future<Output = Arc<[u8]>> + Send;
}

/// Answers the requests of a server.
pub trait Handler: Send + Sync + 'static {
    /// The content without an end that it answers some requests with.
    type Stream: Pieces;

    /// The longest body, in bytes as sent. A longer one is refused with [`Handler::body_too_large`].
    const MAX_BODY_BYTES: usize;

    /// The answer to a body that is too long.
    fn body_too_large() -> Problem;

    /// Whether the request's body is read, decided by its head alone; `request` has no body yet. It is called once for every
    /// request, before [`Handler::respond`].
    ///
    /// # Errors
    /// The problem that [`Handler::respond`] would answer with whatever the body.
    fn takes_body(&self, request: &Request<'_>) -> impl Future<Output = Result<bool, Problem>> + Send;

    /// Answers a request; `HEAD` is never answered with a stream.
    fn respond(&self, request: &Request<'_>) -> impl Future<Output = Answer<Self::Stream>> + Send;
}
