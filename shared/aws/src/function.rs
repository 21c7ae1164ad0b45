//! What every function's process does around its handler: settings, JSON traces, payloads as bytes.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use bytes::Bytes;
use equilibrium_app::maps::Timer;
use equilibrium_app::metrics::{Context, Measures};
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, error, info_span};

use crate::clock::now_ms;

/// Why a process ends: the runtime's own reason.
pub type Ended = lambda_runtime::Error;

/// One invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What the function is invoked with, JSON, as Lambda sent it.
    pub payload: Bytes,
    /// Lambda's name of this invocation.
    pub request_id: String,
    /// The function's clock, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// Why an invocation has no answer: what Lambda is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed(String);

impl<E: Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl From<Failed> for Diagnostic {
    fn from(Failed(error_message): Failed) -> Self {
        Self { error_type: "failed".to_owned(), error_message }
    }
}

/// Writes traces to stdout, a JSON document a line, from the level that `EQUILIBRIUM_LOG` names on; `info`
/// where it names none.
pub fn trace() {
    let level = std::env::var("EQUILIBRIUM_LOG").ok().and_then(|level| level.parse().ok());
    let subscriber = tracing_subscriber::fmt().json().with_max_level(level.unwrap_or(LevelFilter::INFO));
    subscriber.with_target(false).flatten_event(true).with_current_span(true).with_span_list(false).init();
}

/// The variable called `name`, as [`equilibrium_app::config::Variables`] looks it up.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Answers invocations of the function called `name` one after the other, each by JSON, and writes what
/// each measured to stdout, where `CloudWatch` takes it from.
///
/// # Errors
/// What ends the process: Lambda's runtime API cannot be reached.
pub async fn run<H>(name: &str, handle: H) -> Result<(), Ended>
where
    H: AsyncFn(Invocation) -> Result<(Vec<u8>, Measures), Failed>,
{
    let payload = Arc::new(Mutex::new(Bytes::new()));
    let taken = Arc::clone(&payload);
    let handle = &handle;
    let answer = move |event: LambdaEvent<()>| {
        let payload = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
        let request_id = event.context.request_id;
        let span = info_span!("invocation", function = name, request_id);
        async move {
            let now_ms = now_ms();
            let answer = handle(Invocation { payload, request_id: request_id.clone(), now_ms }).await;
            let answer = answer.and_then(|(answer, measures)| {
                let context = Context { function: name, request_id: &request_id, now_ms };
                println!("{}", measures.document(&context));
                Ok(RawValue::from_string(String::from_utf8(answer)?)?)
            });
            answer.inspect_err(|Failed(reason)| error!(reason, "invocation failed"))
        }
        .instrument(span)
    };
    let raw = layer_fn(|inner| Raw { inner, payload: Arc::clone(&payload) });
    Runtime::new(service_fn(answer)).layer(raw).run().await
}

/// The services' client settings, as Lambda's environment has them.
pub async fn sdk() -> SdkConfig {
    aws_config::load_defaults(BehaviorVersion::latest()).await
}

/// The runtime's time.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeTimer;

impl Timer for RuntimeTimer {
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(time)
    }
}

/// Takes the payload out before it is parsed: six megabytes are read once, by the handler.
#[derive(Debug)]
struct Raw<S> {
    inner: S,
    payload: Arc<Mutex<Bytes>>,
}

impl<S: Service<LambdaInvocation>> Service<LambdaInvocation> for Raw<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let payload = std::mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        *self.payload.lock().unwrap_or_else(PoisonError::into_inner) = payload;
        self.inner.call(invocation)
    }
}
