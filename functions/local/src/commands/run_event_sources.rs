//! `equilibrium run-event-sources`: what Lambda does between a deployment's streams and its functions, where
//! nobody else does it.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cloudwatch::Metrics;
use equilibrium_aws::invoke::LambdaInvoker;
use equilibrium_aws::kinesis::{Connection, KinesisConsumer};
use equilibrium_aws::on_failure::SqsOnFailureDestination;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_event_source::mapping;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, SourceError, Target};
use equilibrium_event_source::settings::SettingsError;
use equilibrium_lambda::kinesis::encode;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use equilibrium_event_source::service::mapping_task::MappingTask;
use equilibrium_event_source::service::position_file::{PositionFile, PositionsError};
use equilibrium_event_source::service::runtime_api::{Function, LambdaProcess};
use equilibrium_event_source::service::{control_api, mapping_config};

/// How long an invocation may take: a stream's functions are deployed with as much.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A call to `CloudWatch` or to the queue of discarded records ends within this.
const DEADLINE: Duration = Duration::from_secs(5);

/// An emulator has half a second for some calls, and the machine it runs on has others.
const PATIENCE: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(20),
    attempt_timeout: Duration::from_secs(8),
    max_attempts: 3,
};

/// Which streams go to which functions, and how.
#[derive(Clone, Debug)]
pub struct RunEventSources {
    /// What the names of streams, functions and queues begin with.
    pub deployment: String,
    /// What is invoked.
    pub targets: Targets,
    /// Pause after a read that brought nothing, in milliseconds.
    pub poll_ms: i64,
    /// The port on the loopback interface where mappings are listed, disabled and enabled; 0 takes a free
    /// one.
    pub control: Option<u16>,
    /// The folder that keeps positions across restarts; without, every shard begins at its oldest record,
    /// and the functions skip what they know.
    pub positions: Option<PathBuf>,
}

/// What is invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// The deployment's functions, through Lambda's Invoke API.
    Lambda,
    /// Functions by their short names, through the Invoke API at this URL: `cargo lambda watch`.
    Watch(String),
    /// Programs in this folder (`count/bootstrap` and so on), run here as Lambda runs them.
    Programs(PathBuf),
}

/// Why nothing is run.
#[derive(Debug, Error)]
pub enum EventSourcesError {
    /// A stream cannot be described.
    #[error("stream {name}: {cause}")]
    Stream {
        /// Its name.
        name: String,
        /// Why.
        cause: SourceError,
    },
    /// A queue is not there.
    #[error("queue {name}: {cause}")]
    Queue {
        /// Its name.
        name: String,
        /// Why.
        cause: Unavailable,
    },
    /// Positions cannot be used.
    #[error(transparent)]
    Positions(#[from] PositionsError),
    /// No mapping can have these settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system gives no port, no folder or no signals.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A function of a deployment.
#[derive(Debug)]
enum Invocable {
    Invoked(LambdaInvoker),
    Hosted(Box<LambdaProcess>),
}

impl Target for Invocable {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        match self {
            Self::Invoked(function) => function.invoke(payload).await,
            Self::Hosted(function) => function.invoke(payload).await,
        }
    }
}

impl RunEventSources {
    /// Runs until the process is told to stop; `say` hears what a person wants to know.
    ///
    /// # Errors
    /// [`EventSourcesError`]; nothing was invoked then.
    pub async fn run(self, say: impl Fn(String)) -> Result<(), EventSourcesError> {
        let mut interrupts = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let kinesis = Connection::new(&sdk, PATIENCE);
        if let Some(folder) = &self.positions {
            std::fs::create_dir_all(folder)?;
        }
        let listener = match self.control {
            Some(port) => Some(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?),
            None => None,
        };

        let mut mapped = Vec::new();
        for (name, names) in mapping_config::mappings() {
            let stream_name = format!("{}-{}", self.deployment, names.stream);
            let stream = KinesisConsumer::new(&kinesis, &stream_name);
            let arn = stream.arn().await;
            let stream_arn = arn.map_err(|cause| EventSourcesError::Stream { name: stream_name, cause })?;
            let function_arn = beside(&stream_arn, "lambda", &format!("function:{}-{name}", self.deployment));
            let queue = format!("{}-{}", self.deployment, names.on_failure);
            let discards_arn = beside(&stream_arn, "sqs", &queue);
            let discards = SqsOnFailureDestination::find(
                &sdk,
                &queue,
                function_arn.clone(),
                stream_arn.clone(),
                DEADLINE,
            )
            .await;
            let discards = discards.map_err(|cause| EventSourcesError::Queue { name: queue, cause })?;
            let (positions, saved) = match &self.positions {
                Some(folder) => {
                    let (positions, saved) = PositionFile::open(folder, &name)?;
                    (Some(positions), saved)
                }
                None => (None, Vec::new()),
            };
            let envelope = encode::Stream {
                region: stream_arn.split(':').nth(3).unwrap_or_default().into(),
                role_arn: function_arn.as_str().into(),
                arn: stream_arn.as_str().into(),
            };
            let mapping = mapping::EventSourceMapping::new(names.settings(self.poll_ms), envelope, saved)?;
            let runner = EventSourcePoller::of(mapping, stream, self.target(&sdk, &name), discards);
            mapped.push((
                Arc::new(MappingTask::new(name, function_arn, stream_arn, discards_arn, names)),
                runner,
                positions,
            ));
        }

        let (stopping, stop) = watch::channel(false);
        let all: Arc<[Arc<MappingTask>]> = mapped.iter().map(|(mapped, ..)| Arc::clone(mapped)).collect();
        for MappingTask { name, uuid, stream_arn, .. } in all.iter().map(Arc::as_ref) {
            say(format!("{stream_arn} goes to {name} ({}), mapping {uuid}", self.targets));
        }
        let mut work = tokio::task::JoinSet::new();
        if let Some(listener) = listener {
            say(format!("mappings are listed and changed at http://{}", listener.local_addr()?));
            work.spawn(control_api::serve(listener, all, stop.clone()));
        }
        let metrics = Metrics::new(&sdk, DEADLINE);
        for (mapped, runner, positions) in mapped {
            let (metrics, stop) = (metrics.clone(), stop.clone());
            work.spawn(async move { Box::pin(mapped.run(runner, positions, metrics, stop)).await });
        }
        let [interrupt, terminate] = &mut interrupts;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stopping.send_replace(true);
        // Tasks end by themselves; one that panicked has said so.
        while work.join_next().await.is_some() {}
        Ok(())
    }

    fn target(&self, sdk: &SdkConfig, name: &str) -> Invocable {
        match &self.targets {
            Targets::Lambda => Invocable::Invoked(LambdaInvoker::new(
                sdk,
                None,
                format!("{}-{name}", self.deployment),
                TIMEOUT,
            )),
            Targets::Watch(url) => {
                Invocable::Invoked(LambdaInvoker::new(sdk, Some(url), name.to_owned(), TIMEOUT))
            }
            Targets::Programs(folder) => Invocable::Hosted(Box::new(LambdaProcess::new(Function {
                name: format!("{}-{name}", self.deployment),
                program: folder.join(name).join("bootstrap"),
                environment: inherited(),
                timeout: TIMEOUT,
            }))),
        }
    }
}

/// What a hosted function is told: all that concerns it of what this process was told.
fn inherited() -> Vec<(String, String)> {
    let concerns = |name: &str| name.starts_with("EQUILIBRIUM_") || name.starts_with("AWS_");
    std::env::vars().filter(|(name, _)| concerns(name)).collect()
}

/// The ARN of something of another service, in the account and region of a stream.
fn beside(stream_arn: &str, service: &str, resource: &str) -> String {
    let place = stream_arn.rsplit_once(':').map_or("", |(place, _)| place);
    format!("{}:{resource}", place.replacen(":kinesis:", &format!(":{service}:"), 1))
}

impl std::fmt::Display for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lambda => f.write_str("through Lambda's Invoke API"),
            Self::Watch(url) => write!(f, "at {url}"),
            Self::Programs(folder) => write!(f, "in {}", folder.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_lies_beside_its_stream() {
        let stream = "arn:aws:kinesis:eu-central-1:123456789012:stream/live-events";
        let function = "arn:aws:lambda:eu-central-1:123456789012:function:live-count";
        assert_eq!(beside(stream, "lambda", "function:live-count"), function);
    }
}
