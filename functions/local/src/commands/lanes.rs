//! `equilibrium lanes`: lists the logs that cannot go on, and has them resumed (ARCHITECTURE.md, "Parking").

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use equilibrium_app::checkpoint::parking::{self, ParkedLog, Resume, ResumeError};
use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
use equilibrium_app::clock::Clock;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_embedded::database::Database;
use equilibrium_embedded::open_error::OpenError;
use equilibrium_embedded::store::Store;
use thiserror::Error;
use tokio::runtime::Builder;

use crate::commands::terminal::Exit;
use crate::host::console::print;

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct LanesCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the parked logs: name, since when, waiting records, epoch, and why.
    List(Target),
    /// Resume a log whose entries can be read again; its waiting records are processed first.
    Retry(ParkedLogArguments),
    /// Resume a log without the entries that cannot be read: what only they held is lost. Its waiting records are
    /// processed first.
    Unpark(ParkedLogArguments),
}

/// Where the logs are.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The folder of a server that is stopped.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Prefix of the names of tables.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME")]
    deployment: Option<String>,
}

#[derive(Debug, Args)]
struct ParkedLogArguments {
    /// The name that `list` prints: `lanes-64/7`, `city/nyc`.
    #[arg(value_name = "LOG", value_parser = parse_log)]
    log: CheckpointKey,
    #[command(flatten)]
    target: Target,
}

/// Why the command failed.
#[derive(Debug, Error)]
pub enum LanesError {
    /// The folder cannot be used.
    #[error(transparent)]
    Data(#[from] OpenError),
    /// The folder cannot be written.
    #[error("{}: {cause}", folder.display())]
    Unwritten {
        /// The folder.
        folder: PathBuf,
        /// The error of the write.
        cause: String,
    },
    /// The logs cannot be read.
    #[error("the checkpoint logs: {0}")]
    Unread(#[from] Unavailable),
    /// The log was not resumed.
    #[error("{log}: {cause}")]
    NotResumed {
        /// The log.
        log: CheckpointKey,
        /// Why.
        cause: ResumeError,
    },
    /// The system refused a thread.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

impl LanesError {
    /// The exit status (CONTRACT §4).
    fn status(&self) -> u8 {
        if matches!(self, Self::Data(_)) { 2 } else { 1 }
    }
}

impl LanesCommand {
    /// Runs the command.
    #[must_use]
    pub fn execute(self) -> Exit {
        match self.run() {
            Ok(()) => Exit::success(),
            Err(error) => Exit::failure(error.status(), error),
        }
    }

    fn run(self) -> Result<(), LanesError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let target = match &self.action {
                Action::List(target) => target,
                Action::Retry(arguments) | Action::Unpark(arguments) => &arguments.target,
            };
            if let Some(folder) = &target.data {
                return self.action.run_in(folder).await;
            }
            #[cfg(feature = "aws")]
            if let Some(deployment) = &target.deployment {
                return self.action.run_over(&deployed_logs(deployment).await).await;
            }
            Ok(())
        })
    }
}

impl Action {
    /// Runs over the logs of a folder, which no other process uses meanwhile.
    async fn run_in(&self, folder: &Path) -> Result<(), LanesError> {
        let (database, lanes, contents) = Database::open_existing(folder)?;
        let store = Store::on_disk(lanes, Clock::live(std::num::NonZeroU32::MIN), database, contents);
        let done = self.run_over(&store).await;
        store.close();
        match store.write_error() {
            Some(cause) => Err(LanesError::Unwritten { folder: folder.to_owned(), cause: cause.to_string() }),
            None => done,
        }
    }

    async fn run_over(&self, logs: &impl CheckpointLog) -> Result<(), LanesError> {
        let (log, how, done) = match self {
            Self::List(_) => {
                let parked = parking::list(logs).await?;
                parked.iter().for_each(|parked| print(&line(parked)));
                if parked.is_empty() {
                    print("no log is parked\n");
                }
                return Ok(());
            }
            Self::Retry(ParkedLogArguments { log, .. }) => (log, Resume::Retry, "is read again"),
            Self::Unpark(ParkedLogArguments { log, .. }) => {
                (log, Resume::Unpark, "goes on without the entries that cannot be read")
            }
        };
        let resumed = parking::resume(logs, log, how).await;
        resumed.map_err(|cause| LanesError::NotResumed { log: log.clone(), cause })?;
        print(&format!("{log} {done}; the next batch processes its waiting records first\n"));
        Ok(())
    }
}

fn line(parked: &ParkedLog) -> String {
    let ParkedLog { key, since, reason, is_resumed, records, bytes, epoch } = parked;
    let resumed = if *is_resumed { "resumed, " } else { "" };
    format!(
        "{key}\t{resumed}parked since {since}\t{records} records wait ({bytes} bytes)\tepoch {epoch}\t{reason}\n"
    )
}

fn parse_log(text: &str) -> Result<CheckpointKey, &'static str> {
    let log = CheckpointKey::parse(text).filter(|log| log.parked_records().is_some());
    log.ok_or("not the name of a log, as `equilibrium lanes list` prints it")
}

#[cfg(feature = "aws")]
async fn deployed_logs(deployment: &str) -> equilibrium_aws::dynamodb::Checkpoints {
    use equilibrium_aws::dynamodb::{Checkpoints, Connection, Tables};
    use equilibrium_aws::retry::RetryPolicy;

    let sdk = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    Checkpoints::new(&Connection::new(&sdk, RetryPolicy::default()), &Tables::named(deployment))
}
