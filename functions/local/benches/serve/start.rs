//! How long until the first price that is fresh, in a map with demand.

use std::time::Instant;

use crate::market::total;
use crate::percentile;
use crate::world::{Server, serve, until};

const STARTS: usize = 11;

pub fn measure() {
    let mut times: Vec<u128> = (0..STARTS).map(|_| once()).collect();
    let median = percentile(&mut times, 500);
    println!("start to the first fresh price with demand        {median} ms (median of {STARTS})");
}

fn once() -> u128 {
    let begun = Instant::now();
    let server = Server::start(&mut serve(&[]));
    until("a fresh map with demand", || {
        let map = server.map();
        (map["mode"] == "fresh" && total(&map, "demand") > 0).then_some(())
    });
    begun.elapsed().as_millis()
}
