//! `equilibrium`: the command line (CONTRACT §4).

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use equilibrium_domain::id::LaneCount;
use equilibrium_local::city;
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
}

fn lanes(text: &str) -> Result<LaneCount, String> {
    let lanes = text.parse().ok().and_then(LaneCount::new);
    lanes.ok_or_else(|| "not a power of two from 1 to 65536".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut stderr = io::BufWriter::new(io::stderr());
    let (line, status) = match Arguments::parse().command {
        Command::Replay { events, out, city, lanes } => {
            match (Replay { events, out, city, lanes }).run(&mut stderr).await {
                Ok(Summary { events, refused, late, ticks }) => {
                    (format!("events={events} refused={refused} late={late} ticks={ticks}"), 0)
                }
                Err(error) => (format!("equilibrium: {error}"), error.status()),
            }
        }
        Command::City { seed, minutes, out } => match city::write_city_file(seed, minutes, &out) {
            Ok(events) => (format!("events={events}"), 0),
            Err(error) => (format!("equilibrium: {error}"), error.status()),
        },
    };
    // Whoever closed stderr does not want to know.
    drop(writeln!(stderr, "{line}").and_then(|()| stderr.flush()));
    ExitCode::from(status)
}
