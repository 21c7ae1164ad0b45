//! The requests: `/v1/recoveries`, and `/v1/recoveries/{id}`.

use equilibrium_app::recover::recoverer::{StartError, StartRequest};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::recovery::{Component, Recovery, RecoveryId};
use equilibrium_http::body::{ContentCoding, decode, json_text, require_json};
use equilibrium_http::{FieldError, Problem, Request, Response, page_token, parameters};
use serde::Serialize;
use serde_json::Value;

use crate::{Launch, Recoveries};

const JSON: &str = "application/json";

/// The longest path is `/v1/recoveries/{id}`.
pub(crate) const MAX_SEGMENTS: usize = 3;

/// Recoveries of a page if the client does not give a limit.
const DEFAULT_PAGE_SIZE: usize = 20;

/// The most recoveries of a page.
const MAX_PAGE_SIZE: usize = 100;

/// The most characters of a reason.
const MAX_REASON_CHARS: usize = 500;

/// A request's path, with its parameters decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    List,
    One(&'a str),
}

impl<'a> Route<'a> {
    pub(crate) fn of(segments: &[&'a str]) -> Option<Self> {
        match *segments {
            ["v1", "recoveries"] => Some(Self::List),
            ["v1", "recoveries", id] => Some(Self::One(id)),
            _ => None,
        }
    }
}

/// Whether the request has a body that is read; what can be refused without it is refused.
///
/// # Errors
/// The problem that [`crate::respond`] would answer with, whatever the body.
pub fn check_head(request: &Request<'_>) -> Result<bool, Problem> {
    let Some((segments, count)) = request.segments::<MAX_SEGMENTS>()? else { return Ok(false) };
    let segments: [&str; MAX_SEGMENTS] = segments.each_ref().map(AsRef::as_ref);
    let starts = Route::of(&segments[..count]) == Some(Route::List) && request.method == "POST";
    if starts {
        read_head(request)?;
    }
    Ok(starts)
}

fn read_head(request: &Request<'_>) -> Result<(ContentCoding, Option<RecoveryId>), Problem> {
    request.require_coding()?;
    require_json(request)?;
    let key = request.header("idempotency-key").map(|key| key.trim().trim_matches('"'));
    let id = key.map(|key| RecoveryId::new(key).ok_or_else(bad_name)).transpose()?;
    Ok((ContentCoding::of(request)?, id))
}

/// Starts a recovery by hand.
pub(crate) async fn start(
    (recoveries, launch): (&impl Recoveries, &impl Launch),
    request: &Request<'_>,
) -> Result<Response, Problem> {
    let (coding, id) = read_head(request)?;
    let body = decode(request.body, coding)?;
    let (component, reason) = read_body(json_text(&body)?)?;
    let started = recoveries.start(StartRequest { component, id, reason }).await.map_err(not_started)?;
    if !started.has_ended() {
        // Where it cannot be launched now, the schedule does its steps.
        launch.launch().await.ok();
    }
    let location = format!("/v1/recoveries/{}", started.id);
    let response = Response::of(202, JSON, &started.to_view()).with("location", location);
    Ok(response.with("cache-control", "no-store"))
}

fn read_body(text: &str) -> Result<(Component, String), Problem> {
    let body: Value = serde_json::from_str(text)
        .map_err(|_| Problem::new(400, "malformed_json", "the body is not JSON"))?;
    let mut errors = Vec::new();
    let mut error = |pointer: &str, message: &str| {
        errors.push(FieldError { pointer: pointer.into(), message: message.into() });
    };
    let mut component = Component::StreamProcessor;
    let mut reason = None;
    match &body {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (&name[..], value) {
                    ("component", Value::String(text)) => match Component::parse(text) {
                        Some(known) => component = known,
                        None => error("/component", "must be stream-processor: no other can be recovered"),
                    },
                    ("reason", Value::String(text)) => reason = Some(text.trim()),
                    ("component" | "reason", _) => error(&format!("/{name}"), "must be text"),
                    _ => error(&format!("/{name}"), "is not a field of a recovery"),
                }
            }
        }
        _ => error("", "must be an object"),
    }
    let reason = reason.filter(|reason| (1..=MAX_REASON_CHARS).contains(&reason.chars().count()));
    if reason.is_none() {
        error("/reason", "must be 1 to 500 characters");
    }
    match reason.filter(|_| errors.is_empty()) {
        Some(reason) => Ok((component, reason.to_owned())),
        None => {
            let detail = "the recovery has invalid fields; nothing was started";
            Err(Problem::new(422, "invalid_recovery", detail).with_errors(errors))
        }
    }
}

#[derive(Serialize)]
struct Page {
    recoveries: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A page of recoveries, newest first.
pub(crate) async fn list(recoveries: &impl Recoveries, request: &Request<'_>) -> Result<Response, Problem> {
    request.require_coding()?;
    let [limit, next] = request.parameters(["limit", "next"])?;
    let limit = parameters::count("limit", limit.as_deref(), 1..=MAX_PAGE_SIZE)?.unwrap_or(DEFAULT_PAGE_SIZE);
    let key = |text: &str| {
        let (at_ms, id) = text.split_once('.')?;
        Some((at_ms.parse().ok()?, RecoveryId::new(id)?))
    };
    let before = next.as_deref().map(|token| page_token::decode("next", token, key)).transpose()?;
    // One more shows whether there is another page.
    let mut found = recoveries.page(before.as_ref(), limit + 1).await.map_err(unread)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let token = |last: &Recovery| page_token::encode(&format!("{}.{}", last.started_at_ms, last.id));
    let page = Page {
        next: found.last().filter(|_| has_more).map(token),
        recoveries: found.iter().map(Recovery::to_view).collect(),
    };
    let response = Response::of(200, JSON, &page).with("cache-control", "no-cache");
    let response = response.with("vary", "accept-encoding");
    Ok(response.compressed_for(request.header("accept-encoding")))
}

/// One recovery.
pub(crate) async fn one(
    recoveries: &impl Recoveries,
    request: &Request<'_>,
    id: &str,
) -> Result<Response, Problem> {
    request.require_coding()?;
    let unknown = || Problem::new(404, "unknown_recovery", "no such recovery, or it was kept long enough");
    let id = RecoveryId::new(id).ok_or_else(unknown)?;
    let recovery = recoveries.recovery(&id).await.map_err(unread)?.ok_or_else(unknown)?;
    Ok(Response::of(200, JSON, &recovery.to_view()).with("cache-control", "no-cache"))
}

fn bad_name() -> Problem {
    let detail = "Idempotency-Key must be 1 to 64 letters, digits, hyphens, underscores and full stops";
    Problem::new(400, "malformed_header", detail)
}

fn not_started(error: StartError) -> Problem {
    match error {
        StartError::Running(id) => {
            let detail = format!("recovery {id} is running: read /v1/recoveries/{id}");
            Problem::new(409, "recovery_running", detail).for_resource(id.to_string())
        }
        StartError::Unavailable(unavailable) => unread(unavailable),
    }
}

fn unread(_: Unavailable) -> Problem {
    Problem::new(503, "unavailable", "the recoveries are unavailable").with("retry-after", "1")
}

#[cfg(test)]
mod tests {
    use equilibrium_http::routes::{Function, ROUTES};

    use super::*;

    #[test]
    fn the_routes_of_this_function_are_those_of_the_route_table() {
        let mut routes = Vec::new();
        for table in ROUTES {
            let segments: Vec<&str> = table.path.split('/').skip(1).collect();
            let route = Route::of(&segments);
            assert_eq!(route.is_some(), table.function == Function::Recover, "{}", table.path);
            routes.extend(route.map(|route| (table.method, route)));
        }
        assert_eq!(routes, [("POST", Route::List), ("GET", Route::List), ("GET", Route::One("{id}"))]);
    }
}
