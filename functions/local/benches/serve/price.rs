//! `GET /v1/price` under load by `wrk`, with the prices compared with the published map.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::fixture::{Server, serve};

const PRICE: &str = "/v1/price?lat=40.7549&lng=-73.984";

pub fn measure() {
    let server = Server::start(&mut serve(&[]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let checker = scope.spawn(|| check(&server, &done));
        let wrk = Command::new("wrk")
            .args(["-t1", "-c64", "-d10s", "--latency"])
            .arg(format!("http://{}{PRICE}", server.address))
            .output();
        done.store(true, Ordering::Relaxed);
        let checked = checker.join().unwrap();
        let Ok(wrk) = wrk else {
            println!("GET /v1/price: `wrk` is not installed; {checked} responses compared");
            return;
        };
        let output = String::from_utf8(wrk.stdout).unwrap();
        assert!(!output.contains("Non-2xx"), "{output}");
        let value = |name: &str| {
            let line = output.lines().map(str::trim).find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{output}")).trim().to_owned()
        };
        println!(
            "GET /v1/price, 64 connections of wrk              {} a second, p99 {}; {checked} equal to the map",
            value("Requests/sec:"),
            value("99%"),
        );
    });
}

/// Compares prices with the map during the load; returns the number of comparisons.
fn check(server: &Server, done: &AtomicBool) -> usize {
    let mut checked = 0;
    let mut connection = server.connect();
    let mut get =
        |target: &str| connection.request(&crate::harness::http_client::get(target)).unwrap().json();
    while !done.load(Ordering::Relaxed) {
        let price = get(PRICE);
        let map = get("/v1/cities/nyc/surge");
        if map["as_of"] != price["as_of"] {
            continue;
        }
        let cell = map["cells"].as_array().unwrap().iter().find(|row| row["cell"] == price["cell"]);
        assert_eq!(cell.map(|row| &row["multiplier"]), Some(&price["multiplier"]));
        assert_eq!(price["mode"], map["mode"]);
        checked += 1;
    }
    checked
}
