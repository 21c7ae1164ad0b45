//! The figures of a deployment under AWS's limits (docs/performance.md), each for a load of any size.

use std::fmt;

use equilibrium_app::checkpoint::ports::Loaded;

use super::{AwsFaults, AwsOutcome, AwsScenario, Crowd, Iteration, START_MS, Units};

/// What DynamoDB consumes for 672 events a second in calls of 100, over 64 lanes.
#[derive(Clone, Debug)]
pub struct Consumption(AwsOutcome);

impl Consumption {
    /// Of the simulated city over so many milliseconds.
    #[must_use]
    pub fn measure(duration_ms: i64, iterations: (Iteration, Iteration)) -> Self {
        Self(AwsScenario { iterations, ..AwsScenario::usual(1, duration_ms) }.run())
    }

    /// Write units for a million events.
    #[must_use]
    pub fn write_units(&self) -> u64 {
        self.per_million(|units| units.written)
    }

    /// Read units for a million events.
    #[must_use]
    pub fn read_units(&self) -> u64 {
        self.per_million(|units| units.half_read) / 2
    }

    fn per_million(&self, of: impl Fn(&Units) -> u64) -> u64 {
        self.0.units.values().map(of).sum::<u64>() * 1_000_000 / self.0.event_count
    }
}

impl fmt::Display for Consumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, written, read) = (self.0.event_count, self.write_units(), self.read_units());
        write!(f, "{events} events; {written} write units and {read} read units per million, of them")?;
        for (kind, units) in &self.0.units {
            let of = |units: u64| units * 1_000_000 / events;
            write!(f, "; {kind}: {} and {}", of(units.written), of(units.half_read) / 2)?;
        }
        Ok(())
    }
}

/// What `count` reads for a range of four lanes that it does not have in memory.
#[derive(Clone, Debug)]
pub struct Swap {
    /// Entities of each lane.
    pub entities: u32,
    /// How often the range was loaded.
    pub loads: u64,
    /// Requests for items with entries: queries.
    pub queries: u64,
    /// Requests for parts of snapshots, which are made at once.
    pub parts: u64,
    /// What the last load found.
    pub loaded: Loaded,
}

impl Swap {
    /// Replaces the environment after every batch of a shard with one range.
    ///
    /// # Panics
    /// If nothing was loaded.
    #[must_use]
    pub fn measure(entities: u32, duration_ms: i64) -> Self {
        let crowd = Crowd { drivers: 4 * entities, every_ms: 16_000 };
        let outcome = AwsScenario {
            faults: AwsFaults { swap_one_in: 1, ..AwsFaults::NONE },
            crowd: Some(crowd),
            lanes: 4,
            shards: 1,
            environments: 1,
            ..AwsScenario::usual(1, duration_ms)
        }
        .run();
        let reads = |kind: &str| outcome.units.get(kind).map_or(0, |units| units.reads);
        Self {
            entities,
            loads: outcome.functions[0].invocations,
            queries: reads("checkpoints of lanes"),
            parts: reads("checkpoints parts"),
            loaded: outcome.last_load.expect("every batch loads"),
        }
    }
}

impl fmt::Display for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entities, loads, queries, parts, loaded } = self;
        let snapshot = loaded.snapshot.as_ref().map_or(0, Vec::len);
        let entries: usize = loaded.entries.iter().map(Vec::len).sum();
        write!(
            f,
            "{entities} entities a lane; {loads} loads of a range of four lanes: {queries} queries, {parts} parts; at last a snapshot of {snapshot} bytes and {} entries of {entries} bytes",
            loaded.entries.len()
        )
    }
}

/// The snapshots of a city with many drivers, and its ticks meanwhile.
#[derive(Clone, Debug)]
pub struct Snapshots {
    drivers: u32,
    outcome: AwsOutcome,
}

impl Snapshots {
    /// Drivers who each send an event a minute, 15,625 a lane and four lanes a shard, for a while of which the last minute
    /// has all of them.
    #[must_use]
    pub fn measure(drivers: u32, lanes: u32, duration_ms: i64) -> Self {
        let shards = lanes as usize / 4;
        let scenario = AwsScenario {
            crowd: Some(Crowd { drivers, every_ms: 60_000 }),
            lanes,
            shards,
            environments: shards,
            ..AwsScenario::usual(1, duration_ms)
        };
        Self { drivers, outcome: scenario.run() }
    }

    /// How long saving a snapshot took at most, in milliseconds.
    #[must_use]
    pub fn longest_ms(&self) -> i64 {
        self.outcome.snapshots.iter().map(|saved| saved.saved_ms - saved.begun_ms).max().unwrap_or(0)
    }

    /// Over how many milliseconds the newest snapshots of all ranges were saved.
    #[must_use]
    pub fn round_ms(&self, ranges: usize) -> i64 {
        let newest = self.outcome.snapshots.iter().rev().take(ranges);
        let saved: Vec<i64> = newest.map(|saved| saved.saved_ms).collect();
        saved.iter().max().zip(saved.iter().min()).map_or(i64::MAX, |(last, first)| last - first)
    }

    /// Snapshots that were not saved.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.outcome.functions.iter().map(|function| function.checkpoint.snapshot_failures).sum()
    }

    /// From one map to the next, in milliseconds, at most.
    #[must_use]
    pub fn longest_gap_ms(&self) -> i64 {
        let maps = &self.outcome.published;
        maps.windows(2).map(|pair| pair[1].readable_ms - pair[0].readable_ms).max().unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshots = &self.outcome.snapshots;
        let bytes: usize = snapshots.iter().rev().take(16).map(|saved| saved.bytes).sum();
        let throttled: u64 = self.outcome.units.values().map(|units| units.throttled).sum();
        write!(
            f,
            "{} drivers: {} snapshots, each saved within {} ms, the last 16 within {} s ({bytes} bytes in all); {} failed, {throttled} requests throttled; from map to map {} s at most",
            self.drivers,
            snapshots.len(),
            self.longest_ms(),
            self.round_ms(16) / 1_000,
            self.failures(),
            self.longest_gap_ms() / 1_000,
        )
    }
}

/// From a tick's being due to its map's being in the store, in milliseconds, in order.
#[derive(Clone, Debug)]
pub struct TickDelays(Vec<i64>);

impl TickDelays {
    /// Of some seeds, each a minute long after ten seconds.
    #[must_use]
    pub fn measure(seeds: u64, iterations: (Iteration, Iteration)) -> Self {
        let run = |seed| AwsScenario { iterations, ..AwsScenario::usual(seed, 70_000) }.run().published;
        let maps = (0..seeds).flat_map(run).filter(|map| map.due_ms >= START_MS + 10_000);
        let mut delays: Vec<i64> = maps.map(|map| map.readable_ms - map.due_ms).collect();
        delays.sort_unstable();
        Self(delays)
    }

    /// So many percent of the delays are not above this.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> i64 {
        let index = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(index).copied().unwrap_or(i64::MAX)
    }
}

impl fmt::Display for TickDelays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |percent| self.percentile(percent);
        write!(f, "{} ticks: median {} ms, p95 {} ms, most {} ms", self.0.len(), of(50), of(95), of(100))
    }
}
