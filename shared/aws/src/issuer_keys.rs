//! The keys of the issuer of clients' tokens: at a URL, or in the configuration.

use std::time::Duration;

use equilibrium_app::access::key_set::MAX_SET_BYTES;
use equilibrium_app::access::ports::{ConfiguredKeySet, KeySetSource};
use equilibrium_app::access::settings::{AccessSettings, KeysAt};
use equilibrium_app::access::token::Expected;
use equilibrium_app::unavailable::Unavailable;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// Limit of reading the keys: a request of the client waits for it, when a key is new.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The source of an issuer's keys.
#[derive(Debug)]
pub enum IssuerKeys {
    /// Read from a URL.
    Url(Box<UrlKeySet>),
    /// A document of the configuration, which needs no network: for functions in a VPC without a way to the issuer.
    Configured(ConfiguredKeySet),
}

/// A document at a URL.
#[derive(Debug)]
pub struct UrlKeySet {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
}

/// What tokens are expected to be, and the source of the keys that verify them.
///
/// # Errors
/// The system has no root certificates.
pub fn tokens(access: Option<AccessSettings>) -> std::io::Result<Option<(Expected, IssuerKeys)>> {
    let tokens = |AccessSettings { expected, keys }| Ok((expected, IssuerKeys::new(keys)?));
    access.map(tokens).transpose()
}

impl IssuerKeys {
    /// The source of keys at a place.
    ///
    /// # Errors
    /// The system has no root certificates.
    pub fn new(keys: KeysAt) -> std::io::Result<Self> {
        Ok(match keys {
            KeysAt::Document(document) => Self::Configured(ConfiguredKeySet(document)),
            KeysAt::Url(url) => {
                let connector =
                    HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1().build();
                let client = Client::builder(TokioExecutor::new()).build(connector);
                let uri = url.parse().map_err(std::io::Error::other)?;
                Self::Url(Box::new(UrlKeySet { client, uri }))
            }
        })
    }
}

impl KeySetSource for IssuerKeys {
    async fn read(&self) -> Result<Vec<u8>, Unavailable> {
        match self {
            Self::Configured(document) => document.read().await,
            Self::Url(url) => url.read().await,
        }
    }
}

impl KeySetSource for UrlKeySet {
    async fn read(&self) -> Result<Vec<u8>, Unavailable> {
        let read = async {
            let response = self.client.get(self.uri.clone()).await.map_err(|error| error.to_string())?;
            if !response.status().is_success() {
                return Err(format!("status {}", response.status()));
            }
            let body = Limited::new(response.into_body(), MAX_SET_BYTES);
            Ok(body.collect().await.map_err(|error| error.to_string())?.to_bytes().into())
        };
        let read = timeout(READ_TIMEOUT, read).await.unwrap_or_else(|_| Err("not read in time".to_owned()));
        read.map_err(|reason| {
            tracing::error!(url = %self.uri, reason, "keys of the issuer not read");
            Unavailable
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// The URL of a server that gives one answer, and then keeps the connection open.
    fn server(answer: &'static str, body: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _request = stream.read(&mut [0; 4_096]);
            drop(stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&body)));
            // Until the client closes it.
            let _closed = stream.read(&mut [0; 1]);
        });
        url
    }

    async fn read(answer: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Unavailable> {
        IssuerKeys::new(KeysAt::Url(server(answer, body))).unwrap().read().await
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    fn chunk(bytes: usize) -> Vec<u8> {
        [format!("{bytes:x}\r\n").as_bytes(), &vec![b' '; bytes], b"\r\n0\r\n\r\n"].concat()
    }

    #[tokio::test]
    async fn a_document_is_read_from_its_url() {
        assert_eq!(read(OK, chunk(9)).await.map(|read| read.len()), Ok(9));
        assert_eq!(read(OK, chunk(MAX_SET_BYTES)).await.map(|read| read.len()), Ok(MAX_SET_BYTES));
        let configured = IssuerKeys::new(KeysAt::Document(b"{}".to_vec())).unwrap();
        assert_eq!(configured.read().await, Ok(b"{}".to_vec()));
    }

    #[tokio::test]
    async fn what_is_no_document_is_unavailable() {
        assert_eq!(read(OK, chunk(MAX_SET_BYTES + 1)).await, Err(Unavailable));
        assert_eq!(
            read("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", vec![]).await,
            Err(Unavailable)
        );
        let redirect = "HTTP/1.1 302 Found\r\nlocation: https://example.com/\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(read(redirect, vec![]).await, Err(Unavailable));
        assert_eq!(read("none of HTTP\r\n\r\n", vec![]).await, Err(Unavailable));
        // Nothing listens on port 1.
        let nowhere = KeysAt::Url("http://127.0.0.1:1/".to_owned());
        assert_eq!(IssuerKeys::new(nowhere).unwrap().read().await, Err(Unavailable));
    }

    #[tokio::test]
    async fn an_issuer_that_hangs_takes_two_seconds() {
        let start = std::time::Instant::now();
        assert_eq!(read("", vec![]).await, Err(Unavailable));
        assert!(start.elapsed() < READ_TIMEOUT + Duration::from_secs(1), "{:?}", start.elapsed());
    }
}
