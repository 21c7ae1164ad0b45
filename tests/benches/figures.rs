//! The figures of docs/performance.md: what an event, a tick and a replay cost on one core.
//!
//! `make bench` builds this with the flags of a deployed function. Each figure is the median of many batches. If
//! `EQUILIBRIUM_EVENTS` names a file of events, its replay is timed, too.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "figures are small"
)]

#[path = "figures/alloc.rs"]
mod alloc;
#[path = "figures/count.rs"]
mod count;
#[path = "figures/ingest.rs"]
mod ingest;
#[path = "figures/quote.rs"]
mod quote;
#[path = "figures/replay.rs"]
mod replay;
#[path = "figures/surge.rs"]
mod surge;

fn main() {
    // `make bench ONLY=surge` prints one part.
    let only = std::env::var("ONLY").unwrap_or_default();
    println!("| what | figure |\n|---|---|");
    for (name, figures) in [
        ("ingest", ingest::figures as fn()),
        ("bodies", ingest::bodies),
        ("count", count::figures),
        ("surge", surge::figures),
        ("quote", quote::figures),
        ("replay", replay::figures),
    ] {
        if only.is_empty() || only == name {
            figures();
        }
    }
}

/// Prints one line of the table.
fn figure(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

/// The median of `times`.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Runs a future whose ports are in memory.
fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without I/O starts").block_on(future)
}
