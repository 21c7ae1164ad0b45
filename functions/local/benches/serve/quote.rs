//! `POST /v1/quotes` under load by `wrk`.

use std::fs;

use crate::harness::fixture::{Server, serve};
use crate::wrk::wrk;

/// A ride from Times Square to the airport.
const SCRIPT: &str = r#"wrk.method = "POST"
wrk.body = '{"pickup":{"lat":40.7549,"lng":-73.984},"dropoff":{"lat":40.6413,"lng":-73.7781}}'
wrk.headers["content-type"] = "application/json"
"#;

pub fn measure() {
    let server = Server::start(&mut serve(&[]));
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("quote.lua");
    fs::write(&script, SCRIPT).unwrap();
    let url = format!("http://{}/v1/quotes", server.address);
    let Some(load) = wrk(&["-s", script.to_str().unwrap(), &url]) else {
        println!("POST /v1/quotes: `wrk` is not installed");
        return;
    };
    println!("POST /v1/quotes, 64 connections of wrk            {} a second, p99 {}", load.per_s, load.p99);
}
