//! Why a request is answered by an error, and how that is said (RFC 9457).

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use thiserror::Error;

use crate::body::BODY_BYTES;

/// What a client that is told [`Problem::UnsupportedMediaType`] may send instead (W3C, "Linked Data
/// Platform 1.0", section 7.1).
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// Why nothing of a request was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Problem {
    #[error("the array cannot be read on from byte {at}; nothing was accepted")]
    MalformedJson { at: usize },
    #[error("the body is no whole gzip stream; nothing was accepted")]
    MalformedGzip,
    #[error("the body is no Base64; nothing was accepted")]
    MalformedBase64,
    #[error("there is nothing here; events are posted to /v1/events")]
    NotFound,
    #[error("events are posted")]
    MethodNotAllowed,
    #[error("the body is larger than {BODY_BYTES} bytes, inflated")]
    BodyTooLarge,
    #[error("the body is neither application/x-ndjson nor application/json")]
    UnsupportedMediaType,
    #[error("the body may be encoded by one gzip and nothing else")]
    UnsupportedEncoding,
    #[error("the log did not take every event; send the same again: what it has counts once")]
    Unavailable,
}

impl Problem {
    fn status(self) -> StatusCode {
        match self {
            Self::MalformedJson { .. } | Self::MalformedGzip | Self::MalformedBase64 => {
                StatusCode::BAD_REQUEST
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType | Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "malformed_json",
            Self::MalformedGzip => "malformed_gzip",
            Self::MalformedBase64 => "malformed_base64",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::Unavailable => "unavailable",
        }
    }

    /// The header that tells the client what to do instead.
    fn advice(self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::MethodNotAllowed => (ALLOW, "POST"),
            Self::UnsupportedMediaType => (ACCEPT_POST, "application/x-ndjson, application/json"),
            Self::UnsupportedEncoding => (ACCEPT_ENCODING, "gzip"),
            Self::Unavailable => (RETRY_AFTER, "1"),
            _ => return None,
        };
        Some((name, HeaderValue::from_static(value)))
    }

    pub(crate) fn into_response(self) -> ApiGatewayV2httpResponse {
        let status = self.status();
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
            "code": self.code(),
        });
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = i64::from(status.as_u16());
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers.extend(self.advice());
        response.body = Some(Body::Text(body.to_string()));
        response
    }
}
