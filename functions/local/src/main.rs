//! `equilibrium`: the command line (CONTRACT §4).

use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use equilibrium_domain::id::LaneCount;
use equilibrium_local::commands::city;
#[cfg(feature = "aws")]
use equilibrium_local::commands::feed::FeedCommand;
#[cfg(feature = "aws")]
use equilibrium_local::commands::policies;
use equilibrium_local::commands::replay::{Replay, Summary};
#[cfg(feature = "aws")]
use equilibrium_local::commands::run_event_sources::{RunEventSources, Targets};
use equilibrium_local::commands::serve::Serve;
use equilibrium_local::workload::source::FeedSource;

/// Prices that keep a marketplace's supply and demand in balance.
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
    /// Serves the API, every function in one process; the same as no command.
    Serve(ServeArguments),
    /// Prices a file of market events, tick by tick, as fast as it goes.
    Replay {
        /// Market events: NDJSON, plain or gzip.
        events: PathBuf,
        /// Where the ticks go, NDJSON: a line for each tick and reported cell.
        #[arg(long)]
        out: PathBuf,
        /// City file: one policy, or an array of them. Without it any city is taken.
        #[arg(long)]
        city: Option<PathBuf>,
        /// Lanes of the log, a power of two; the ticks are the same with any.
        #[arg(long, default_value = "1", value_parser = lanes)]
        lanes: LaneCount,
    },
    /// Writes the events of the simulated city: the same for the same seed, on every machine.
    City {
        /// Decides what happens.
        #[arg(long, default_value = "1")]
        seed: u64,
        /// How long, from noon on.
        #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
        /// Where the events go, NDJSON: some 40 000 lines and 7 MB a minute.
        #[arg(long)]
        out: PathBuf,
    },
    #[cfg(feature = "aws")]
    #[command(flatten)]
    Deployed(Deployed),
}

#[cfg(feature = "aws")]
#[derive(Subcommand)]
enum Deployed {
    /// Does between a deployment's streams and its functions what Lambda's event source mappings do.
    ///
    /// Region, credentials and endpoints come from the environment, as for every AWS client
    /// (`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_KINESIS`).
    RunEventSources {
        /// What the names of its streams, functions and queues begin with.
        #[arg(long, default_value = "equilibrium", env = "EQUILIBRIUM_DEPLOYMENT")]
        deployment: String,
        /// What is invoked: the deployed functions (`lambda`), those of `cargo lambda watch` at a URL, or
        /// the programs of a folder (FOLDER/count/bootstrap), run here as Lambda runs them.
        #[arg(long, default_value = "lambda", value_name = "lambda|URL|FOLDER", value_parser = PathBufValueParser::new().map(targets))]
        to: Targets,
        /// Pause after a look that brought nothing, in milliseconds.
        #[arg(long, default_value = "200", value_parser = clap::value_parser!(i64).range(0..=300_000))]
        poll_ms: i64,
        /// The port on 127.0.0.1 where mappings are listed, disabled and enabled, with the calls of Lambda's
        /// API; 0 takes a free one.
        #[arg(long)]
        control_port: Option<u16>,
        /// Keeps how far each shard is done in this folder.
        #[arg(long, value_name = "DIR")]
        positions: Option<PathBuf>,
    },
    /// Posts the simulated city, or a file, to a deployment's `POST /v1/events`.
    Feed {
        /// The URL, `/v1/events` included.
        url: hyper::Uri,
        /// Market events whose first is now; without, the simulated city.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Decides what happens in the simulated city.
        #[arg(long, default_value = "1")]
        seed: u64,
        /// Its drivers.
        #[arg(long)]
        drivers: Option<NonZeroU32>,
    },
    /// Saves policies where a deployment's functions read them.
    Policies {
        /// What the names of its tables begin with.
        #[arg(long, default_value = "equilibrium", env = "EQUILIBRIUM_DEPLOYMENT")]
        deployment: String,
        /// City file: one policy, or an array of them. Without it the simulated city's.
        #[arg(long, value_name = "FILE")]
        city: Option<PathBuf>,
    },
}

#[derive(Args)]
struct ServeArguments {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value = "8080")]
    port: u16,
    /// Where events come from beside the port: `city` (simulated), `none`, or a file that begins now.
    #[arg(long, default_value = "city", value_name = "city|none|FILE", value_parser = PathBufValueParser::new().map(feed))]
    feed: FeedSource,
    /// How much faster than the world's the process's clock runs, 1 to 1000.
    #[arg(long, default_value = "1", value_parser = speed)]
    speed: NonZeroU32,
    /// City file: one policy, or an array of them. Without it New York.
    #[arg(long, value_name = "FILE")]
    city: Option<PathBuf>,
    /// Keeps everything in this folder: events before they are acknowledged, and state across restarts.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Decides what happens in the simulated city.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Lanes of the log, a power of two.
    #[arg(long, default_value = "64", value_parser = lanes)]
    lanes: LaneCount,
    /// How long a tick waits for its last lane, in milliseconds.
    #[arg(long, default_value = "10000", value_name = "MS", value_parser = clap::value_parser!(i64).range(0..))]
    max_hold_ms: i64,
    /// Whether requests need a token; off, for nobody but this machine can ask.
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

fn main() -> ExitCode {
    let Arguments { command, serve } = Arguments::parse();
    let (line, status) = match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(arguments) => served(arguments),
        Command::Replay { events, out, city, lanes } => replayed(&Replay { events, out, city, lanes }),
        Command::City { seed, minutes, out } => match city::write_city_file(seed, minutes, &out) {
            Ok(events) => (format!("events={events}\n"), 0),
            Err(error) => (format!("equilibrium: {error}\n"), error.status()),
        },
        #[cfg(feature = "aws")]
        Command::Deployed(command) => deployed(command),
    };
    // Whoever closed stderr does not want to know.
    drop(io::stderr().write_all(line.as_bytes()));
    ExitCode::from(status)
}

fn served(arguments: ServeArguments) -> (String, u8) {
    let ServeArguments { port, feed, speed, city, data, seed, lanes, max_hold_ms, auth } = arguments;
    if auth == Auth::On {
        return ("equilibrium: --auth on: this version knows no tokens to ask for\n".into(), 2);
    }
    match (Serve { port, feed, speed, city, data, seed, lanes, max_hold_ms }).run() {
        Ok(()) => (String::new(), 0),
        Err(error) => (format!("equilibrium: {error}\n"), error.status()),
    }
}

#[cfg(feature = "aws")]
fn deployed(command: Deployed) -> (String, u8) {
    tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).init();
    let failed = |error: &dyn std::fmt::Display| (format!("equilibrium: {error}\n"), 1);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let say = |line: String| drop(writeln!(io::stdout(), "{line}"));
    match command {
        Deployed::RunEventSources { deployment, to: targets, poll_ms, control_port: control, positions } => {
            let sources = RunEventSources { deployment, targets, poll_ms, control, positions };
            runtime.block_on(sources.run(say)).map_or_else(|error| failed(&error), |()| (String::new(), 0))
        }
        Deployed::Feed { url, file, seed, drivers } => {
            let feed = FeedCommand { url, file, seed, drivers };
            runtime.block_on(feed.run()).map_or_else(|error| failed(&error), |()| (String::new(), 0))
        }
        Deployed::Policies { deployment, city } => {
            match runtime.block_on(policies::save(&deployment, city.as_deref())) {
                Ok(saved) => {
                    saved.iter().for_each(|(city, version)| say(format!("{city}: version {version}")));
                    (String::new(), 0)
                }
                Err(error) => failed(&error),
            }
        }
    }
}

fn replayed(replay: &Replay) -> (String, u8) {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return (format!("equilibrium: {error}\n"), 1),
    };
    let mut refusals = io::BufWriter::new(io::stderr());
    let replayed = runtime.block_on(replay.run(&mut refusals));
    // The refused come before the summary.
    drop(refusals.flush());
    match replayed {
        Ok(Summary { events, refused, late, ticks }) => {
            (format!("events={events} refused={refused} late={late} ticks={ticks}\n"), 0)
        }
        Err(error) => (format!("equilibrium: {error}\n"), error.status()),
    }
}
