//! The mappings as Lambda's API shows and changes them: `ListEventSourceMappings`, `GetEventSourceMapping`
//! and `UpdateEventSourceMapping` with `Enabled` (AWS Lambda API reference), on the loopback interface.
//! A client that disables a mapping on AWS disables one here with the same call.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::http_server;
use super::mapping_task::MappingTask;

const MAPPINGS_PATH: &str = "/2015-03-31/event-source-mappings";

/// An update is a small object.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The type of error that Lambda's API names for a request with an invalid part.
const INVALID_PARAMETER: &str = "InvalidParameterValueException";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MappingUpdate {
    enabled: Option<bool>,
    /// The mapping is in the path; some clients repeat it.
    #[serde(rename = "UUID")]
    _uuid: Option<String>,
}

/// Serves until `stop` is true.
pub async fn serve(
    listener: TcpListener,
    mappings: Arc<[Arc<MappingTask>]>,
    mut stop: watch::Receiver<bool>,
) {
    let respond = move |request| {
        let mappings = Arc::clone(&mappings);
        async move { respond(&mappings, request).await }
    };
    tokio::select! {
        () = http_server::serve(listener, respond) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn respond(mappings: &[Arc<MappingTask>], request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_end_matches('/');
    if path == MAPPINGS_PATH {
        return match head.method {
            Method::GET => list(mappings, path, head.uri.query().unwrap_or_default()),
            _ => error_response(StatusCode::METHOD_NOT_ALLOWED, INVALID_PARAMETER, "GET lists mappings"),
        };
    }
    let uuid = path.strip_prefix(MAPPINGS_PATH).and_then(|rest| rest.strip_prefix('/'));
    let Some(mapping) = uuid.and_then(|uuid| mappings.iter().find(|mapping| mapping.uuid == uuid)) else {
        let message = "no such event source mapping";
        return error_response(StatusCode::NOT_FOUND, "ResourceNotFoundException", message);
    };
    match head.method {
        Method::GET => json_response(StatusCode::OK, &mapping.document()),
        Method::PUT => update(mapping, body).await,
        _ => error_response(StatusCode::METHOD_NOT_ALLOWED, INVALID_PARAMETER, "GET, PUT"),
    }
}

/// `ListEventSourceMappings`: all mappings, or those of the function and stream that the query names.
fn list(mappings: &[Arc<MappingTask>], path: &str, query: &str) -> Response<Full<Bytes>> {
    let request = equilibrium_http::Request { method: "GET", path, query, headers: &[], body: &[] };
    let Ok([function, stream]) = request.parameters(["FunctionName", "EventSourceArn"]) else {
        return error_response(StatusCode::BAD_REQUEST, INVALID_PARAMETER, "the query is malformed");
    };
    let of_function = |mapping: &MappingTask| {
        let ends_with = |name: &str| mapping.function_arn.ends_with(&format!(":{}", short_name(name)));
        function.as_deref().is_none_or(ends_with)
    };
    let of_stream =
        |mapping: &MappingTask| stream.as_deref().is_none_or(|stream| mapping.stream_arn == stream);
    let listed = mappings.iter().filter(|mapping| of_function(mapping) && of_stream(mapping));
    let listed: Vec<Value> = listed.map(|mapping| mapping.document()).collect();
    json_response(StatusCode::OK, &json!({"EventSourceMappings": listed}))
}

/// `UpdateEventSourceMapping`, of which only `Enabled` is supported.
async fn update(mapping: &MappingTask, body: Incoming) -> Response<Full<Bytes>> {
    let Some(body) = http_server::read_body(body, MAX_BODY_BYTES).await else {
        let message = "an update is a small object";
        return error_response(StatusCode::BAD_REQUEST, "RequestTooLargeException", message);
    };
    match serde_json::from_slice::<MappingUpdate>(&body) {
        Ok(update) => {
            if let Some(enabled) = update.enabled {
                mapping.set_enabled(enabled);
            }
            json_response(StatusCode::ACCEPTED, &mapping.document())
        }
        Err(error) => {
            let message = format!("only Enabled can be changed: {error}");
            error_response(StatusCode::BAD_REQUEST, INVALID_PARAMETER, &message)
        }
    }
}

/// The function's name in a name, an ARN or a partial ARN.
fn short_name(function: &str) -> &str {
    function.rsplit(':').next().unwrap_or(function)
}

fn error_response(status: StatusCode, kind: &'static str, message: &str) -> Response<Full<Bytes>> {
    let mut response = json_response(status, &json!({"Type": "User", "Message": message}));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}

fn json_response(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(document.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
