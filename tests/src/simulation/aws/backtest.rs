//! A prediction of the capacity model, and what the simulated account then met.

use std::fmt;

use equilibrium_domain::capacity::growth::Scale;
use equilibrium_domain::capacity::system::{Capacity, Observed, Settings};

use super::{AwsOutcome, AwsScenario};

/// Component and metric of a figure.
type Name = (&'static str, &'static str);

/// The figures of a load of three times another, predicted from that one, and met.
#[derive(Clone, Debug)]
pub struct Backtest {
    /// The figures.
    pub rows: Vec<BacktestRow>,
}

/// A figure.
#[derive(Clone, Debug)]
pub struct BacktestRow {
    /// Component and metric.
    pub name: Name,
    /// What was measured at the smaller load.
    pub measured: f64,
    /// What the model predicts of it.
    pub predicted: f64,
    /// What the larger load met.
    pub met: f64,
}

impl Backtest {
    /// Runs the simulated city with `drivers` and with three times as many, each for so many milliseconds.
    ///
    /// # Panics
    /// If the model lacks a figure.
    #[must_use]
    pub fn measure(seed: u64, drivers: u32, duration_ms: i64) -> Self {
        let scenario = AwsScenario { drivers, ..AwsScenario::usual(seed, duration_ms) };
        let smaller = scenario.run();
        let larger = AwsScenario { drivers: 3 * drivers, ..scenario }.run();
        let settings = settings(&scenario);
        let measured = figures(&smaller, &scenario);
        let observed = Observed {
            events_per_s: Some(per_s(smaller.event_count, &scenario)),
            events_per_call: u32::try_from(scenario.call_events).ok().map(f64::from),
            cities: Some(1.0),
            // Drivers, and the riders that wait for one.
            entities: Some(f64::from(drivers) * 2.0),
            figures: measured
                .iter()
                .map(|((component, metric), value)| (*component, *metric, *value))
                .collect(),
            ..Observed::default()
        };
        let scale = Scale::parse("3").expect("a scale");
        let document = Capacity::new(settings, observed).with_larger_cities().document(scale);
        let projection = document.project(scale);
        let predicted = |(component, metric): Name| {
            let component = projection.components.iter().find(|it| it.component == component);
            let metric = component.and_then(|it| it.metrics.iter().find(|it| it.name == metric));
            metric.expect("the model has the figure").projected.to_float()
        };
        let met = figures(&larger, &scenario);
        let rows = measured.into_iter().zip(met).map(|((name, measured), (_, met))| BacktestRow {
            name,
            measured,
            predicted: predicted(name),
            met,
        });
        Self { rows: rows.collect() }
    }
}

/// The figures of the simulated city with so many drivers.
#[derive(Clone, Debug)]
pub struct LoadFigures {
    drivers: u32,
    events_per_s: f64,
    /// Snapshots of ranges of lanes, and their bytes.
    snapshots: (usize, usize),
    reported_cells: usize,
    figures: Vec<(Name, f64)>,
}

impl LoadFigures {
    /// Of a simulation of so many milliseconds.
    #[must_use]
    pub fn measure(seed: u64, drivers: u32, duration_ms: i64) -> Self {
        let scenario = AwsScenario { drivers, ..AwsScenario::usual(seed, duration_ms) };
        let outcome = scenario.run();
        let bytes = outcome.snapshots.iter().map(|snapshot| snapshot.bytes).sum();
        Self {
            drivers,
            events_per_s: per_s(outcome.event_count, &scenario),
            snapshots: (outcome.snapshots.len(), bytes),
            reported_cells: outcome.rows.len() / outcome.published.len().max(1),
            figures: figures(&outcome, &scenario),
        }
    }
}

impl fmt::Display for LoadFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drivers, events_per_s, snapshots: (snapshots, bytes), reported_cells, .. } = self;
        write!(
            f,
            "{drivers} drivers, {events_per_s:.0} events/s, {reported_cells} reported cells; {snapshots} snapshots of {bytes} bytes"
        )?;
        for ((component, metric), value) in &self.figures {
            write!(f, "; {component} {metric} {value:.2}")?;
        }
        Ok(())
    }
}

impl BacktestRow {
    /// How far the prediction is off, as a share of what was met.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.predicted / self.met - 1.0
    }
}

impl fmt::Display for Backtest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["figure", "1×", "3× predicted", "3× met", "error"];
        write!(f, "{:<54} {:>10} {:>12} {:>10} {:>7}", names[0], names[1], names[2], names[3], names[4])?;
        for row in &self.rows {
            let (component, metric) = row.name;
            let name = format!("{component} {metric}");
            let BacktestRow { measured, predicted, met, .. } = row;
            let error = 100.0 * row.error();
            write!(f, "\n{name:<54} {measured:>10.2} {predicted:>12.2} {met:>10.2} {error:>6.1}%")?;
        }
        Ok(())
    }
}

fn settings(scenario: &AwsScenario) -> Settings {
    let shards = u32::try_from(scenario.shards).expect("few shards");
    Settings {
        lanes: scenario.lanes,
        event_shards: shards,
        count_shards: shards.div_ceil(2),
        ..Settings::DEFAULT
    }
}

#[expect(clippy::cast_precision_loss, reason = "a simulation counts less than 2^53 of anything")]
fn per_s(count: u64, scenario: &AwsScenario) -> f64 {
    count as f64 * 1_000.0 / scenario.duration_ms as f64
}

/// The figures of the model that a simulation measures.
fn figures(outcome: &AwsOutcome, scenario: &AwsScenario) -> Vec<(Name, f64)> {
    let per_s = |count| per_s(count, scenario);
    let settings = settings(scenario);
    let [(event_records, event_bytes), (count_records, count_bytes), _] = outcome.streams;
    let of = |tables: &[&str], units: fn(&super::Units) -> u64| {
        let kinds =
            outcome.units.iter().filter(|(kind, _)| tables.iter().any(|table| kind.starts_with(table)));
        per_s(kinds.map(|(_, consumed)| units(consumed)).sum())
    };
    let (events, counts) = (f64::from(settings.event_shards), f64::from(settings.count_shards));
    let busy_ms = u64::try_from(outcome.functions[0].handled_ms).unwrap_or(0);
    vec![
        (("kinesis-events", "records_per_s_of_a_shard"), per_s(event_records) / events),
        (("kinesis-events", "bytes_in_per_s_of_a_shard"), per_s(event_bytes) / events),
        (("kinesis-counts", "records_per_s_of_a_shard"), per_s(count_records) / counts),
        (("kinesis-counts", "bytes_in_per_s_of_a_shard"), per_s(count_bytes) / counts),
        (("dynamodb-checkpoints", "write_units_per_s"), of(&["checkpoints"], |units| units.written)),
        (("dynamodb-checkpoints", "read_units_per_s"), of(&["checkpoints"], |units| units.half_read) / 2.0),
        (("dynamodb-maps", "write_units_per_s"), of(&["maps"], |units| units.written)),
        (("dynamodb-watermarks", "write_units_per_s"), of(&["watermarks"], |units| units.written)),
        (("lambda", "count_utilisation_percent"), per_s(busy_ms) / 1_000.0 / events * 100.0),
    ]
}
