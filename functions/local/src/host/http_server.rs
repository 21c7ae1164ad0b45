//! HTTP before the handlers: connections, requests, and what no handler gets to see.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use equilibrium_http::{Problem, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard, Semaphore, watch};

use super::router::LocalApi;

/// Most connections at a time; who comes later waits until one closes. Each takes some 20 KB.
pub const MAX_CONNECTIONS: usize = 16_384;

/// Open files that are none of a connection's.
const OTHER_FILES: u64 = 256;

/// How long a client may take for a request's head, and how long a connection may rest between two.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take for a request's body, once it was begun.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of a body as sent. The handler's own limit holds for what it inflates to; what cannot be
/// compressed grows by a few bytes, for which there is room.
const SENT_BYTES: usize = equilibrium_ingest::MAX_BODY_BYTES + 4_096;

/// Most bytes of bodies that are held at a time, over all connections.
const HELD_BYTES: usize = 32 * SENT_BYTES;

/// Room that a body has from the start; what is announced need not come.
const BEGUN_BYTES: usize = 64 << 10;

/// How long accepting rests when the system cannot give another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How long requests under way may take once the process is asked to stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Serves until `stop` says so, then lets requests under way come to their end.
pub async fn serve(listener: TcpListener, host: Arc<LocalApi>, mut stop: watch::Receiver<bool>) {
    let most = usize::try_from(rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024) - OTHER_FILES);
    let most = most.unwrap_or(MAX_CONNECTIONS).clamp(1, MAX_CONNECTIONS);
    let slots = Arc::new(Semaphore::new(most));
    let desk =
        Arc::new(ConnectionHandler { host, bodies: Semaphore::new(HELD_BYTES), beyond: Mutex::default() });
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, slot)) => {
                let (desk, stop) = (Arc::clone(&desk), stop.clone());
                tokio::spawn(async move {
                    // A connection that breaks is its client's concern.
                    drop(connection(stream, &desk, stop).await);
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_BACKOFF).await,
        }
    }
    drop(listener);
    let all = u32::try_from(most).unwrap_or(u32::MAX);
    drop(tokio::time::timeout(SHUTDOWN_GRACE, slots.acquire_many(all)).await);
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, Slot)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn connection(
    stream: TcpStream,
    desk: &ConnectionHandler,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let service = service_fn(|request| async { Ok::<_, Infallible>(desk.serve(request).await) });
    let mut builder = http1::Builder::new();
    // `pipeline_flush` stays off: with it the last answer is never written to a client that has sent more
    // than is read.
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = &mut connection => return ended,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Where requests are read and handed on.
#[derive(Debug)]
struct ConnectionHandler {
    host: Arc<LocalApi>,
    /// A permit for each byte of a body that is held: of those that have come, not of those announced, or a
    /// few clients that send none would keep all others waiting.
    bodies: Semaphore,
    /// Whose body goes on when no byte is left. One always can, so that bodies that wait for each other
    /// come to their end.
    beyond: Mutex<()>,
}

/// A body, and its share of what is held until it is dropped.
struct BufferedBody<'a> {
    desk: &'a ConnectionHandler,
    bytes: Vec<u8>,
    permits: usize,
    beyond: Option<MutexGuard<'a, ()>>,
}

impl BufferedBody<'_> {
    async fn append(&mut self, more: &[u8]) {
        if self.beyond.is_none() {
            match self.desk.bodies.try_acquire_many(u32::try_from(more.len()).unwrap_or(u32::MAX)) {
                Ok(permits) => {
                    permits.forget();
                    self.permits += more.len();
                }
                Err(_) => self.beyond = Some(self.desk.beyond.lock().await),
            }
        }
        self.bytes.extend_from_slice(more);
    }
}

impl Drop for BufferedBody<'_> {
    fn drop(&mut self) {
        self.desk.bodies.add_permits(self.permits);
    }
}

impl ConnectionHandler {
    async fn serve(&self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let headers = headers(&head.headers);
        let has_body = head.method == hyper::Method::POST || head.method == hyper::Method::PUT;
        let asked = Request {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &headers,
            body: b"",
        };
        if !has_body {
            return written(self.host.respond(&asked).await, false);
        }
        match tokio::time::timeout(BODY_READ_TIMEOUT, self.read(body)).await {
            Ok(Ok(held)) => written(self.host.respond(&Request { body: &held.bytes, ..asked }).await, false),
            Ok(Err(problem)) => written(problem.into(), true),
            Err(_) => written(incomplete("the body did not come within 10 s").into(), true),
        }
    }

    async fn read(&self, body: Incoming) -> Result<BufferedBody<'_>, Problem> {
        let announced = body.size_hint().lower();
        if announced > SENT_BYTES as u64 {
            return Err(too_large());
        }
        let bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or_default().min(BEGUN_BYTES));
        let mut held = BufferedBody { desk: self, bytes, permits: 0, beyond: None };
        let mut body = Limited::new(body, SENT_BYTES);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    if let Some(more) = frame.data_ref() {
                        held.append(more).await;
                    }
                }
                Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
                Err(_) => return Err(incomplete("the body ended early or was not sent as it should be")),
            }
        }
        Ok(held)
    }
}

fn too_large() -> Problem {
    let most = equilibrium_ingest::MAX_BODY_BYTES;
    Problem::new(413, "body_too_large", format!("the body is larger than {most} bytes, inflated"))
}

fn incomplete(detail: &'static str) -> Problem {
    Problem::new(400, "incomplete_body", detail)
}

/// The headers that are text, by name; a header given several times has its values joined.
fn headers(map: &HeaderMap) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let mut headers: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(map.keys_len());
    for (name, value) in map {
        let Ok(value) = value.to_str() else { continue };
        match headers.last_mut().filter(|(last, _)| last == name.as_str()) {
            Some((_, values)) => {
                let values = values.to_mut();
                values.push_str(", ");
                values.push_str(value);
            }
            None => headers.push((name.as_str().into(), value.into())),
        }
    }
    headers
}

/// The answer on the wire; `last` on its connection, where what the client still sends is not read.
fn written(answer: Response, last: bool) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() =
        hyper::StatusCode::from_u16(answer.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        let value = match value {
            Cow::Borrowed(value) => HeaderValue::from_static(value),
            Cow::Owned(value) => match HeaderValue::from_maybe_shared(Bytes::from(value)) {
                Ok(value) => value,
                Err(_) => continue,
            },
        };
        headers.append(HeaderName::from_static(name), value);
    }
    if last {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
