//! `equilibrium`: the command line (CONTRACT §4).

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use equilibrium_domain::id::LaneCount;
use equilibrium_local::replay::{Replay, Summary};

/// Prices that keep a marketplace's supply and demand in balance.
#[derive(Parser)]
#[command(name = "equilibrium", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
}

fn lanes(text: &str) -> Result<LaneCount, String> {
    let lanes = text.parse().ok().and_then(LaneCount::new);
    lanes.ok_or_else(|| "not a power of two from 1 to 65536".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Command::Replay { events, out, city, lanes } = Arguments::parse().command;
    let replay = Replay { events, out, city, lanes };
    let mut stderr = io::BufWriter::new(io::stderr());
    let outcome = replay.run(&mut stderr).await;
    let (line, status) = match outcome {
        Ok(Summary { events, refused, late, ticks }) => {
            (format!("events={events} refused={refused} late={late} ticks={ticks}"), 0)
        }
        Err(error) => (format!("equilibrium: {error}"), error.status()),
    };
    // Whoever closed stderr does not want to know.
    drop(writeln!(stderr, "{line}").and_then(|()| stderr.flush()));
    ExitCode::from(status)
}
