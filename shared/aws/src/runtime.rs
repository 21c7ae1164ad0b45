//! The process of a function around its handler: start, JSON log lines, invocations with raw payloads, and what follows
//! a response.

use parking_lot::Mutex;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use aws_config::{BehaviorVersion, SdkConfig};
use bytes::Bytes;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::config::Variables;
use equilibrium_app::telemetry::emf::{Context, MeasurementSums, Measurements};
use equilibrium_domain::recovery::{Outcome, Recovery};
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Subscriber, error, info_span};
use tracing_subscriber::fmt::MakeWriter;

/// Why the process of a function ends.
pub type RuntimeError = lambda_runtime::Error;

/// The environment variables of the process.
pub type Environment = Variables<fn(&str) -> Option<String>>;

/// The name of a function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionName<'a> {
    /// The deployment's name.
    pub deployment: &'a str,
    /// The function's short name, as `count`.
    pub function: &'static str,
}

/// One invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The payload, JSON, as Lambda sent it.
    pub payload: Bytes,
    /// Lambda's id of this invocation.
    pub request_id: String,
    /// The time of the invocation by the system clock, in milliseconds since the epoch.
    pub now_ms: i64,
}

/// Why an invocation failed: the message that Lambda receives.
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

/// Starts the process: initializes tracing, reads settings from the environment with `read`, and loads the
/// settings of the SDK's clients.
///
/// # Errors
/// All missing or invalid variables.
pub async fn start<T>(read: impl FnOnce(&mut Environment) -> T) -> Result<(T, SdkConfig), RuntimeError> {
    init_tracing();
    let mut variables: Environment = Variables::new(env_var);
    let settings = read(&mut variables);
    variables.finish()?;
    Ok((settings, aws_config::load_defaults(BehaviorVersion::latest()).await))
}

/// Writes log lines to stdout, one JSON document per line, at the level in `EQUILIBRIUM_LOG` and above (`info`
/// by default). Each has the spans of its invocation and of its lane or city.
fn init_tracing() {
    let level = std::env::var("EQUILIBRIUM_LOG").ok().and_then(|level| level.parse().ok());
    tracing::subscriber::set_global_default(subscriber(level.unwrap_or(LevelFilter::INFO), std::io::stdout))
        .expect("a process initializes tracing once");
}

fn subscriber<W>(level: LevelFilter, to: W) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().json().with_max_level(level).with_writer(to).with_target(false);
    builder.flatten_event(true).with_current_span(false).with_span_list(true).finish()
}

/// Ends the process if another instance has taken a checkpoint log of this one: Lambda starts a fresh environment in its place
/// (ADR 0032). The response was sent.
pub fn end_if(is_fenced: bool) {
    if is_fenced {
        error!("a checkpoint log has a higher epoch: this environment ends");
        std::process::exit(1);
    }
}

/// Logs the newest step of a recovery.
pub fn log_recovery(recovery: &Recovery) {
    let (id, outcome) = (recovery.id.as_str(), recovery.outcome.map(Outcome::as_str));
    let step = recovery.steps.last().map(|step| format!("{:?} {:?}", step.step, step.status));
    tracing::warn!(id, outcome, step, "recovery changed");
}

fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Handles invocations of the function called `name` one at a time. Each responds with JSON, and its metrics are
/// written to stdout now and then, from where `CloudWatch` extracts them.
///
/// `finish` runs between a response and the next invocation. Lambda delivers the response meanwhile, and freezes the process
/// only once it asks for the next invocation ("Running code after returning a response from an AWS Lambda function", AWS
/// Compute Blog): what a handler began and did not wait for goes on there.
///
/// # Errors
/// The Lambda Runtime API cannot be reached.
pub async fn run<H, F>(name: FunctionName<'_>, handle: H, finish: F) -> Result<(), RuntimeError>
where
    H: AsyncFn(Invocation) -> Result<(Vec<u8>, Measurements), InvocationError>,
    F: AsyncFn(),
{
    let payload = Arc::new(Mutex::new(Bytes::new()));
    let raw_payload = Arc::clone(&payload);
    let sums = &Mutex::new(MeasurementSums::default());
    let (handle, finish) = (&handle, &finish);
    let FunctionName { deployment, function } = name;
    let respond = move |event: LambdaEvent<()>| {
        let payload = std::mem::take(&mut *raw_payload.lock());
        let request_id = event.context.request_id;
        let span = info_span!("invocation", function, request_id);
        async move {
            let now_ms = system_now_ms();
            let handled = handle(Invocation { payload, request_id: request_id.clone(), now_ms }).await;
            let response = handled.and_then(|(response, measurements)| {
                if let Some(measurements) = sums.lock().add(measurements, now_ms) {
                    let context = Context { deployment, function, request_id: &request_id, now_ms };
                    println!("{}", measurements.document(&context));
                }
                Ok(RawValue::from_string(String::from_utf8(response)?)?)
            });
            response.inspect_err(|InvocationError(reason)| error!(reason, "invocation failed"))
        }
        .instrument(span)
    };
    let around = layer_fn(|inner| Around { inner, payload: Arc::clone(&payload), finish });
    Runtime::new(service_fn(respond)).layer(around).run().await
}

/// Takes the payload before the runtime parses it, so that only the handler parses its up to six megabytes, and runs
/// `finish` after the response.
#[derive(Debug)]
struct Around<'a, S, F> {
    inner: S,
    payload: Arc<Mutex<Bytes>>,
    finish: &'a F,
}

impl<'a, S, F> Service<LambdaInvocation> for Around<'a, S, F>
where
    S: Service<LambdaInvocation>,
    S::Future: 'a,
    F: AsyncFn(),
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + 'a>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let payload = std::mem::replace(&mut invocation.body, Bytes::from_static(b"null"));
        *self.payload.lock() = payload;
        let (call, finish) = (self.inner.call(invocation), self.finish);
        Box::pin(async move {
            let responded = call.await;
            finish().await;
            responded
        })
    }
}

#[cfg(all(test, feature = "dynamodb"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io;
    use std::time::Duration;

    use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
    use equilibrium_domain::count::lane_range::LaneRange;
    use equilibrium_domain::id::{LaneCount, LaneId};
    use tracing::instrument::WithSubscriber;

    use super::*;
    use crate::dynamodb::{Checkpoints, Connection, Tables};
    use crate::retry::RetryPolicy;

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_log_line_names_its_invocation_and_its_lane() {
        let policy = RetryPolicy {
            call_timeout: Duration::from_secs(2),
            attempt_timeout: Duration::from_millis(500),
            max_attempts: 1,
        };
        // Nothing listens on port 1.
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .endpoint_url("http://127.0.0.1:1")
            .build();
        let checkpoints = Checkpoints::new(&Connection::new(&sdk, policy), &Tables::named("test"));
        let output = Output::default();
        let to = output.clone();
        let load = async {
            let span = info_span!("invocation", function = "count", request_id = "r-1");
            let range = LaneRange::of(LaneId(7), LaneCount::new(64).unwrap());
            let load = async { checkpoints.load(&CheckpointKey::Lanes(range), None).await };
            load.instrument(span).await
        };
        let loaded = load.with_subscriber(subscriber(LevelFilter::INFO, move || to.clone())).await;
        assert!(loaded.is_err());
        let text = String::from_utf8(output.0.lock().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((&line["level"], &line["request"]), (&"WARN".into(), &"Query".into()), "{text}");
        assert_eq!(line["spans"][0]["request_id"], "r-1");
        assert_eq!(line["spans"][1]["lanes"], "lanes-64/1");
    }
}
