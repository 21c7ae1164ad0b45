//! `recover`: recoveries of a failed component over HTTP, and their six steps (CONTRACT §5 and §6).
//!
//! A request starts a recovery and returns; another invocation does its steps, which take seconds. The schedule, an alarm, and
//! a function that saw an overdue price invoke it directly.

mod requests;

use equilibrium_admission::{Admit, Caller, handle};
use equilibrium_app::checkpoint::ports::CheckpointLog;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::recover::metrics::RecoveryMetrics;
use equilibrium_app::recover::ports::{Levers, RecoveryStore, RecoveryWatcher};
use equilibrium_app::recover::recoverer::{Recoverer, RunError, StartError, StartRequest};
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::recovery::{Component, Recovery, RecoveryId};
use equilibrium_http::{Problem, Request, Response};
use equilibrium_lambda::api_gateway::ApiGatewayError;
use serde::Deserialize;
use thiserror::Error;

pub use crate::requests::check_head;

/// What this function needs of recoveries, whatever they work on.
pub trait Recoveries: Send + Sync {
    /// See [`Recoverer::start`].
    ///
    /// # Errors
    /// [`StartError`].
    fn start(&self, request: StartRequest) -> impl Future<Output = Result<Recovery, StartError>> + Send;

    /// The recovery of this name.
    ///
    /// # Errors
    /// [`Unavailable`].
    fn recovery(&self, id: &RecoveryId)
    -> impl Future<Output = Result<Option<Recovery>, Unavailable>> + Send;

    /// See [`RecoveryStore::page`].
    ///
    /// # Errors
    /// [`Unavailable`].
    fn page(
        &self,
        before: Option<&(i64, RecoveryId)>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Recovery>, Unavailable>> + Send;

    /// Does the steps of the component's unfinished recovery, or with a `reason` of a new one if a look shows a failure.
    ///
    /// # Errors
    /// [`RunError`].
    fn recover(
        &self,
        component: Component,
        reason: Option<&str>,
    ) -> impl Future<Output = Result<Option<Recovery>, RunError>> + Send;
}

impl<R, C, M, P, L, T, N, W> Recoveries for Recoverer<R, C, M, P, L, T, N, W>
where
    R: RecoveryStore,
    C: CheckpointLog,
    M: MapStore,
    P: PolicySource,
    L: Levers,
    T: Timer,
    N: Fn() -> i64 + Send + Sync,
    W: RecoveryWatcher,
{
    async fn start(&self, request: StartRequest) -> Result<Recovery, StartError> {
        Self::start(self, request).await
    }

    async fn recovery(&self, id: &RecoveryId) -> Result<Option<Recovery>, Unavailable> {
        self.0.store.recovery(id).await
    }

    async fn page(
        &self,
        before: Option<&(i64, RecoveryId)>,
        limit: usize,
    ) -> Result<Vec<Recovery>, Unavailable> {
        self.0.store.page(before, limit).await
    }

    async fn recover(
        &self,
        component: Component,
        reason: Option<&str>,
    ) -> Result<Option<Recovery>, RunError> {
        match reason {
            Some(reason) => self.detect(component, reason).await,
            None => self.run(component).await,
        }
    }
}

/// Has the steps of a recovery done that was started.
pub trait Launch: Send + Sync {
    /// Returns once it is certain that they will be, as far as that can be known.
    ///
    /// # Errors
    /// [`Unavailable`]: the schedule does them.
    fn launch(&self) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

impl<L, F> Launch for L
where
    L: Fn() -> F + Send + Sync,
    F: Future<Output = Result<(), Unavailable>> + Send,
{
    async fn launch(&self) -> Result<(), Unavailable> {
        self().await
    }
}

/// A direct invocation: by the schedule, an alarm, a function that saw an overdue price, or this function itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Direct {
    /// Why a look is taken; without it, only a recovery that was started goes on.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Why an invocation failed.
#[derive(Debug, Error)]
pub enum InvocationError {
    /// The payload is neither a request nor a direct invocation.
    #[error(transparent)]
    Payload(#[from] ApiGatewayError),
    /// The recovery goes on with the next invocation.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Handles one invocation at `now_ms`, in milliseconds since the epoch: API Gateway's payload, or [`Direct`].
///
/// # Errors
/// [`InvocationError`].
pub async fn handle_event(
    admission: &impl Admit,
    (recoveries, launch): (&impl Recoveries, &impl Launch),
    payload: &[u8],
    now_ms: i64,
) -> Result<(Vec<u8>, RecoveryMetrics), InvocationError> {
    if let Some(reason) = direct(payload) {
        let recovered = recoveries.recover(Component::StreamProcessor, reason.as_deref()).await;
        return match recovered {
            Ok(recovery) => {
                let metrics = recovery.as_ref().map(RecoveryMetrics::of).unwrap_or_default();
                let view = recovery.map_or(serde_json::Value::Null, |recovery| recovery.to_view());
                Ok((view.to_string().into_bytes(), metrics))
            }
            // Another invocation does it.
            Err(RunError::Held) => Ok((b"null".to_vec(), RecoveryMetrics::default())),
            Err(error) => Err(error.into()),
        };
    }
    let answer = async |request: &Request<'_>, _: &Caller| (respond((recoveries, launch), request).await, ());
    let (response, ()) = handle(admission, payload, now_ms, answer).await?;
    Ok((response, RecoveryMetrics::default()))
}

/// The reason of a direct invocation; `None` where the payload is a request of API Gateway.
fn direct(payload: &[u8]) -> Option<Option<String>> {
    #[derive(Deserialize)]
    struct Payload {
        #[serde(rename = "requestContext")]
        request_context: Option<serde::de::IgnoredAny>,
        #[serde(rename = "alarmData")]
        alarm: Option<Alarm>,
        #[serde(flatten)]
        direct: Direct,
    }
    #[derive(Deserialize)]
    struct Alarm {
        #[serde(rename = "alarmName")]
        name: String,
    }
    let payload: Payload = serde_json::from_slice(payload).ok()?;
    if payload.request_context.is_some() {
        return None;
    }
    let alarm = payload.alarm.map(|alarm| format!("alarm {}", alarm.name));
    Some(alarm.or(payload.direct.reason))
}

/// Answers one request.
pub async fn respond(
    (recoveries, launch): (&impl Recoveries, &impl Launch),
    request: &Request<'_>,
) -> Response {
    request.respond(answer((recoveries, launch), request).await)
}

async fn answer(
    (recoveries, launch): (&impl Recoveries, &impl Launch),
    request: &Request<'_>,
) -> Result<Response, Problem> {
    let Some((segments, count)) = request.segments::<{ requests::MAX_SEGMENTS }>()? else {
        return Err(Problem::not_found());
    };
    let segments: [&str; requests::MAX_SEGMENTS] = segments.each_ref().map(AsRef::as_ref);
    match (requests::Route::of(&segments[..count]), request.method) {
        (Some(requests::Route::List), "POST") => requests::start((recoveries, launch), request).await,
        (Some(requests::Route::List), "GET" | "HEAD") => requests::list(recoveries, request).await,
        (Some(requests::Route::List), _) => Err(Problem::method_not_allowed("GET, HEAD, POST")),
        (Some(requests::Route::One(id)), _) => {
            request.require_method("GET")?;
            requests::one(recoveries, request, id).await
        }
        (None, _) => Err(Problem::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_a_request_or_a_reason() {
        assert_eq!(direct(br#"{"requestContext":{"http":{}}}"#), None);
        assert_eq!(direct(b"{}"), Some(None));
        assert_eq!(direct(br#"{"reason":"schedule"}"#), Some(Some("schedule".into())));
        let alarm = br#"{"source":"aws.cloudwatch","alarmData":{"alarmName":"live-age"}}"#;
        assert_eq!(direct(alarm), Some(Some("alarm live-age".into())));
        assert_eq!(direct(b"no JSON"), None);
    }
}
