//! `GET` requests over HTTPS, as deployments take them.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::AUTHORIZATION;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::token::authorization;

/// The status and the body of the answer, which may take `limit`.
pub(crate) fn get(host: &str, path: &str, limit: Duration) -> io::Result<(u16, String)> {
    let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut request = Request::get(format!("https://{host}{path}"));
    if let Some(value) = authorization() {
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Full::default()).map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let answer = async {
            let response = client.request(request).await.map_err(io::Error::other)?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
            Ok((status, String::from_utf8(body.into()).map_err(io::Error::other)?))
        };
        tokio::time::timeout(limit, answer).await?
    })
}
