//! Posts events to a deployment over HTTP.

use std::io;
use std::time::Duration;

use equilibrium_api_client::token::authorization;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::workload::driver::EventSink;

/// How long a response may take: API Gateway's limit is 30 s ("Quotas for HTTP APIs").
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// `POST /v1/events` of a deployment.
#[derive(Debug)]
pub struct HttpEventSink {
    url: Uri,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpEventSink {
    /// A client of `url`, which includes the path.
    ///
    /// # Errors
    /// The system's root certificates cannot be loaded.
    pub fn new(url: Uri) -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(connector.build());
        Ok(Self { url, client })
    }
}

impl EventSink for HttpEventSink {
    async fn post(&self, body: &[u8]) -> io::Result<bool> {
        let mut request = Request::post(&self.url).header(CONTENT_TYPE, "application/x-ndjson");
        if let Some(value) = authorization() {
            request = request.header(AUTHORIZATION, value);
        }
        let content = Full::new(Bytes::copy_from_slice(body));
        let request = request.body(content).map_err(io::Error::other)?;
        match tokio::time::timeout(RESPONSE_TIMEOUT, self.client.request(request)).await {
            Ok(Ok(response)) => match response.status() {
                StatusCode::ACCEPTED => Ok(true),
                StatusCode::TOO_MANY_REQUESTS => Ok(false),
                status if status.is_server_error() => Ok(false),
                status => Err(io::Error::other(format!("{}: unexpected status {status}", self.url))),
            },
            // Refused or timed out: the server may come up.
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }
}
