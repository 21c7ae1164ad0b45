//! `equilibrium city`: writes the events of the simulated city to a file.

use std::path::PathBuf;

use clap::Args;
use equilibrium_simulator::city::write_city;

use crate::commands::output_file::{self, OutputError};
use crate::commands::terminal::Exit;
use crate::commands::whole;

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct CityCommand {
    /// Random seed.
    #[arg(long, default_value = "1", value_name = "N", value_parser = whole(0..=u64::MAX))]
    seed: u64,
    /// Duration from noon, in minutes: 1 to 10080.
    #[arg(long, default_value = "10", value_name = "N", value_parser = whole(1_u32..=10_080))]
    minutes: u32,
    /// Output file, NDJSON: about 40,000 lines and 7 MB a minute.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl CityCommand {
    /// Runs the command; the number of events goes to stderr.
    #[must_use]
    pub fn execute(&self) -> Exit {
        match self.run() {
            Ok(events) => Exit::summary(format_args!("events={events}")),
            Err(error) => Exit::failure(error.status(), error),
        }
    }

    fn run(&self) -> Result<u64, OutputError> {
        let mut file = output_file::create(&self.out)?;
        write_city(self.seed, self.minutes, &mut file).map_err(output_file::write_error(&self.out))
    }
}
