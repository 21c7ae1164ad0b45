//! `equilibrium`: maps the arguments of the command line to one command (CONTRACT §4).

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use equilibrium_domain::id::LaneCount;
use equilibrium_local::commands::city;
#[cfg(feature = "aws")]
use equilibrium_local::commands::feed::FeedCommand;
#[cfg(feature = "aws")]
use equilibrium_local::commands::policies;
use equilibrium_local::commands::replay::Replay;
#[cfg(feature = "aws")]
use equilibrium_local::commands::run_event_sources::{RunEventSources, Targets};
use equilibrium_local::commands::serve::Serve;
use equilibrium_local::commands::terminal::Exit;
#[cfg(feature = "aws")]
use equilibrium_local::commands::terminal::print;
use equilibrium_local::workload::source::FeedSource;

/// Real-time surge pricing for ride-hailing and delivery marketplaces.
#[derive(Parser)]
#[command(name = "equilibrium", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API with all functions in one process; the default command.
    Serve(ServeArguments),
    /// Prices a file of market events tick by tick, in event time, as fast as possible.
    Replay {
        /// File of market events: NDJSON, plain or gzip.
        events: PathBuf,
        /// Output file, NDJSON: one line for each tick and reported cell.
        #[arg(long)]
        out: PathBuf,
        /// City file: one policy, or an array of policies. Without it every city is accepted.
        #[arg(long)]
        city: Option<PathBuf>,
        /// Lanes of the event log, a power of two; the output is the same for every number.
        #[arg(long, default_value = "1", value_parser = lanes)]
        lanes: LaneCount,
    },
    /// Writes the events of the simulated city; the same seed gives the same file on every machine.
    City {
        /// Random seed.
        #[arg(long, default_value = "1")]
        seed: u64,
        /// Duration in minutes, from noon.
        #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
        /// Output file, NDJSON: about 40,000 lines and 7 MB a minute.
        #[arg(long)]
        out: PathBuf,
    },
    #[cfg(feature = "aws")]
    #[command(flatten)]
    Deployment(DeploymentCommand),
}

#[cfg(feature = "aws")]
#[derive(Subcommand)]
enum DeploymentCommand {
    /// Runs Lambda's Kinesis event source mappings against a deployment.
    ///
    /// Region, credentials and endpoints come from the environment, as for every AWS client
    /// (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_KINESIS`).
    RunEventSources {
        /// Prefix of the names of streams, functions and queues.
        #[arg(long, default_value = "equilibrium", env = "EQUILIBRIUM_DEPLOYMENT")]
        deployment: String,
        /// Functions to invoke: the deployed ones (`lambda`), those of `cargo lambda watch` at a URL, or the
        /// programs FOLDER/NAME/bootstrap, run with a Lambda Runtime API.
        #[arg(long, default_value = "lambda", value_name = "lambda|URL|FOLDER", value_parser = PathBufValueParser::new().map(targets))]
        to: Targets,
        /// Poll interval for an idle shard, in milliseconds.
        #[arg(long, default_value = "200", value_parser = clap::value_parser!(i64).range(0..=300_000))]
        poll_ms: i64,
        /// Port on 127.0.0.1 that lists, disables and enables mappings with the calls of Lambda's API; 0 takes
        /// a free one.
        #[arg(long)]
        control_port: Option<u16>,
        /// Directory for shard positions. Without it every shard is read from its oldest record.
        #[arg(long, value_name = "DIR")]
        positions: Option<PathBuf>,
    },
    /// Posts the simulated city, or a file, to the `POST /v1/events` of a deployment.
    Feed {
        /// URL, including `/v1/events`.
        url: hyper::Uri,
        /// File of market events, with timestamps shifted to start now. Without it the simulated city.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Random seed of the simulated city.
        #[arg(long, default_value = "1")]
        seed: u64,
        /// Number of drivers of the simulated city.
        #[arg(long)]
        drivers: Option<NonZeroU32>,
    },
    /// Saves policies where the functions of a deployment read them.
    Policies {
        /// Prefix of the names of tables.
        #[arg(long, default_value = "equilibrium", env = "EQUILIBRIUM_DEPLOYMENT")]
        deployment: String,
        /// City file: one policy, or an array of policies. Without it the simulated city's.
        #[arg(long, value_name = "FILE")]
        city: Option<PathBuf>,
    },
}

#[derive(Args)]
struct ServeArguments {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value = "8080")]
    port: u16,
    /// Event source in addition to the API: built-in simulator, none, or an NDJSON file with timestamps shifted
    /// to start now.
    #[arg(long, default_value = "city", value_name = "city|none|FILE", value_parser = PathBufValueParser::new().map(feed))]
    feed: FeedSource,
    /// Run the process clock N times faster than real time, 1 to 1000.
    #[arg(long, default_value = "1", value_name = "N", value_parser = speed)]
    speed: NonZeroU32,
    /// City file: one policy, or an array of policies. Without it New York.
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// Persist to DIR. Events are on disk before they are acknowledged; everything else is written behind.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Random seed of the simulated city.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Lanes of the event log, a power of two.
    #[arg(long, default_value = "64", value_parser = lanes)]
    lanes: LaneCount,
    /// How long a tick waits for its last lane, in milliseconds.
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = clap::value_parser!(i64).range(0..))]
    max_hold_ms: i64,
    /// Require bearer tokens (not supported yet); the server listens on the loopback interface only.
    #[arg(long, default_value = "off")]
    auth: Auth,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Auth {
    On,
    Off,
}

fn lanes(text: &str) -> Result<LaneCount, String> {
    let lanes = text.parse().ok().and_then(LaneCount::new);
    lanes.ok_or_else(|| "not a power of two from 1 to 65536".into())
}

fn speed(text: &str) -> Result<NonZeroU32, String> {
    let speed = text.parse().ok().filter(|speed: &NonZeroU32| speed.get() <= 1_000);
    speed.ok_or_else(|| "not a whole number from 1 to 1000".into())
}

#[cfg(feature = "aws")]
fn targets(target: PathBuf) -> Targets {
    match target.to_str() {
        Some("lambda") => Targets::Lambda,
        Some(url) if url.contains("://") => Targets::Watch(url.to_owned()),
        _ => Targets::Programs(target),
    }
}

fn feed(path: PathBuf) -> FeedSource {
    match path.to_str() {
        Some("city") => FeedSource::City,
        Some("none") => FeedSource::None,
        _ => FeedSource::File(path),
    }
}

fn main() -> Exit {
    let Arguments { command, serve } = Arguments::parse();
    match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(arguments) => arguments.execute(),
        Command::Replay { events, out, city, lanes } => Replay { events, out, city, lanes }.execute(),
        Command::City { seed, minutes, out } => city::execute(seed, minutes, &out),
        #[cfg(feature = "aws")]
        Command::Deployment(command) => command.execute(),
    }
}

impl ServeArguments {
    fn execute(self) -> Exit {
        let Self { port, feed, speed, city, data, seed, lanes, max_hold_ms, auth } = self;
        if auth == Auth::On {
            return Exit::failure(2, "--auth on: authentication is not supported in this version");
        }
        Serve { port, feed, speed, city, data, seed, lanes, max_hold_ms }.execute()
    }
}

#[cfg(feature = "aws")]
impl DeploymentCommand {
    fn execute(self) -> Exit {
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
        let runtime = match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => return Exit::failure(1, error),
        };
        match runtime.block_on(self.run()) {
            Ok(()) => Exit::success(),
            Err(error) => Exit::failure(1, error),
        }
    }

    async fn run(self) -> Result<(), Box<dyn std::error::Error>> {
        match self {
            Self::RunEventSources { deployment, to: targets, poll_ms, control_port, positions } => {
                let sources = RunEventSources { deployment, targets, poll_ms, control_port, positions };
                sources.run(print).await?;
            }
            Self::Feed { url, file, seed, drivers } => FeedCommand { url, file, seed, drivers }.run().await?,
            Self::Policies { deployment, city } => policies::run(&deployment, city.as_deref(), print).await?,
        }
        Ok(())
    }
}
