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
    Url(UrlKeySet),
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
                Self::Url(UrlKeySet { client, uri })
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
