//! Memory with 10 000 drivers, over time.

use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use equilibrium_simulator::city::{City, Settings, policy};
use tempfile::TempDir;

use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::{get, post};
use crate::harness::market::now_ms;

const DRIVERS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
const POST_INTERVAL: Duration = Duration::from_millis(100);

pub fn measure() {
    let minutes: u64 = std::env::var("MINUTES").ok().map_or(1, |minutes| minutes.parse().unwrap());
    let folder = TempDir::new().unwrap();
    let server = Server::start(serve(&["--feed", "none", "--data"]).arg(folder.path()));
    let settings = Settings { drivers: DRIVERS, ..Settings::new(9, now_ms() - 120_000) };
    let mut city = City::new(&settings, &policy::policy());
    let mut connection = server.connect();
    let (started, mut lines, mut sent) = (Instant::now(), Vec::new(), 0);
    let mut samples_mb = Vec::new();
    for minute in 1..=minutes {
        while started.elapsed() < Duration::from_secs(60 * minute) {
            city.advance(now_ms(), &mut lines);
            for body in lines.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>().chunks(500) {
                sent += connection.request(&post(body.concat())).unwrap().accepted();
            }
            lines.clear();
            connection.request(&get("/v1/price?lat=40.8296&lng=-73.9262")).unwrap();
            thread::sleep(POST_INTERVAL);
        }
        samples_mb.push(resident_mb(&server));
        if minute % 10 == 0 {
            println!("  minute {minute}: {:.1} MB, {sent} events", samples_mb[samples_mb.len() - 1]);
        }
    }
    let (first, last) = (samples_mb[0], samples_mb[samples_mb.len() - 1]);
    println!(
        "resident with 10 000 drivers after 1 and {minutes} minutes  {first:.1} MB, {last:.1} MB; {sent} events"
    );
}

fn resident_mb(server: &Server) -> f64 {
    server.process.proc_status("VmRSS").strip_suffix(" kB").unwrap().parse::<f64>().unwrap() / 1_024.0
}
