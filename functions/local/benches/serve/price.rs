//! Prices under load, by `wrk`, and whether they are those of the published map meanwhile.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::world::{Server, serve};

const PLACE: &str = "/v1/price?lat=40.7549&lng=-73.984";

pub fn measure() {
    let server = Server::start(&mut serve(&[]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let checked = scope.spawn(|| check(&server, &done));
        let wrk = Command::new("wrk")
            .args(["-t1", "-c64", "-d10s", "--latency"])
            .arg(format!("http://{}{PLACE}", server.address))
            .output();
        done.store(true, Ordering::Relaxed);
        let checked = checked.join().unwrap();
        let Ok(wrk) = wrk else {
            println!("GET /v1/price: `wrk` is not installed; {checked} answers checked");
            return;
        };
        let said = String::from_utf8(wrk.stdout).unwrap();
        assert!(!said.contains("Non-2xx"), "{said}");
        let fact = |name: &str| {
            let line = said.lines().map(str::trim).find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{said}")).trim().to_owned()
        };
        println!(
            "GET /v1/price, 64 connections of wrk              {} a second, p99 {}; {checked} bodies were the map's",
            fact("Requests/sec:"),
            fact("99%"),
        );
    });
}

/// Compares prices with the map as long as the load lasts: how many were compared.
fn check(server: &Server, done: &AtomicBool) -> usize {
    let mut checked = 0;
    let mut connection = server.connect();
    let mut ask = |target: &str| connection.ask(&crate::client::get(target)).unwrap().json();
    while !done.load(Ordering::Relaxed) {
        let price = ask(PLACE);
        let map = ask("/v1/cities/nyc/surge");
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
