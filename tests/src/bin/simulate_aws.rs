//! `simulate_aws`: figures of a deployment in a simulated account of AWS, with its limits and latencies (docs/performance.md).

use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::id::LaneCount;
use equilibrium_tests::simulation::aws::Iteration::{FanOut, Polled};
use equilibrium_tests::simulation::aws::backtest::{Backtest, LoadFigures};
use equilibrium_tests::simulation::aws::figures::{Consumption, Snapshots, Swap, TickDelays};

/// Prints figures in simulated units; the work after a swap alone is measured on this machine.
#[derive(Parser)]
#[command(name = "simulate_aws")]
struct Arguments {
    /// The figures, all by default.
    figures: Vec<Figure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// Units of DynamoDB for a million events.
    Units,
    /// What `count` reads, and works, with nothing in memory.
    Swap,
    /// Snapshots of a million drivers in one city.
    Snapshots,
    /// From a tick's being due to its map's being readable.
    Delays,
    /// What the simulated city uses with few and with many drivers.
    Load,
    /// Figures at three times a load, predicted from that load and met.
    Backtest,
}

fn main() {
    let Arguments { mut figures } = Arguments::parse();
    if figures.is_empty() {
        figures = Figure::value_variants().to_vec();
    }
    for figure in figures {
        match figure {
            Figure::Units => {
                // A million events.
                println!("units, polled: {}", Consumption::measure(1_488_000, (Polled, Polled)));
                println!("units, fan-out of counts: {}", Consumption::measure(300_000, (Polled, FanOut)));
                println!("units, fan-out of both: {}", Consumption::measure(300_000, (FanOut, FanOut)));
            }
            Figure::Swap => {
                let swap = Swap::measure(16_000, 120_000);
                println!("swap: {swap}; the state is made in {:.1} ms", work(&swap).as_secs_f64() * 1_000.0);
            }
            Figure::Snapshots => println!("snapshots: {}", Snapshots::measure(1_000_000, 64, 150_000)),
            Figure::Load => {
                for drivers in [500, 1_500, 3_000, 5_000, 15_000] {
                    println!("{}", LoadFigures::measure(1, drivers, 120_000));
                }
            }
            Figure::Backtest => println!("{}", Backtest::measure(1, 1_000, 180_000)),
            Figure::Delays => {
                println!("delays, polled: {}", TickDelays::measure(20, (Polled, Polled)));
                println!("delays, fan-out of counts: {}", TickDelays::measure(20, (Polled, FanOut)));
                println!("delays, fan-out of both: {}", TickDelays::measure(20, (FanOut, FanOut)));
            }
        }
    }
}

/// The time in which a state is made of what was loaded: the least of ten.
fn work(swap: &Swap) -> Duration {
    let lanes = LaneCount::new(4).expect("a power of two");
    let range = LaneRange::all(lanes).next().expect("there is a range");
    let make = || {
        let begun = Instant::now();
        let snapshot = swap.loaded.snapshot.as_deref().expect("there is a snapshot");
        let mut state = LaneRangeState::restore(&range, snapshot).expect("it can be read");
        for (number, entry) in (swap.loaded.first..).zip(&swap.loaded.entries) {
            state = LaneRangeState::replay(Some(state), &range, number, entry).expect("it can be read");
        }
        drop(state.take_output());
        begun.elapsed()
    };
    (0..10).map(|_| make()).min().unwrap_or_default()
}
