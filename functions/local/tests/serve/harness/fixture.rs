//! A running `equilibrium serve` and its city.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http_client::{Connection, Request, Response, get, post};
use super::market::{as_of, driver, drivers_and_riders, now_ms, place};
use super::process::{Process, poll, until};

/// Age of an event whose tick closes with the next event of now, in milliseconds.
pub const SETTLED_MS: i64 = 15_000;

/// How far a process's clock may be behind the test's, in milliseconds: an event counts at its arrival at the latest.
const MAX_CLOCK_SKEW_MS: i64 = 50;

/// The place of the driver that closes ticks, far from all others.
const LAST_PLACE: usize = 224;

/// `equilibrium serve` on a free port, with further arguments.
pub fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    command.args(["serve", "--port", "0"]).args(arguments);
    command
}

/// `equilibrium serve` without an event source, of a city with short ticks and times to live longer than any test.
pub fn serve_unfed() -> Command {
    let city = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/city.json");
    serve(&["--feed", "none", "--city", city])
}

/// [`serve_unfed`] with its data in `folder`.
pub fn serve_unfed_from(folder: &Path) -> Command {
    let mut command = serve_unfed();
    command.arg("--data").arg(folder);
    command
}

/// A running server.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

impl Server {
    /// Starts [`serve_unfed`].
    pub fn unfed() -> Self {
        Self::start(&mut serve_unfed())
    }

    /// Starts [`serve_unfed_from`].
    pub fn unfed_from(folder: &Path) -> Self {
        Self::start(&mut serve_unfed_from(folder))
    }

    pub fn start(command: &mut Command) -> Self {
        let process = Process::start(command);
        let port = process.wait_for_line("the address", |line| {
            line.strip_prefix("Equilibrium ")?.split_once("http://127.0.0.1:")?.1.parse().ok()
        });
        Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// The response on a connection of its own.
    pub fn request(&self, request: &Request) -> Response {
        self.connect().request(request).unwrap()
    }

    /// The document at a path.
    pub fn json(&self, target: &str) -> Value {
        let response = self.request(&get(target));
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        response.json()
    }

    /// Posts events, all of which are accepted.
    pub fn post(&self, events: &str) {
        let accepted = self.request(&post(events)).accepted();
        assert_eq!(accepted, events.lines().count() as u64);
    }

    /// Closes the ticks before now with an event of one more driver, and returns the new map.
    pub fn close_ticks(&self) -> Value {
        let known = self.map();
        let newest_ms = until("the next tick", || {
            let newest_ms = now_ms() - MAX_CLOCK_SKEW_MS;
            (known["as_of"] != as_of(newest_ms)).then_some(newest_ms)
        });
        self.post(&driver("last", place(LAST_PLACE), newest_ms));
        self.map_as_of(&as_of(newest_ms))
    }

    /// Posts drivers and riders at a number of places, and returns the map that counts them.
    pub fn fill(&self, places: usize) -> Value {
        self.post(&drivers_and_riders(places, now_ms() - SETTLED_MS));
        self.close_ticks()
    }

    /// The cell of a place.
    pub fn cell(&self, (lat, lng): (f64, f64)) -> String {
        self.json(&format!("/v1/price?lat={lat}&lng={lng}"))["cell"].as_str().unwrap().to_owned()
    }

    /// New York's map.
    pub fn map(&self) -> Value {
        self.json("/v1/cities/nyc/surge")
    }

    /// Waits for the map of a tick.
    pub fn map_as_of(&self, as_of: &str) -> Value {
        let map = poll(|| Some(self.map()).filter(|map| map["as_of"] == as_of));
        map.unwrap_or_else(|| panic!("no map as of {as_of}: {}", self.map()))
    }

    /// Asserts that the server returns a price within five seconds.
    pub fn assert_serves(&self) {
        let started = Instant::now();
        let price = self.json("/v1/price?lat=40.7549&lng=-73.984");
        assert_eq!(price["city"], "nyc");
        assert!(started.elapsed() < Duration::from_secs(5), "a price took {:?}", started.elapsed());
    }

    /// Stops the server with a signal and asserts that it exits with status 0.
    pub fn stop(mut self, signal: &str) {
        self.process.signal(signal);
        let status = self.process.wait();
        assert_eq!(status.code(), Some(0), "{:#?}", self.process.lines());
    }
}
