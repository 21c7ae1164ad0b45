//! The time from the acknowledgement of the event that closes a tick to a served price that counts it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::events::{Bodies, city};
use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::{get, post};
use crate::harness::market::{driver, ms, now_ms, place};
use crate::percentile;

/// Two ticks a second, each closed by the first event after it.
const TICK_MS: i64 = 500;
const CITY: &str = r#"{"city": "nyc", "currency": "USD", "products": [{"id": "standard"}],
    "clock": {"tick_ms": 500, "lateness_ms": 0},
    "boundary": {"type": "Polygon", "coordinates": [[[-74.3,40.45],[-73.65,40.45],[-73.65,41],[-74.3,41],[-74.3,40.45]]]}}"#;

const TICKS: usize = 200;

/// Background load: bodies of 500 events a second, with times in the past so that they close no tick.
const BACKGROUND_PER_S: u64 = 6;
const BACKGROUND_LAG_MS: i64 = 1_000;

pub fn measure() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("city.json");
    fs::write(&file, CITY).unwrap();
    let mut command = serve(&["--feed", "none", "--data"]);
    let server = Server::start(command.arg(folder.path()).arg("--city").arg(file));
    let background = Bodies::of(&city(5));
    let done = AtomicBool::new(false);
    let mut times: Vec<Duration> = thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = server.connect();
            for index in 0.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let body = background.at(index, now_ms() - BACKGROUND_LAG_MS);
                connection.request(&post(body)).unwrap().accepted();
                thread::sleep(Duration::from_millis(1_000 / BACKGROUND_PER_S));
            }
        });
        let (mut poster, mut reader) = (server.connect(), server.connect());
        // The first ticks only start the city.
        let times = (0..TICKS + 4).map(|tick| {
            let at_ms = (now_ms() / TICK_MS + 1) * TICK_MS;
            thread::sleep(Duration::from_millis(u64::try_from(at_ms - now_ms()).unwrap_or(0)));
            let body = driver(&format!("d{tick}"), place(0), at_ms - 1) + &driver("closes", place(1), at_ms);
            poster.request(&post(body)).unwrap().accepted();
            let acknowledged = Instant::now();
            let (lat, lng) = place(0);
            let target = format!("/v1/price?lat={lat}&lng={lng}");
            let is_counted = |as_of: Option<i64>| as_of.is_some_and(|as_of| as_of >= at_ms);
            while tick > 2 && !is_counted(ms(&reader.request(&get(&target)).unwrap().json()["as_of"])) {
                thread::sleep(Duration::from_micros(200));
            }
            acknowledged.elapsed()
        });
        let times = times.skip(4).collect();
        done.store(true, Ordering::Relaxed);
        times
    });
    let (median, p99) = (percentile(&mut times, 500), percentile(&mut times, 990));
    println!(
        "acknowledged to counted in the served price       {:.1} ms, p99 {:.1} ms ({TICKS} ticks, 3 000 events/s in the background)",
        median.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
    );
}
