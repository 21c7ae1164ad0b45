//! API Gateway's HTTP API payloads, version 2.0 (API Gateway developer guide, "Create AWS Lambda proxy
//! integrations for HTTP APIs").
//!
//! Only the members that functions use are read: not addresses, cookies and authorizers.

use std::borrow::Cow;
use std::fmt;

use equilibrium_http::{Header, Request, Response, ResponseHeader};
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
        let encoded = payload.body.as_ref().filter(|_| payload.is_base64_encoded);
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
            headers: &self.payload.headers.0,
            body: self.decoded.as_deref().unwrap_or_else(text),
        }
    }

    /// The path without the stage, with which API Gateway prefixes it unless the stage is `$default`.
    fn path(&self) -> &str {
        let path: &str = &self.payload.raw_path.0;
        let stage = self.payload.request_context.stage.as_ref().map_or("", |stage| &stage.0);
        let unstaged = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
        unstaged.filter(|rest| !stage.is_empty() && rest.starts_with('/')).unwrap_or(path)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestPayload<'a> {
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    raw_path: Text<'a>,
    /// `null` from `cargo lambda watch` if the request has no query.
    #[serde(borrow)]
    raw_query_string: Option<Text<'a>>,
    #[serde(borrow, default)]
    headers: Headers<'a>,
    #[serde(borrow)]
    request_context: Context<'a>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
struct Context<'a> {
    /// `null` from `cargo lambda watch`.
    #[serde(borrow)]
    stage: Option<Text<'a>>,
    #[serde(borrow)]
    http: Http<'a>,
}

#[derive(Debug, Deserialize)]
struct Http<'a> {
    #[serde(borrow)]
    method: Text<'a>,
}

/// A string, borrowed from the payload unless it has escapes there.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Default)]
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
                while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
                    headers.push((name.0, value.0));
                }
                Ok(Headers(headers))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// Encodes a response for API Gateway: a body that is compressed or not UTF-8 in Base64.
#[must_use]
pub fn encode_response(response: &Response) -> Vec<u8> {
    let text =
        response.header("content-encoding").is_none().then(|| std::str::from_utf8(&response.body).ok());
    let (body, is_base64_encoded) = match text.flatten() {
        Some(text) => (Cow::Borrowed(text), false),
        None => (base64_simd::STANDARD.encode_to_string(&response.body).into(), true),
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
