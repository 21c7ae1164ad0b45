//! HTTP/1.1 on a loopback listener: one task per connection, one handler for all requests, and limits on what a client
//! can make it hold.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at once: a function's process has one or two, and an operator a few.
const MAX_CONNECTIONS: usize = 32;

/// Longest head, in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// How long a client may take to send a head, or be idle; a client may take as long again for a body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after a connection could not be accepted, such as for lack of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Accepts connections until it is dropped, which closes them, and answers their requests with `respond`.
pub(super) async fn serve<R, F>(listener: TcpListener, respond: R)
where
    R: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let respond = respond.clone();
        connections.spawn(async move {
            serve_connection(stream, respond).await;
            drop(slot);
        });
    }
}

async fn serve_connection<R, F>(stream: TcpStream, respond: R)
where
    R: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(move |request| {
        let response = respond(request);
        async { Ok::<_, Infallible>(response.await) }
    });
    // A client that disconnects midway needs no response.
    drop(stream.set_nodelay(true));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

/// The body of a request; `None` if it is longer than `max_bytes`, or does not arrive whole in time.
pub(super) async fn read_body(body: Incoming, max_bytes: usize) -> Option<Bytes> {
    let body = timeout(READ_TIMEOUT, Limited::new(body, max_bytes).collect()).await;
    Some(body.ok()?.ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn started() -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let respond = async |request: Request<Incoming>| {
            let body = read_body(request.into_body(), 8).await;
            Response::new(Full::new(body.unwrap_or_else(|| "none".into())))
        };
        (address, tokio::spawn(serve(listener, move |request| Box::pin(respond(request)))))
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_not_held() {
        let (address, _server) = started().await;
        for (body, answered) in [("12345678", "12345678"), ("123456789", "none")] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let length = body.len();
            let request =
                format!("POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(request.as_bytes()).await.unwrap();
            let text = answer(&mut stream).await;
            assert!(text.ends_with(&format!("\r\n\r\n{answered}")), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_is_let_go_and_others_take_its_place() {
        let (address, server) = started().await;
        let mut stalled = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost").await.unwrap();
            stalled.push(stream);
        }
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(answer(&mut next).await.starts_with("HTTP/1.1 200"));
        // The end of the server closes what is left.
        let mut idle = TcpStream::connect(address).await.unwrap();
        server.abort();
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
    }
}
