//! The commands for a deployment, which log to stderr.

use clap::Subcommand;
use tokio::runtime::Runtime;

use crate::commands::feed::FeedCommand;
use crate::commands::policies::PoliciesCommand;
use crate::commands::run_event_sources::RunEventSources;
use crate::commands::terminal::Exit;
use crate::host::console::print;

/// A command for a deployment.
#[derive(Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Run Lambda's Kinesis event source mappings against a deployment.
    ///
    /// Region, credentials and endpoints come from the environment, as for every AWS client
    /// (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_KINESIS`).
    RunEventSources(RunEventSources),
    /// Post the simulated city, or a file, to the `POST /v1/events` of a deployment.
    Feed(FeedCommand),
    /// Save policies where the functions of a deployment read them.
    Policies(PoliciesCommand),
}

impl DeploymentCommand {
    /// Runs the command.
    #[must_use]
    pub fn execute(self) -> Exit {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
        let runtime = match Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => return Exit::failure(1, error),
        };
        match self {
            Self::RunEventSources(sources) => Exit::of(runtime.block_on(sources.run(print))),
            Self::Feed(feed) => Exit::of(runtime.block_on(feed.run())),
            Self::Policies(policies) => Exit::of(runtime.block_on(policies.run(print))),
        }
    }
}
