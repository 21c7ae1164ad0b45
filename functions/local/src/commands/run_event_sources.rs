//! `equilibrium run-event-sources`: runs Lambda's Kinesis event source mappings against a deployment whose own
//! mappings are disabled.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cloudwatch::Metrics;
use equilibrium_aws::invoke::LambdaInvoker;
use equilibrium_aws::kinesis::{Connection, KinesisConsumer};
use equilibrium_aws::on_failure::SqsOnFailureDestination;
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_event_source::mapping::EventSourceMapping;
use equilibrium_event_source::poller::{EventSourcePoller, InvokeError, SourceError, Target};
use equilibrium_event_source::service::control_api;
use equilibrium_event_source::service::mapping_config::{self, MappingConfig};
use equilibrium_event_source::service::mapping_task::MappingTask;
use equilibrium_event_source::service::position_file::{PositionFile, PositionsError};
use equilibrium_event_source::service::runtime_api::{Function, LambdaProcess};
use equilibrium_event_source::settings::SettingsError;
use equilibrium_http_server::signals::StopSignals;
use equilibrium_lambda::kinesis::encode;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::commands::whole;

/// Timeout of an invocation, the same as that of the deployed functions.
const INVOCATION_TIMEOUT: Duration = Duration::from_mins(1);

/// Timeout of a call to `CloudWatch` or to the on-failure queue.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Retries of Kinesis calls. An emulator may take half a second for a call, or longer on a busy machine.
const KINESIS_RETRY: RetryPolicy = RetryPolicy {
    call_timeout: Duration::from_secs(20),
    attempt_timeout: Duration::from_secs(8),
    max_attempts: 3,
};

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct RunEventSources {
    /// Prefix of the names of streams, functions and queues.
    #[arg(long, default_value = "equilibrium", value_name = "NAME", env = "EQUILIBRIUM_DEPLOYMENT")]
    deployment: String,
    /// Functions to invoke: the deployed ones (`lambda`), those of `cargo lambda watch` at a URL, or the programs
    /// FOLDER/NAME/bootstrap, run with a Lambda Runtime API.
    #[arg(long = "to", default_value = "lambda", value_name = "lambda|URL|FOLDER", value_parser = PathBufValueParser::new().map(Targets::from))]
    targets: Targets,
    /// Poll interval for an idle shard, in milliseconds: 0 to 300000.
    #[arg(long, default_value = "200", value_name = "MS", value_parser = whole(0_i64..=300_000))]
    poll_ms: i64,
    /// Port on 127.0.0.1 that lists, disables and enables mappings with the calls of Lambda's API; 0 takes a free
    /// one.
    #[arg(long, value_name = "PORT", value_parser = whole(0..=u16::MAX))]
    control_port: Option<u16>,
    /// Directory for shard positions. Default: every shard is read from its oldest record.
    #[arg(long, value_name = "DIR")]
    positions: Option<PathBuf>,
}

/// The functions to invoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// The deployed functions, through Lambda's Invoke API.
    Lambda,
    /// Functions by their short names, through the Invoke API at this URL: `cargo lambda watch`.
    Watch(String),
    /// Programs in this folder (`count/bootstrap` and so on), each run with a Lambda Runtime API of its own.
    Programs(PathBuf),
}

impl From<PathBuf> for Targets {
    fn from(target: PathBuf) -> Self {
        match target.to_str() {
            Some("lambda") => Self::Lambda,
            Some(url) if url.contains("://") => Self::Watch(url.to_owned()),
            _ => Self::Programs(target),
        }
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lambda => f.write_str("through Lambda's Invoke API"),
            Self::Watch(url) => write!(f, "at {url}"),
            Self::Programs(folder) => write!(f, "in {}", folder.display()),
        }
    }
}

/// Why the mappings cannot run.
#[derive(Debug, Error)]
pub enum EventSourcesError {
    /// A stream cannot be described.
    #[error("stream {name}: {cause}")]
    Stream {
        /// The stream's name.
        name: String,
        /// The error of the call.
        cause: SourceError,
    },
    /// A queue cannot be found.
    #[error("queue {name}: {cause}")]
    Queue {
        /// The queue's name.
        name: String,
        /// The error of the call.
        cause: Unavailable,
    },
    /// A position file cannot be used.
    #[error(transparent)]
    Positions(#[from] PositionsError),
    /// The settings of a mapping are invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system refused a port, a folder or a signal handler.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A function of the deployment.
#[derive(Debug)]
enum Invocable {
    Remote(LambdaInvoker),
    Process(Box<LambdaProcess>),
}

impl Target for Invocable {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        match self {
            Self::Remote(function) => function.invoke(payload).await,
            Self::Process(function) => function.invoke(payload).await,
        }
    }
}

/// A mapping that is ready to run.
struct ReadyMapping {
    task: Arc<MappingTask>,
    poller: EventSourcePoller<KinesisConsumer, Invocable, SqsOnFailureDestination>,
    positions: Option<PositionFile>,
}

impl RunEventSources {
    /// Runs the mappings until a signal arrives; `print` receives a line for each mapping and for the control API.
    ///
    /// # Errors
    /// [`EventSourcesError`]; no function was invoked.
    pub async fn run(self, print: impl Fn(&str)) -> Result<(), EventSourcesError> {
        let mut signals = StopSignals::install()?;
        let sdk = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let kinesis = Connection::new(&sdk, KINESIS_RETRY);
        if let Some(folder) = &self.positions {
            std::fs::create_dir_all(folder)?;
        }
        let listener = match self.control_port {
            Some(port) => Some(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?),
            None => None,
        };
        let mut mappings = Vec::new();
        for (name, config) in mapping_config::mappings() {
            mappings.push(self.mapping(&sdk, &kinesis, name, config).await?);
        }

        let (stop_sender, stop) = watch::channel(false);
        let mapping_tasks: Arc<[Arc<MappingTask>]> =
            mappings.iter().map(|mapping| Arc::clone(&mapping.task)).collect();
        for MappingTask { name, uuid, stream_arn, .. } in mapping_tasks.iter().map(Arc::as_ref) {
            print(&format!("mapping {uuid}: {stream_arn} to {name} ({})\n", self.targets));
        }
        let mut running = JoinSet::new();
        if let Some(listener) = listener {
            print(&format!("control API at http://{}\n", listener.local_addr()?));
            running.spawn(control_api::serve(listener, mapping_tasks, stop.clone()));
        }
        let metrics = Metrics::new(&sdk, self.deployment.clone(), REPORT_TIMEOUT);
        for ReadyMapping { task, poller, positions } in mappings {
            let (metrics, stop) = (metrics.clone(), stop.clone());
            running.spawn(async move { Box::pin(task.run(poller, positions, metrics, stop)).await });
        }
        signals.received().await;
        stop_sender.send_replace(true);
        // The tasks end by themselves; the panic of a task has been printed.
        while running.join_next().await.is_some() {}
        Ok(())
    }

    /// Describes the stream, finds the queue and reads the positions of the mapping of the function `name`.
    async fn mapping(
        &self,
        sdk: &SdkConfig,
        kinesis: &Connection,
        name: String,
        config: MappingConfig,
    ) -> Result<ReadyMapping, EventSourcesError> {
        let stream_name = format!("{}-{}", self.deployment, config.stream);
        let consumer = KinesisConsumer::new(kinesis, &stream_name);
        let stream_arn = consumer.arn().await;
        let stream_arn =
            stream_arn.map_err(|cause| EventSourcesError::Stream { name: stream_name, cause })?;
        let function_arn =
            sibling_arn(&stream_arn, "lambda", &format!("function:{}-{name}", self.deployment));
        let queue_name = format!("{}-{}", self.deployment, config.on_failure);
        let queue_arn = sibling_arn(&stream_arn, "sqs", &queue_name);
        let (function, stream) = (function_arn.clone(), stream_arn.clone());
        let queue = SqsOnFailureDestination::find(sdk, &queue_name, function, stream, REPORT_TIMEOUT).await;
        let queue = queue.map_err(|cause| EventSourcesError::Queue { name: queue_name, cause })?;
        let (positions, saved) = match &self.positions {
            Some(folder) => {
                let (positions, saved) = PositionFile::open(folder, &name)?;
                (Some(positions), saved)
            }
            None => (None, Vec::new()),
        };
        let stream = encode::Stream {
            region: stream_arn.split(':').nth(3).unwrap_or_default().into(),
            role_arn: function_arn.as_str().into(),
            arn: stream_arn.as_str().into(),
        };
        let mapping = EventSourceMapping::new(config.settings(self.poll_ms), stream, saved)?;
        let poller = EventSourcePoller::of(mapping, consumer, self.target(sdk, &name), queue);
        let task = Arc::new(MappingTask::new(name, function_arn, stream_arn, queue_arn, config));
        Ok(ReadyMapping { task, poller, positions })
    }

    fn target(&self, sdk: &SdkConfig, name: &str) -> Invocable {
        let deployed_name = format!("{}-{name}", self.deployment);
        match &self.targets {
            Targets::Lambda => {
                Invocable::Remote(LambdaInvoker::new(sdk, None, deployed_name, INVOCATION_TIMEOUT))
            }
            Targets::Watch(url) => {
                Invocable::Remote(LambdaInvoker::new(sdk, Some(url), name.to_owned(), INVOCATION_TIMEOUT))
            }
            Targets::Programs(folder) => Invocable::Process(Box::new(LambdaProcess::new(Function {
                name: deployed_name,
                program: folder.join(name).join("bootstrap"),
                environment: function_environment(),
                timeout: INVOCATION_TIMEOUT,
            }))),
        }
    }
}

/// The variables of this process that are passed on to function processes.
fn function_environment() -> Vec<(String, String)> {
    let is_passed_on = |name: &str| name.starts_with("EQUILIBRIUM_") || name.starts_with("AWS_");
    std::env::vars().filter(|(name, _)| is_passed_on(name)).collect()
}

/// The ARN of a resource of another service, in the account and region of a stream.
fn sibling_arn(stream_arn: &str, service: &str, resource: &str) -> String {
    let account = stream_arn.rsplit_once(':').map_or("", |(account, _)| account);
    format!("{}:{resource}", account.replacen(":kinesis:", &format!(":{service}:"), 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_arn_has_the_account_and_region_of_the_stream() {
        let stream = "arn:aws:kinesis:eu-central-1:123456789012:stream/live-events";
        let function = "arn:aws:lambda:eu-central-1:123456789012:function:live-count";
        assert_eq!(sibling_arn(stream, "lambda", "function:live-count"), function);
    }
}
