//! One connection: head, body, response, and then the next head.

use std::io::IoSlice;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use equilibrium_http::{Problem, Request, Response};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::coop;
use tokio::time::{Instant, timeout, timeout_at};

use crate::body::{self, BODY_READ_TIMEOUT, NoBody};
use crate::head::{self, BodyLength, Head, MAX_HEAD_BYTES};
use crate::pool::Pool;
use crate::response::{self, Next};
use crate::stream::Stream;
use crate::{Answer, Handler, Pieces};

/// How long a client may take to send the head of a request, and how long a connection may be idle.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take none of a response.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The bodies of the greatest length that are held at once, over all connections; of shorter ones it is more.
const HELD_BODIES: usize = 32;

/// Maximum size of what clients have not read of their responses, over all connections, in bytes.
const MAX_UNREAD_BYTES: usize = 64 << 20;

/// A body that nothing reads is dropped up to this length; after a longer one the connection is closed.
const MAX_DROPPED_BYTES: u64 = 64 << 10;

/// What all connections share.
#[derive(Debug)]
pub struct Server<H> {
    handler: Arc<H>,
    bodies: Pool,
    unread: Pool,
}

/// What a connection and its shutdown know of each other.
#[derive(Debug, Default)]
struct Phase {
    /// No request is in progress.
    is_idle: AtomicBool,
    /// The next response is the last one.
    is_closing: AtomicBool,
}

/// The client is gone, or too slow.
#[derive(Clone, Copy, Debug)]
struct Lost;

impl<H: Handler> Server<H> {
    pub fn new(handler: Arc<H>) -> Self {
        let bodies = Pool::new(HELD_BODIES * H::MAX_BODY_BYTES);
        Self { handler, bodies, unread: Pool::new(MAX_UNREAD_BYTES) }
    }

    /// Serves until the client closes the connection, or `stop` is true and no request is in progress.
    pub async fn serve_connection(&self, socket: TcpStream, mut stop: watch::Receiver<bool>) {
        let phase = Phase::default();
        let mut served = pin!(self.serve_requests(Stream::new(socket), &phase));
        tokio::select! {
            () = &mut served => return,
            _ = stop.wait_for(|stop| *stop) => phase.is_closing.store(true, Relaxed),
        }
        if !phase.is_idle.load(Relaxed) {
            served.await;
        }
    }

    async fn serve_requests(&self, mut stream: Stream, phase: &Phase) {
        loop {
            phase.is_idle.store(true, Relaxed);
            let head = read_head(&mut stream).await;
            phase.is_idle.store(false, Relaxed);
            // Boxed, so that a connection takes little while it is idle.
            let next = match head {
                Ok(Ok(head)) => Box::pin(self.serve_request(&mut stream, &head, phase)).await,
                Ok(Err(problem)) => {
                    self.write(&stream, &problem.into(), false, Next::Close).await.map(|()| Next::Close)
                }
                Err(lost) => Err(lost),
            };
            match next {
                Ok(Next::Open | Next::Open10) => coop::consume_budget().await,
                Ok(Next::Close | Next::Chunked | Next::Unframed) => return stream.close().await,
                Err(Lost) => return,
            }
        }
    }

    /// Answers one request.
    async fn serve_request(&self, stream: &mut Stream, bytes: &[u8], phase: &Phase) -> Result<Next, Lost> {
        let head = match Head::read(bytes) {
            Ok(head) => head,
            Err(problem) => {
                let is_head = bytes.trim_ascii_start().starts_with(b"HEAD ");
                self.write(stream, &problem.into(), is_head, Next::Close).await?;
                return Ok(Next::Close);
            }
        };
        let Head { method, path, query, ref headers, .. } = head;
        let request = Request { method, path, query, headers, body: b"" };
        let refused = |problem| Answer::Whole(request.respond(Err(problem)));
        let (answer, is_read) = match self.handler.takes_body(&request).await {
            Ok(true) => match self.read_body(stream, &head).await {
                Ok(body) => (self.handler.respond(&Request { body: &body.bytes, ..request }).await, true),
                Err(NoBody::Refused(problem)) => (refused(problem), false),
                Err(NoBody::Lost) => return Err(Lost),
            },
            Ok(false) => (self.handler.respond(&request).await, false),
            Err(problem) => (refused(problem), false),
        };
        let response = match answer {
            Answer::Whole(response) => response,
            Answer::Stream(response, pieces) => {
                // A shutdown does not wait for the end of a stream.
                phase.is_idle.store(true, Relaxed);
                return self.stream(stream, (&response, pieces), head.is_http_10).await;
            }
        };
        let dropped = if is_read { Some(0) } else { droppable(&head) };
        let next = match dropped {
            Some(_) if head.keeps_alive && !phase.is_closing.load(Relaxed) => {
                if head.is_http_10 {
                    Next::Open10
                } else {
                    Next::Open
                }
            }
            _ => Next::Close,
        };
        self.write(stream, &response, method == "HEAD", next).await?;
        if next != Next::Close {
            drop_body(stream, dropped.unwrap_or(0)).await?;
        }
        Ok(next)
    }

    /// Sends content without an end until the client is gone, or takes longer for a piece than [`WRITE_TIMEOUT`].
    async fn stream(
        &self,
        stream: &Stream,
        (response, mut pieces): (&Response, H::Stream),
        is_http_10: bool,
    ) -> Result<Next, Lost> {
        let next = if is_http_10 { Next::Unframed } else { Next::Chunked };
        self.write(stream, response, false, next).await?;
        loop {
            let piece = pieces.next().await;
            let size = format!("{:x}\r\n", piece.len());
            let [size, end] = if is_http_10 { [&b""[..]; 2] } else { [size.as_bytes(), b"\r\n"] };
            // What the log of changes holds as well is not this client's.
            let held = if Arc::strong_count(&piece) > 1 { 0 } else { piece.len() };
            let mut parts = [size, &piece, end].map(IoSlice::new);
            let written = timeout(WRITE_TIMEOUT, self.write_all(stream, &mut parts, held)).await;
            written.map_err(|_| Lost)??;
        }
    }

    async fn read_body(&self, stream: &mut Stream, head: &Head<'_>) -> Result<body::Body<'_>, NoBody> {
        let max = H::MAX_BODY_BYTES;
        if matches!(head.body, BodyLength::Bytes(length) if length > max as u64) {
            return Err(NoBody::Refused(H::body_too_large()));
        }
        if head.expects_continue && head.body != BodyLength::Bytes(0) && stream.arrived.is_empty() {
            let interim = [IoSlice::new(b"HTTP/1.1 100 Continue\r\n\r\n")];
            self.write_all(stream, &mut interim.clone(), 0).await.map_err(|Lost| NoBody::Lost)?;
        }
        body::read(stream, &self.bodies, head.body, (max, H::body_too_large)).await
    }

    async fn write(
        &self,
        stream: &Stream,
        response: &Response,
        is_head: bool,
        next: Next,
    ) -> Result<(), Lost> {
        let head = response::head(response, is_head, next);
        let [start, shared, end] = if is_head { [&b""[..]; 3] } else { response.body.parts() };
        let parts = &mut [&head, start, shared, end].map(IoSlice::new);
        let held = parts.iter().map(|part| part.len()).sum();
        self.write_all(stream, parts, held).await
    }

    /// Writes `parts`. If the client does not take them at once, `held` bytes of the pool are used until it has.
    async fn write_all(
        &self,
        stream: &Stream,
        mut parts: &mut [IoSlice<'_>],
        held: usize,
    ) -> Result<(), Lost> {
        let mut hold = None;
        loop {
            match stream.try_write(parts).map_err(|_| Lost)? {
                Some(written) => IoSlice::advance_slices(&mut parts, written),
                None if hold.is_none() => {
                    let unread = hold.insert(self.unread.hold());
                    unread.grow(held).await.map_err(|_| Lost)?;
                }
                None => {
                    let Some(unread) = &hold else { continue };
                    let writable = unread.wait(WRITE_TIMEOUT, stream.writable()).await;
                    writable.map_err(|_| Lost)?.map_err(|_| Lost)?;
                }
            }
            if parts.is_empty() {
                return Ok(());
            }
        }
    }
}

/// Reads a head, and leaves what follows it in the stream.
async fn read_head(stream: &mut Stream) -> Result<Result<Vec<u8>, Problem>, Lost> {
    let end = Instant::now() + HEADER_READ_TIMEOUT;
    let mut parsed = 0;
    loop {
        let arrived = &stream.arrived;
        // A head that arrives byte by byte is parsed once a line.
        if arrived.len() > parsed
            && (parsed == 0 || arrived[parsed..].contains(&b'\n') || arrived.len() >= MAX_HEAD_BYTES)
        {
            match head::length(arrived) {
                Ok(Some(length)) => {
                    let rest = stream.arrived.split_off(length);
                    return Ok(Ok(std::mem::replace(&mut stream.arrived, rest)));
                }
                Ok(None) => parsed = arrived.len(),
                Err(problem) => return Ok(Err(problem)),
            }
        }
        let room = MAX_HEAD_BYTES.saturating_sub(stream.arrived.len()).max(1);
        match stream.try_fill(room).map_err(|_| Lost)? {
            Some(0) if stream.arrived.is_empty() => return Err(Lost),
            Some(0) => return Ok(Err(head::malformed("the request ended within its head"))),
            Some(_) => {}
            None => match timeout_at(end, stream.readable()).await {
                Ok(ready) => ready.map_err(|_| Lost)?,
                Err(_) if stream.arrived.is_empty() => return Err(Lost),
                Err(_) => {
                    let detail = "the head of the request was not received within 30 s";
                    return Ok(Err(Problem::new(408, "request_timeout", detail)));
                }
            },
        }
    }
}

/// The length of a body that nothing reads, if the connection can be used after it: the client is sending the body, and
/// it is not long.
fn droppable(head: &Head<'_>) -> Option<u64> {
    match head.body {
        BodyLength::Bytes(0) => Some(0),
        BodyLength::Bytes(length) if length <= MAX_DROPPED_BYTES && !head.expects_continue => Some(length),
        BodyLength::Bytes(_) | BodyLength::Chunked => None,
    }
}

async fn drop_body(stream: &mut Stream, length: u64) -> Result<(), Lost> {
    let mut left = usize::try_from(length).map_err(|_| Lost)?;
    while left > 0 {
        let arrived = left.min(stream.arrived.len());
        stream.arrived.drain(..arrived);
        left -= arrived;
        if left > 0 {
            match stream.try_fill(left).map_err(|_| Lost)? {
                Some(0) => return Err(Lost),
                Some(_) => {}
                None => {
                    let ready = timeout(BODY_READ_TIMEOUT, stream.readable()).await;
                    ready.map_err(|_| Lost)?.map_err(|_| Lost)?;
                }
            }
        }
    }
    Ok(())
}
