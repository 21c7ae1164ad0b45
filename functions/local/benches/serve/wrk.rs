//! Load by `wrk`.

use std::process::Command;

/// What `wrk` reports of a load: requests a second, and the time of 99 % of them.
pub struct Load {
    pub per_s: String,
    pub p99: String,
}

/// Ten seconds of requests over 64 connections with these arguments; `None` if `wrk` is not installed.
pub fn wrk(arguments: &[&str]) -> Option<Load> {
    let output = Command::new("wrk").args(["-t1", "-c64", "-d10s", "--latency"]).args(arguments).output();
    let output = String::from_utf8(output.ok()?.stdout).unwrap();
    assert!(!output.contains("Non-2xx"), "{output}");
    let value = |name: &str| {
        let line = output.lines().map(str::trim).find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{output}")).trim().to_owned()
    };
    Some(Load { per_s: value("Requests/sec:"), p99: value("99%") })
}
