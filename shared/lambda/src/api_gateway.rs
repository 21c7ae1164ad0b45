//! API Gateway's HTTP API payloads, version 2.0 (API Gateway developer guide, "Create AWS Lambda proxy
//! integrations for HTTP APIs").
//!
//! Only the members that functions use are read: not cookies, and not what an authorizer found, which functions check
//! themselves.

use std::borrow::Cow;
use std::fmt;

use equilibrium_http::{Header, Problem, Request, Response, ResponseHeader, routes};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a payload is not a request of an HTTP API, version 2.0.
#[derive(Debug, Error)]
pub enum ApiGatewayError {
    /// It is not JSON, or not of this shape.
    #[error("not a payload of an http api: {0}")]
    Shape(#[from] serde_json::Error),
    /// It has another version.
    #[error("not version 2.0 of the payload of an http api")]
    Version,
    /// Its body is marked as Base64 and is not.
    #[error("the body of the payload is not valid base64")]
    Body,
}

/// A request as API Gateway passes it to a function.
#[derive(Debug)]
pub struct ApiGatewayRequest<'a> {
    payload: RequestPayload<'a>,
    decoded: Option<Vec<u8>>,
}

impl<'a> ApiGatewayRequest<'a> {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`ApiGatewayError`].
    pub fn read(payload: &'a [u8]) -> Result<Self, ApiGatewayError> {
        let payload: RequestPayload<'a> = serde_json::from_slice(payload)?;
        if payload.version.0 != "2.0" {
            return Err(ApiGatewayError::Version);
        }
        let encoded = payload.body.as_ref().filter(|_| payload.is_base64_encoded == Some(true));
        let decoded = encoded.map(|body| base64_simd::STANDARD.decode_to_vec(body.0.as_bytes()));
        let decoded = decoded.transpose().map_err(|_| ApiGatewayError::Body)?;
        Ok(Self { payload, decoded })
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        let text = || self.payload.body.as_ref().map_or(&b""[..], |body| body.0.as_bytes());
        Request {
            method: &self.payload.request_context.http.method.0,
            path: self.path(),
            query: self.payload.raw_query_string.as_ref().map_or("", |query| &query.0),
            headers: self.payload.headers.as_ref().map_or(&[], |headers| &headers.0),
            body: self.decoded.as_deref().unwrap_or_else(text),
        }
    }

    /// The address of the client, as API Gateway saw it; empty if the payload has none.
    #[must_use]
    pub fn address(&self) -> &str {
        self.payload.request_context.http.source_ip.as_ref().map_or("", |address| &address.0)
    }

    /// The path without the stage, with which API Gateway prefixes it unless the stage is `$default`. Under a custom
    /// domain the path has no stage: what looks like one is a part of a route.
    fn path(&self) -> &str {
        let path: &str = &self.payload.raw_path.0;
        let stage = self.payload.request_context.stage.as_ref().map_or("", |stage| &stage.0);
        let unstaged = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
        let unstaged = unstaged.filter(|rest| routes::find(path).is_none() && routes::find(rest).is_some());
        unstaged.unwrap_or(path)
    }
}

/// The members that are read. One that is optional may be absent or null, which is the same: `cargo lambda watch`
/// and other callers of functions write null where API Gateway writes nothing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestPayload<'a> {
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    raw_path: Text<'a>,
    #[serde(borrow)]
    raw_query_string: Option<Text<'a>>,
    #[serde(borrow)]
    headers: Option<Headers<'a>>,
    #[serde(borrow)]
    request_context: Context<'a>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    is_base64_encoded: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    stage: Option<Text<'a>>,
    #[serde(borrow)]
    http: Http<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    source_ip: Option<Text<'a>>,
}

/// A string, borrowed from the payload unless it has escapes there.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug)]
struct Headers<'a>(Vec<Header<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Headers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Headers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut headers = Vec::with_capacity(16);
                while let Some((name, value)) = map.next_entry::<Text<'de>, Option<Text<'de>>>()? {
                    headers.extend(value.map(|value| (name.0, value.0)));
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// The most bytes of a response that Lambda passes on (Lambda developer guide, "Lambda quotas").
pub const MAX_RESPONSE_BYTES: usize = 6_291_556;

/// Encodes a response for API Gateway: a body that is compressed or not UTF-8 in Base64. Lambda fails an invocation
/// whose response is too long; the problem that is sent instead says how to ask for less.
#[must_use]
pub fn encode_response(response: &Response) -> Vec<u8> {
    let payload = encode(response);
    if payload.len() <= MAX_RESPONSE_BYTES { payload } else { encode(&too_long(payload.len()).into()) }
}

fn too_long(bytes: usize) -> Problem {
    let detail = format!(
        "the answer takes {bytes} bytes and at most {MAX_RESPONSE_BYTES} can be sent; ask for less with \
         `Accept-Encoding: gzip`, or with `product=`"
    );
    Problem::new(406, "response_too_large", detail).with("accept-encoding", "gzip")
}

fn encode(response: &Response) -> Vec<u8> {
    let content = response.body.bytes();
    let text = response.header("content-encoding").is_none().then(|| std::str::from_utf8(&content).ok());
    let (body, is_base64_encoded) = match text.flatten() {
        Some(text) => (Cow::Borrowed(text), false),
        None => (base64_simd::STANDARD.encode_to_string(&content).into(), true),
    };
    let headers = HeaderMap(&response.headers);
    let response = ResponsePayload {
        status_code: response.status,
        headers,
        cookies: [],
        body: &body,
        is_base64_encoded,
    };
    let mut payload = Vec::with_capacity(body.len() + body.len() / 8 + 256);
    response.write(&mut payload);
    payload
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponsePayload<'a> {
    status_code: u16,
    headers: HeaderMap<'a>,
    /// Always empty; `cargo lambda watch` requires the member.
    cookies: [&'a str; 0],
    body: &'a str,
    is_base64_encoded: bool,
}

impl ResponsePayload<'_> {
    fn write(&self, payload: &mut Vec<u8>) {
        serde_json::to_writer(payload, self).expect("keys are strings, and a vector accepts every write");
    }
}

struct HeaderMap<'a>(&'a [ResponseHeader]);

impl Serialize for HeaderMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
