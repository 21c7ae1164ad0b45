//! A disk without room: no event is taken, prices go on, and nothing that was acknowledged is lost.

use std::process::Command;

use tempfile::TempDir;

use crate::client::post;
use crate::market::{counts, fleet, now_ms, place};
use crate::world::{SETTLED_MS, Server, keep, serve, until};

/// Most blocks of 512 bytes that a file may have: the system refuses more, as a full disk does.
const BLOCKS: u32 = 4_000;

/// Drivers of a body: what is kept of ten bodies is more than there is room for.
const DRIVERS: usize = 2_000;

/// The same process, but its files may not grow beyond [`BLOCKS`].
fn cramped(process: &Command) -> Server {
    let mut command = Command::new("sh");
    // Without the trap the system would end it.
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {BLOCKS}; exec \"$0\" \"$@\"")]);
    Server::start(command.arg(process.get_program()).args(process.get_args()))
}

fn ill(line: &str) -> Option<()> {
    line.contains("NO EVENT IS TAKEN, the disk fails: ").then_some(())
}

#[test]
fn a_full_disk_takes_no_event_and_loses_none() {
    let folder = TempDir::new().unwrap();
    let at_ms = now_ms() - SETTLED_MS;
    let server = cramped(&keep(folder.path()));
    let mut taken = 0;
    until("the disk to be full, and that to be said", || {
        let reply = server.ask(&post(fleet(taken, DRIVERS, at_ms)));
        if reply.status == 202 {
            assert_eq!(reply.accepted(), DRIVERS as u64);
            taken += 1;
            return None;
        }
        assert_eq!(reply.problem(), (503, "unavailable".into()));
        assert_eq!(reply.header("retry-after"), "1");
        server.assert_serves();
        server.process.lines().iter().find_map(|line| ill(line))
    });
    assert!(taken > 0);
    server.stop("TERM");

    let server = Server::keeping(folder.path());
    let supply = counts(&server.close_ticks(), "supply");
    for number in 0..taken {
        assert_eq!(supply.get(&server.cell(place(number))), Some(&(DRIVERS as u64)), "{number} of {taken}");
    }
    // The one that was refused may be there in part; sent again, it counts once.
    server.post(&fleet(taken, DRIVERS, at_ms));
    let supply = counts(&server.close_ticks(), "supply");
    assert_eq!(supply.get(&server.cell(place(taken))), Some(&(DRIVERS as u64)));
    server.stop("TERM");
}

#[test]
fn a_market_that_begins_on_a_full_disk_is_served_and_the_disk_is_named() {
    let folder = TempDir::new().unwrap();
    // The simulated city's first moments are more than there is room for.
    let server = cramped(&serve(&["--data", folder.path().to_str().unwrap()]));
    server.process.hear("that the disk is full", ill);
    server.assert_serves();
    server.stop("TERM");
}
