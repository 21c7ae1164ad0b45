//! `GET /v1/price` under load by `wrk`, with the prices compared with the published map.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::fixture::{Server, serve};
use crate::wrk::wrk;

const PRICE: &str = "/v1/price?lat=40.7549&lng=-73.984";

pub fn measure() {
    let server = Server::start(&mut serve(&[]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let checker = scope.spawn(|| check(&server, &done));
        let load = wrk(&[&format!("http://{}{PRICE}", server.address)]);
        done.store(true, Ordering::Relaxed);
        let checked = checker.join().unwrap();
        let Some(load) = load else {
            println!("GET /v1/price: `wrk` is not installed; {checked} responses compared");
            return;
        };
        println!(
            "GET /v1/price, 64 connections of wrk              {} a second, p99 {}; {checked} equal to the map",
            load.per_s, load.p99,
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
