//! `rough FOLDER`: every NAME.ndjson[.gz] of a folder through the functions among faults, on instances
//! that die and linger, compared with NAME.ticks.ndjson.gz. Each file runs over 1, 4 and 64 lanes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use equilibrium_domain::id::LaneCount;
use equilibrium_tests::faults::{FaultInjector, FaultSchedule};
use equilibrium_tests::markets::Market;
use equilibrium_tests::simulation::{FaultLevel, simulate};
use flate2::read::MultiGzDecoder;

fn main() -> io::Result<ExitCode> {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: rough FOLDER");
        return Ok(ExitCode::from(2));
    };
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".ticks.ndjson.gz").map(str::to_owned)
        })
        .collect();
    names.sort();
    let mut status = ExitCode::SUCCESS;
    for name in names {
        let folder = Path::new(&folder);
        let events = read(&folder.join(format!("{name}.ndjson")))
            .or_else(|_| read(&folder.join(format!("{name}.ndjson.gz"))))?;
        let policies =
            read(&folder.join(format!("{name}.policies.json"))).unwrap_or_else(|_| b"null".to_vec());
        let policies = serde_json::from_slice(&policies)?;
        let expected = by_city(lines(&read(&folder.join(format!("{name}.ticks.ndjson.gz")))?));
        let market = Market { events, policies };
        for (seed, lanes) in (1..).zip([1, 4, 64]) {
            let lanes = LaneCount::new(lanes).expect("a power of two");
            let fate = FaultInjector::new(FaultSchedule::random(seed, lanes));
            let outcome = simulate(&market, lanes, FaultLevel::Random, seed, &fate);
            let same = by_city(outcome.rows) == expected;
            let verdict = if same { "same" } else { "DIFFERENT" };
            println!(
                "{name} {} lanes: {verdict}; {} calls to ports, late={}",
                lanes.get(),
                fate.calls(),
                outcome.late
            );
            if !same {
                status = ExitCode::FAILURE;
            }
        }
    }
    Ok(status)
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

fn lines(text: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(text).lines().map(str::to_owned).collect()
}

/// The rows of each city, in their order.
fn by_city(rows: Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut cities: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let city = row.split('"').nth(3).unwrap_or_default().to_owned();
        cities.entry(city).or_default().push(row);
    }
    cities
}
