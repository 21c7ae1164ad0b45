//! `GET` requests of the API, over a connection of their own.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::token::authorization;

/// How long a response may take: API Gateway's limit is 30 s ("Quotas for HTTP APIs").
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request has failed.
#[derive(Debug, Error)]
pub enum ApiError {
    /// The URL is not one of an API.
    #[error("not a URL as http://127.0.0.1:8080: {0}")]
    Url(String),
    /// The API cannot be reached.
    #[error("{url}: {cause}")]
    Unreachable {
        /// The API.
        url: String,
        /// The reason.
        cause: io::Error,
    },
    /// The API refused the request.
    #[error("{detail} ({code})")]
    Refused {
        /// The code of the problem.
        code: String,
        /// Its explanation.
        detail: String,
    },
    /// The answer is not one of this API.
    #[error("the answer is not one of this API")]
    NotThisApi,
}

/// The body of the answer to a `GET` of `path`, which includes the query.
///
/// # Errors
/// [`ApiError`].
pub fn get(url: &str, path: &str) -> Result<String, ApiError> {
    let (secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(ApiError::Url(url.to_owned())),
    };
    let (host, base) = rest.trim_end_matches('/').split_once('/').unwrap_or((rest.trim_end_matches('/'), ""));
    let path = if base.is_empty() { path.to_owned() } else { format!("/{base}{path}") };
    let unreachable = |cause| ApiError::Unreachable { url: url.to_owned(), cause };
    let (status, body) = exchange(secure, host, &path).map_err(unreachable)?;
    if status == 200 {
        return Ok(body);
    }
    let problem: Value = serde_json::from_str(&body).map_err(|_| ApiError::NotThisApi)?;
    let member = |name: &str| problem[name].as_str().map(str::to_owned).ok_or(ApiError::NotThisApi);
    Err(ApiError::Refused { code: member("code")?, detail: member("detail")? })
}

#[cfg(feature = "tls")]
fn exchange(secure: bool, host: &str, path: &str) -> io::Result<(u16, String)> {
    if secure { crate::https::get(host, path, RESPONSE_TIMEOUT) } else { plain_exchange(host, path) }
}

#[cfg(not(feature = "tls"))]
fn exchange(secure: bool, host: &str, path: &str) -> io::Result<(u16, String)> {
    if secure {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "https needs a build with the cargo feature `aws`",
        ));
    }
    plain_exchange(host, path)
}

/// A request without encryption. HTTP/1.0 has no chunks, and its connection ends with the response (RFC 1945).
fn plain_exchange(host: &str, path: &str) -> io::Result<(u16, String)> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "not a response of HTTP");
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, RESPONSE_TIMEOUT)?;
    stream.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
    let authorization =
        authorization().map_or_else(String::new, |value| format!("authorization: {value}\r\n"));
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\n{authorization}connection: close\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    let response = String::from_utf8(response).map_err(|_| invalid())?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(invalid)?;
    Ok((status, body.to_owned()))
}

/// The text as a part of a URL: everything but unreserved characters is percent-encoded (RFC 3986 §2.3).
pub(crate) fn escape(text: &str) -> String {
    use std::fmt::Write;

    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a string accepts every write");
        }
    }
    out
}
