//! The pipeline over the lines of a file, in event time.

use std::io::{self, Write};
use std::sync::Arc;

use equilibrium_app::clock::Clock;
use equilibrium_app::ingest::record_packer::RecordPacker;
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_app::surge::ports::TickLog;
use equilibrium_domain::event;
use equilibrium_domain::id::LaneCount;
use equilibrium_embedded::pseudonym_key;
use equilibrium_embedded::store::Store;
use equilibrium_event_file::line_reader::LineSplitter;

use equilibrium_local_pipeline::pipeline::Pipeline;

/// Counts and prices the events of a file under one set of policies.
#[derive(Debug)]
pub struct Engine<T: TickLog> {
    pipeline: Pipeline<T, Arc<PolicySet>>,
    splitter: LineSplitter,
    intake: Intake,
}

/// Packs lines into the event log.
#[derive(Debug)]
struct Intake {
    packer: RecordPacker<Store>,
    /// Number of the last line, from 1.
    line: u64,
    events: u64,
    refused: u64,
}

impl<T: TickLog> Engine<T> {
    /// An engine that sends closed ticks to `ticks`.
    ///
    /// # Errors
    /// The system has no randomness.
    ///
    /// # Panics
    /// Never: the settings of the pipeline are valid.
    pub fn new(policies: Arc<PolicySet>, lanes: LaneCount, ticks: T) -> io::Result<Self> {
        let store = Store::in_memory(lanes, Clock::Replay);
        let pipeline = Pipeline::new(store.clone(), Arc::clone(&policies), ticks)
            .expect("the settings are within their bounds");
        // No key is known before, so no ids can be chosen to collide. The output is the same with every key.
        let key = Arc::new(pseudonym_key::random()?);
        let packer = RecordPacker::replay(store, lanes, policies, key);
        let intake = Intake { packer, line: 0, events: 0, refused: 0 };
        Ok(Self { pipeline, splitter: LineSplitter::default(), intake })
    }

    /// Processes the lines that end in a block of the file; each refused line is written to `refusals` as one line.
    pub async fn push(&mut self, block: &[u8], refusals: &mut impl Write) {
        let Self { pipeline, splitter, intake } = self;
        splitter.push(block, |line| intake.accept(line, refusals));
        pipeline.run().await;
    }

    /// Processes the last line, if the whole file was pushed, and closes every tick up to the greatest time of each city.
    /// Returns the number of records that could not be processed.
    pub async fn end(&mut self, is_whole: bool, refusals: &mut impl Write) -> usize {
        let Self { pipeline, splitter, intake } = self;
        if is_whole {
            std::mem::take(splitter).end(|line| intake.accept(line, refusals));
        }
        intake.packer.end();
        pipeline.run().await;
        pipeline.backlog()
    }

    /// The sink of closed ticks.
    pub fn ticks(&self) -> &T {
        self.pipeline.ticks()
    }

    /// The lines so far that are not blank, the refused ones of them, and the late events.
    pub fn totals(&self) -> (u64, u64, u64) {
        (self.intake.events, self.intake.refused, self.pipeline.count_metrics().late)
    }
}

impl Intake {
    fn accept(&mut self, line: &[u8], refusals: &mut impl Write) {
        self.line += 1;
        if event::is_blank(line) && line.len() <= event::MAX_EVENT_BYTES {
            return;
        }
        self.events += 1;
        let Err(refusal) = self.packer.line(line) else { return };
        self.refused += 1;
        // A report that cannot be written does not fail the replay.
        drop(writeln!(refusals, "line {}: {}: {refusal}", self.line, refusal.code()));
    }
}
