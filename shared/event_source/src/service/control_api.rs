//! The mappings as Lambda's API shows and changes them: `ListEventSourceMappings`, `GetEventSourceMapping`
//! and `UpdateEventSourceMapping` with `Enabled` (AWS Lambda API reference), on the loopback interface.
//! Whoever disables a mapping on AWS disables one here with the same call.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::mapping_task::MappingTask;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// An update is a small object.
const MAX_BODY_BYTES: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Update {
    enabled: Option<bool>,
    /// Who says it is named in the path; some clients repeat it.
    #[serde(rename = "UUID")]
    _uuid: Option<String>,
}

/// Answers for as long as the process lives.
pub async fn serve(
    listener: TcpListener,
    mappings: Arc<[Arc<MappingTask>]>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let mappings = Arc::clone(&mappings);
        tokio::spawn(async move {
            let service =
                service_fn(|request| async { Ok::<_, Infallible>(answer(&mappings, request).await) });
            // Who hangs up midway wants no answer.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(mappings: &[Arc<MappingTask>], request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_end_matches('/');
    if path == MAPPINGS {
        if head.method != Method::GET {
            return refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "InvalidParameterValueException",
                "GET lists mappings",
            );
        }
        let query = head.uri.query().unwrap_or_default();
        let query = equilibrium_http::Request { method: "GET", path, query, headers: &[], body: &[] };
        let Ok([function, stream]) = query.parameters(["FunctionName", "EventSourceArn"]) else {
            return refuse(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                "the query is unreadable",
            );
        };
        let listed = mappings.iter().filter(|mapping| {
            function
                .as_deref()
                .is_none_or(|function| mapping.function_arn.ends_with(&format!(":{}", short(function))))
                && stream.as_deref().is_none_or(|stream| mapping.stream_arn == stream)
        });
        let listed: Vec<Value> = listed.map(|mapping| mapping.document()).collect();
        return say(StatusCode::OK, &json!({"EventSourceMappings": listed}));
    }
    let uuid = path.strip_prefix(MAPPINGS).and_then(|rest| rest.strip_prefix('/'));
    let Some(mapping) = uuid.and_then(|uuid| mappings.iter().find(|mapping| mapping.uuid == uuid)) else {
        return refuse(StatusCode::NOT_FOUND, "ResourceNotFoundException", "no such event source mapping");
    };
    match head.method {
        Method::GET => say(StatusCode::OK, &mapping.document()),
        Method::PUT => {
            let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
                return refuse(
                    StatusCode::BAD_REQUEST,
                    "RequestTooLargeException",
                    "an update is a small object",
                );
            };
            match serde_json::from_slice::<Update>(&body.to_bytes()) {
                Ok(update) => {
                    if let Some(enabled) = update.enabled {
                        mapping.enable(enabled);
                    }
                    say(StatusCode::ACCEPTED, &mapping.document())
                }
                Err(error) => {
                    let message = format!("only Enabled can be changed here: {error}");
                    refuse(StatusCode::BAD_REQUEST, "InvalidParameterValueException", &message)
                }
            }
        }
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "InvalidParameterValueException", "GET, PUT"),
    }
}

/// The name in a name, an ARN or a part of one.
fn short(function: &str) -> &str {
    function.rsplit(':').next().unwrap_or(function)
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Response<Full<Bytes>> {
    let mut response = say(status, &json!({"Type": "User", "Message": message}));
    response.headers_mut().insert("x-amzn-errortype", hyper::header::HeaderValue::from_static(kind));
    response
}

fn say(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(document.to_string().into()));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}
