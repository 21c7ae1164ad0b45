//! The time from process start to the first fresh map with demand.

use std::time::Instant;

use crate::harness::fixture::{Server, serve};
use crate::harness::market::total;
use crate::harness::process::until;
use crate::percentile;

const STARTS: usize = 11;

pub fn measure() {
    let mut times: Vec<u128> = (0..STARTS).map(|_| startup_ms()).collect();
    let median = percentile(&mut times, 500);
    println!("start to the first fresh price with demand        {median} ms (median of {STARTS})");
}

fn startup_ms() -> u128 {
    let started = Instant::now();
    let server = Server::start(&mut serve(&[]));
    until("a fresh map with demand", || {
        let map = server.map();
        (map["mode"] == "fresh" && total(&map, "demand") > 0).then_some(())
    });
    started.elapsed().as_millis()
}
