//! The HTTP/1.1 server: connections, request bodies, and the limits that hold before any handler.

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
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore, watch};

use crate::host::router::LocalApi;

/// Maximum number of connections; further ones wait until one closes. Each takes about 20 KB.
pub const MAX_CONNECTIONS: usize = 16_384;

/// File descriptors that are not available for connections.
const RESERVED_FILES: u64 = 256;

/// How long a client may take to send the head of a request, and how long a connection may be idle.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to send the body of a request.
pub const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of a body as sent. The handler limits the size after decompression; compressing incompressible
/// content adds a few bytes, for which there is a margin.
const MAX_SENT_BYTES: usize = equilibrium_ingest::MAX_BODY_BYTES + 4_096;

/// Maximum size of all buffered bodies, over all connections.
const MAX_BUFFERED_BYTES: usize = 32 * MAX_SENT_BYTES;

/// Largest initial capacity of a buffered body; a client may never send what `content-length` announces.
const MAX_INITIAL_CAPACITY: usize = 64 << 10;

/// Pause after a connection could not be accepted.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How long a shutdown waits for requests in progress.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// Serves until `stop` is true, then waits up to `SHUTDOWN_GRACE` for requests in progress.
pub async fn serve(listener: TcpListener, api: Arc<LocalApi>, mut stop: watch::Receiver<bool>) {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    let max = usize::try_from(files - RESERVED_FILES).unwrap_or(MAX_CONNECTIONS).clamp(1, MAX_CONNECTIONS);
    let slots = Arc::new(Semaphore::new(max));
    let buffered = Semaphore::new(MAX_BUFFERED_BYTES);
    let handler = Arc::new(ConnectionHandler { api, buffered, overflow: Mutex::default() });
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, slot)) => {
                let (handler, stop) = (Arc::clone(&handler), stop.clone());
                tokio::spawn(async move {
                    // A connection error affects its client only.
                    drop(serve_connection(stream, &handler, stop).await);
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
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn serve_connection(
    stream: TcpStream,
    handler: &ConnectionHandler,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let service = service_fn(|request| async { Ok::<_, Infallible>(handler.handle(request).await) });
    let mut builder = http1::Builder::new();
    // `pipeline_flush` stays off: with it, the last response is never written to a client that has sent more than
    // the server reads.
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = &mut connection => return ended,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Reads requests and passes them to the API.
#[derive(Debug)]
struct ConnectionHandler {
    api: Arc<LocalApi>,
    /// One permit for each byte of a buffered body. Only received bytes take permits: if announced ones did, a few
    /// clients that send nothing could block all others.
    buffered: Semaphore,
    /// Held by the one body that may grow when no permit is left, so that bodies that wait for each other complete.
    overflow: Mutex<()>,
}

/// A body, and the permits of its bytes until it is dropped.
struct BufferedBody<'a> {
    handler: &'a ConnectionHandler,
    bytes: Vec<u8>,
    permits: usize,
    overflow: Option<MutexGuard<'a, ()>>,
}

impl BufferedBody<'_> {
    async fn append(&mut self, more: &[u8]) {
        if self.overflow.is_none() {
            match self.handler.buffered.try_acquire_many(u32::try_from(more.len()).unwrap_or(u32::MAX)) {
                Ok(permits) => {
                    permits.forget();
                    self.permits += more.len();
                }
                Err(_) => self.overflow = Some(self.handler.overflow.lock().await),
            }
        }
        self.bytes.extend_from_slice(more);
    }
}

impl Drop for BufferedBody<'_> {
    fn drop(&mut self) {
        self.handler.buffered.add_permits(self.permits);
    }
}

impl ConnectionHandler {
    async fn handle(&self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let headers = text_headers(&head.headers);
        let has_body = head.method == hyper::Method::POST || head.method == hyper::Method::PUT;
        let request = Request {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &headers,
            body: b"",
        };
        if !has_body {
            return into_hyper(self.api.respond(&request).await, false);
        }
        match tokio::time::timeout(BODY_READ_TIMEOUT, self.read_body(body)).await {
            Ok(Ok(body)) => {
                into_hyper(self.api.respond(&Request { body: &body.bytes, ..request }).await, false)
            }
            Ok(Err(problem)) => into_hyper(problem.into(), true),
            Err(_) => into_hyper(incomplete_body("the body was not received within 10 s").into(), true),
        }
    }

    async fn read_body(&self, body: Incoming) -> Result<BufferedBody<'_>, Problem> {
        let announced = body.size_hint().lower();
        if announced > MAX_SENT_BYTES as u64 {
            return Err(body_too_large());
        }
        let capacity = usize::try_from(announced).unwrap_or_default().min(MAX_INITIAL_CAPACITY);
        let bytes = Vec::with_capacity(capacity);
        let mut buffered = BufferedBody { handler: self, bytes, permits: 0, overflow: None };
        let mut body = Limited::new(body, MAX_SENT_BYTES);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    if let Some(more) = frame.data_ref() {
                        buffered.append(more).await;
                    }
                }
                Err(error) if error.is::<LengthLimitError>() => return Err(body_too_large()),
                Err(_) => return Err(incomplete_body("the body ended early or is not valid HTTP/1.1")),
            }
        }
        Ok(buffered)
    }
}

fn body_too_large() -> Problem {
    let max = equilibrium_ingest::MAX_BODY_BYTES;
    Problem::new(413, "body_too_large", format!("the body exceeds {max} bytes after decompression"))
}

fn incomplete_body(detail: &'static str) -> Problem {
    Problem::new(400, "incomplete_body", detail)
}

/// The headers whose values are text; the values of a repeated header are joined (RFC 9110, section 5.3).
fn text_headers(map: &HeaderMap) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
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

/// The response for hyper; with `close` the connection is closed after it and the rest of the request is not read.
fn into_hyper(response: Response, close: bool) -> hyper::Response<Full<Bytes>> {
    let mut converted = hyper::Response::new(Full::new(Bytes::from(response.body.bytes().into_owned())));
    *converted.status_mut() =
        hyper::StatusCode::from_u16(response.status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = converted.headers_mut();
    for (name, value) in response.headers {
        let value = match value {
            Cow::Borrowed(value) => HeaderValue::from_static(value),
            Cow::Owned(value) => match HeaderValue::from_maybe_shared(Bytes::from(value)) {
                Ok(value) => value,
                Err(_) => continue,
            },
        };
        headers.append(HeaderName::from_static(name), value);
    }
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    converted
}
