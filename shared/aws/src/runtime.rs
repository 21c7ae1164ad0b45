//! What every function's process does around its handler: settings, JSON traces, payloads as bytes.

use parking_lot::Mutex;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use bytes::Bytes;
use equilibrium_app::price::map_reader::Timer;
use equilibrium_app::telemetry::emf::{Context, Measurements};
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Subscriber, error, info_span};
use tracing_subscriber::fmt::MakeWriter;

use equilibrium_app::clock::system_now_ms;

/// Why a process ends: the runtime's own reason.
pub type RuntimeError = lambda_runtime::Error;

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
pub struct InvocationError(String);

impl<E: Display> From<E> for InvocationError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl From<InvocationError> for Diagnostic {
    fn from(InvocationError(error_message): InvocationError) -> Self {
        Self { error_type: "failed".to_owned(), error_message }
    }
}

/// Writes traces to stdout, a JSON document a line, from the level that `EQUILIBRIUM_LOG` names on; `info`
/// where it names none. Beside what happened stand the invocation it belongs to, and the lane or the city.
pub fn init_tracing() {
    let level = std::env::var("EQUILIBRIUM_LOG").ok().and_then(|level| level.parse().ok());
    tracing::subscriber::set_global_default(traces(level.unwrap_or(LevelFilter::INFO), std::io::stdout))
        .expect("a process begins to trace once");
}

fn traces<W>(level: LevelFilter, to: W) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(level).with_writer(to).with_target(false);
    subscriber.flatten_event(true).with_current_span(false).with_span_list(true).finish()
}

/// The variable called `name`, as [`equilibrium_app::config::Variables`] looks it up.
#[must_use]
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Answers invocations of the function called `name` one after the other, each by JSON, and writes what
/// each measured to stdout, where `CloudWatch` takes it from.
///
/// # Errors
/// What ends the process: Lambda's runtime API cannot be reached.
pub async fn run<H>(name: &str, handle: H) -> Result<(), RuntimeError>
where
    H: AsyncFn(Invocation) -> Result<(Vec<u8>, Measurements), InvocationError>,
{
    let payload = Arc::new(Mutex::new(Bytes::new()));
    let taken = Arc::clone(&payload);
    let handle = &handle;
    let answer = move |event: LambdaEvent<()>| {
        let payload = std::mem::take(&mut *taken.lock());
        let request_id = event.context.request_id;
        let span = info_span!("invocation", function = name, request_id);
        async move {
            let now_ms = system_now_ms();
            let answer = handle(Invocation { payload, request_id: request_id.clone(), now_ms }).await;
            let answer = answer.and_then(|(answer, measures)| {
                let context = Context { function: name, request_id: &request_id, now_ms };
                println!("{}", measures.document(&context));
                Ok(RawValue::from_string(String::from_utf8(answer)?)?)
            });
            answer.inspect_err(|InvocationError(reason)| error!(reason, "invocation failed"))
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
        *self.payload.lock() = payload;
        self.inner.call(invocation)
    }
}

#[cfg(all(test, feature = "dynamodb"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;

    use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
    use equilibrium_domain::id::LaneId;
    use tracing::instrument::WithSubscriber;

    use super::*;
    use crate::dynamodb::{Checkpoints, Connection, Tables};
    use crate::retry::RetryPolicy;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_failure_names_its_invocation_and_its_lane() {
        let patience = RetryPolicy {
            call_timeout: Duration::from_secs(2),
            attempt_timeout: Duration::from_millis(500),
            max_attempts: 1,
        };
        // Nobody listens at port 1.
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:1")
            .build();
        let checkpoints = Checkpoints::new(&Connection::new(&sdk, patience), &Tables::named("test"));
        let written = Written::default();
        let to = written.clone();
        let load = async {
            let span = info_span!("invocation", function = "count", request_id = "r-1");
            let load = async { checkpoints.load(&CheckpointKey::Lane(LaneId(7))).await };
            load.instrument(span).await
        };
        let loaded = load.with_subscriber(traces(LevelFilter::INFO, move || to.clone())).await;
        assert!(loaded.is_err());
        let text = String::from_utf8(written.0.lock().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&line["level"], &line["request"]), (&"WARN".into(), &"Query".into()), "{text}");
        assert_eq!(line["spans"][0]["request_id"], "r-1");
        assert_eq!(line["spans"][1]["lane"], "7");
    }
}
