//! A full disk: events are refused, prices are served, and no acknowledged event is lost.

use std::process::Command;

use tempfile::TempDir;

use crate::harness::fixture::{SETTLED_MS, Server, serve, serve_unfed_from};
use crate::harness::http_client::post;
use crate::harness::market::{counts, fleet, now_ms, place};
use crate::harness::process::until;

/// Maximum size of a file in blocks of 512 bytes: writing more fails, as on a full disk.
const MAX_BLOCKS: u32 = 4_000;

/// Drivers of a body: the data of ten bodies exceeds the maximum size.
const DRIVERS: usize = 2_000;

/// The same server with files that cannot grow beyond [`MAX_BLOCKS`].
pub fn with_file_limit(command: &Command) -> Server {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {MAX_BLOCKS}; exec \"$0\" \"$@\"")]);
    Server::start(shell.arg(command.get_program()).args(command.get_args()))
}

fn write_failed(line: &str) -> Option<()> {
    line.contains("INGEST STOPPED: write failed: ").then_some(())
}

#[test]
fn with_a_full_disk_events_are_refused_and_none_is_lost() {
    let folder = TempDir::new().unwrap();
    let at_ms = now_ms() - SETTLED_MS;
    let server = with_file_limit(&serve_unfed_from(folder.path()));
    let mut accepted = 0;
    until("the disk to be full and reported", || {
        let response = server.request(&post(fleet(accepted, DRIVERS, at_ms)));
        if response.status == 202 {
            assert_eq!(response.accepted(), DRIVERS as u64);
            accepted += 1;
            return None;
        }
        assert_eq!(response.problem(), (503, "unavailable".into()));
        assert_eq!(response.header("retry-after"), "1");
        server.assert_serves();
        server.process.lines().iter().find_map(|line| write_failed(line))
    });
    assert!(accepted > 0);
    server.stop("TERM");

    let server = Server::unfed_from(folder.path());
    let supply = counts(&server.close_ticks(), "supply");
    for number in 0..accepted {
        assert_eq!(
            supply.get(&server.cell(place(number))),
            Some(&(DRIVERS as u64)),
            "{number} of {accepted}"
        );
    }
    // A part of the refused body may have been saved; posted again, it counts once.
    server.post(&fleet(accepted, DRIVERS, at_ms));
    let supply = counts(&server.close_ticks(), "supply");
    assert_eq!(supply.get(&server.cell(place(accepted))), Some(&(DRIVERS as u64)));
    server.stop("TERM");
}

#[test]
fn a_server_that_starts_with_a_full_disk_serves_and_reports_it() {
    let folder = TempDir::new().unwrap();
    // The past of the simulated city exceeds the maximum size.
    let server = with_file_limit(&serve(&["--data", folder.path().to_str().unwrap()]));
    server.process.wait_for_line("the write error", write_failed);
    server.assert_serves();
    server.stop("TERM");
}
