//! `equilibrium compare`: one file of events under two policies (CONTRACT §4).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use equilibrium_app::comparison::{Comparison, Difference, Figures, Report};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_domain::id::LaneCount;
use equilibrium_event_file::line_reader::BlockReader;
use tokio::runtime;

use crate::commands::city_file;
use crate::commands::output_file::{self, is_same_file};
use crate::commands::replay::engine::Engine;
use crate::commands::replay::{ReplayError, progress_bar};
use crate::commands::terminal::Exit;

/// What the figures leave out.
const CAVEAT: &str = "Riders and drivers that would have reacted to other prices are not in these figures.";

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct Compare {
    /// File of market events: NDJSON, plain or gzip.
    pub events: PathBuf,
    /// City file with the policies of one side; given twice.
    #[arg(long = "policy", value_name = "FILE", required = true, num_args = 1)]
    pub policies: Vec<PathBuf>,
    /// Output file, NDJSON: one line for each tick, product and cell whose multiplier differs.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Compare {
    /// Runs the command; the figures go to stdout, and their line for programs to stderr.
    #[must_use]
    pub fn execute(&self) -> Exit {
        let runtime = match runtime::Builder::new_current_thread().build() {
            Ok(runtime) => runtime,
            Err(error) => return Exit::failure(1, error),
        };
        let [a, b] = &self.policies[..] else {
            return Exit::failure(2, "--policy is given once for each of two sides");
        };
        match runtime.block_on(self.run([a, b])) {
            Ok((figures, totals)) => {
                let report = Report { figures: &figures, totals };
                // A closed stdout does not change the status.
                drop(write!(io::stdout(), "{report}\n{CAVEAT}\n"));
                Exit::summary(report.line())
            }
            Err(error) => Exit::failure(error.status(), error),
        }
    }

    async fn run(&self, files: [&PathBuf; 2]) -> Result<(Figures, [(u64, u64, u64); 2]), ReplayError> {
        let [a, b] = files;
        let policies = [read(a)?, read(b)?];
        let mut out = self.create_out(files)?;
        let blocks = BlockReader::open(&self.events)
            .map_err(|cause| ReplayError::Open { path: self.events.clone(), cause })?;
        let (comparison, [one, other]) = Comparison::new(policies.clone());
        let [first, second] = policies;
        // The comparison is the same for every number of lanes.
        let engine =
            |policies, side| Engine::new(policies, LaneCount::ONE, side).map_err(ReplayError::System);
        let mut engines = [engine(first, one)?, engine(second, other)?];
        // `equilibrium replay` lists the lines that a policy refuses.
        let mut refusals = io::sink();
        let progress = progress_bar(blocks.file_bytes);
        for block in blocks {
            let block = block.map_err(|cause| ReplayError::Read { path: self.events.clone(), cause })?;
            for engine in &mut engines {
                engine.push(&block.bytes, &mut refusals).await;
            }
            self.write(&mut out, &comparison.take_differences())?;
            progress.set_position(block.read_bytes);
        }
        let mut records = 0;
        for engine in &mut engines {
            records += engine.end(true, &mut refusals).await;
        }
        progress.finish_and_clear();
        if records > 0 {
            return Err(ReplayError::Unprocessed { records });
        }
        let figures = comparison.end();
        self.write(&mut out, &comparison.take_differences())?;
        if let (Some(out), Some(path)) = (&mut out, &self.out) {
            out.flush().map_err(output_file::write_error(path))?;
        }
        Ok((figures, engines.each_ref().map(Engine::totals)))
    }

    fn create_out(&self, files: [&PathBuf; 2]) -> Result<Option<BufWriter<File>>, ReplayError> {
        let Some(path) = &self.out else { return Ok(None) };
        if [&self.events, files[0], files[1]].into_iter().any(|input| is_same_file(input, path)) {
            return Err(output_file::is_input(path).into());
        }
        Ok(Some(BufWriter::new(output_file::create(path)?)))
    }

    fn write(
        &self,
        out: &mut Option<BufWriter<File>>,
        differences: &[Difference],
    ) -> Result<(), ReplayError> {
        let (Some(out), Some(path)) = (out, &self.out) else { return Ok(()) };
        for difference in differences {
            let written = serde_json::to_writer(&mut *out, difference).map_err(io::Error::from);
            written.and_then(|()| out.write_all(b"\n")).map_err(output_file::write_error(path))?;
        }
        Ok(())
    }
}

/// The policies of a file, under which no entity is evicted.
fn read(file: &Path) -> Result<Arc<PolicySet>, ReplayError> {
    let limits = ResourceLimits { max_entities: u32::MAX, ..ResourceLimits::default() };
    Ok(Arc::new(PolicySet::of(city_file::read_some_policies(file)?, limits)))
}
