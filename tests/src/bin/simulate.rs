//! `simulate`: one seed of the fault simulation or many, or reference files among random faults (docs/simulation.md).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use equilibrium_domain::id::LaneCount;
use equilibrium_tests::markets::Market;
use equilibrium_tests::rows::by_city;
use equilibrium_tests::simulation::{Fault, FaultLevel, FaultSchedule, Scenario, Simulation, Trace};
use flate2::read::MultiGzDecoder;

/// Runs the functions under faults and compares every row with the oracle, or with reference files.
#[derive(Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// Compare with reference files instead: run each NAME.ndjson[.gz] over 1, 4 and 64 lanes, compare with
    /// NAME.ticks.ndjson.gz.
    folder: Option<PathBuf>,
    /// One seed.
    #[arg(long, conflicts_with = "folder")]
    seed: Option<u64>,
    /// A range of seeds, the end excluded.
    #[arg(long, value_name = "A..B", default_value = "0..24", value_parser = seeds, conflicts_with_all = ["seed", "folder"])]
    seeds: Range<u64>,
    /// Lanes of the event stream, a power of two [default: 1, 4 or 64 by the seed].
    #[arg(long, value_parser = lanes, conflicts_with = "folder")]
    lanes: Option<LaneCount>,
    /// Double the lanes twice while events arrive; of at least eight lanes.
    #[arg(long, conflicts_with = "folder")]
    double_lanes: bool,
    /// Lines of the market.
    #[arg(long, default_value_t = Scenario::EVENTS, conflicts_with = "folder")]
    events: usize,
    /// The fault: `random`, `none`, `crash_before`, `crash_after`, `lost_before` or `lost_after`.
    #[arg(long, default_value = "random", value_parser = faults, conflicts_with = "folder")]
    fault: Faults,
    /// The number of the call that suffers the fault, unless it is random or none.
    #[arg(long, default_value_t = 0, conflicts_with = "folder")]
    call: u64,
    /// Print a line for each batch, append, fault and tick.
    #[arg(long, conflicts_with = "folder")]
    trace: bool,
}

#[derive(Clone, Copy, Debug)]
enum Faults {
    Random,
    None,
    Once(Fault),
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::parse();
    let same = match &arguments.folder {
        Some(folder) => compare_folder(folder)?,
        None => simulate_seeds(&arguments),
    };
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs each seed; returns whether all agree with the oracle.
fn simulate_seeds(arguments: &Arguments) -> bool {
    let seeds = arguments.seed.map_or(arguments.seeds.clone(), |seed| seed..seed + 1);
    let mut all_same = true;
    for seed in seeds {
        let random = Scenario::random(seed, arguments.lanes);
        let schedule = match arguments.fault {
            Faults::Random => random.schedule,
            Faults::None => FaultSchedule::None,
            Faults::Once(fault) => FaultSchedule::At(arguments.call, fault),
        };
        let (events, doubles_lanes) = (arguments.events, arguments.double_lanes);
        all_same &= simulate(&Scenario { events, doubles_lanes, schedule, ..random }, arguments.trace);
    }
    all_same
}

fn simulate(scenario: &Scenario, is_traced: bool) -> bool {
    // A reader that closes the pipe ends nothing but the output.
    let print = |line: &str| drop(writeln!(io::stdout(), "{line}"));
    let trace = if is_traced { Trace::to(print) } else { Trace::off() };
    let name = format!("seed {}, {}", scenario.seed, number_of(scenario.lanes));
    match scenario.run(trace) {
        Ok(outcome) => {
            let (calls, rows, late) = (outcome.calls, outcome.rows.len(), outcome.late);
            print(&format!("{name}: same; {calls} calls to ports, {rows} rows, {late} late events"));
            true
        }
        Err(mismatch) => {
            print(&format!("{name}: DIFFERENT: {mismatch}\nto repeat: {}", scenario.command()));
            false
        }
    }
}

/// Runs each reference file of a folder; returns whether all rows agree.
fn compare_folder(folder: &Path) -> io::Result<bool> {
    let mut names: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".ticks.ndjson.gz").map(str::to_owned)
        })
        .collect();
    names.sort();
    let mut all_same = true;
    for name in names {
        let path = |extension: &str| folder.join(format!("{name}.{extension}"));
        let events = read(&path("ndjson")).or_else(|_| read(&path("ndjson.gz")))?;
        let policies = read(&path("policies.json")).unwrap_or_else(|_| b"null".to_vec());
        let market = Market { events, policies: serde_json::from_slice(&policies)? };
        let expected = String::from_utf8_lossy(&read(&path("ticks.ndjson.gz"))?).into_owned();
        let expected = by_city(expected.lines().map(str::to_owned).collect());
        for (seed, lanes) in (1..).zip([1, 4, 64]) {
            all_same &= compare_file(&name, &market, &expected, seed, lanes);
        }
    }
    Ok(all_same)
}

fn compare_file(name: &str, market: &Market, expected: &[String], seed: u64, lanes: u32) -> bool {
    let lanes = LaneCount::new(lanes).expect("a power of two");
    let (level, schedule) = (FaultLevel::Random, FaultSchedule::random(seed, lanes));
    let outcome =
        Simulation { market, lanes, doubles_lanes: false, level, schedule, seed, trace: Trace::off() }.run();
    let (calls, late) = (outcome.calls, outcome.late);
    let same = by_city(outcome.rows) == expected;
    let verdict = if same { "same" } else { "DIFFERENT" };
    println!("{name} {}: {verdict}; {calls} calls to ports, late={late}", number_of(lanes));
    same
}

fn number_of(lanes: LaneCount) -> String {
    let lanes = lanes.get();
    format!("{lanes} {}", if lanes == 1 { "lane" } else { "lanes" })
}

/// A file's content, inflated if it is gzip.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_end(&mut content)?;
    } else {
        file.read_to_end(&mut content)?;
    }
    Ok(content)
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(start, end)| Some(start.parse().ok()?..end.parse().ok()?));
    range.ok_or_else(|| "a range as 0..24".to_owned())
}

fn lanes(text: &str) -> Result<LaneCount, String> {
    let lanes = text.parse().ok().and_then(LaneCount::new);
    lanes.ok_or_else(|| "a power of two up to 65536".to_owned())
}

fn faults(text: &str) -> Result<Faults, String> {
    match text {
        "random" => return Ok(Faults::Random),
        "none" => return Ok(Faults::None),
        _ => {}
    }
    let fault = Fault::ALL.into_iter().find(|fault| fault.to_string() == text);
    fault.map(Faults::Once).ok_or_else(|| "an unknown fault".to_owned())
}
