//! A folder with a parked log: `equilibrium lanes` lists it and resumes it, and its records are counted once.

use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Output};

use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
use equilibrium_app::clock::Clock;
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event::record_batch::RecordRef;
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::id::{LaneCount, LaneId};
use equilibrium_domain::parking::{LogMark, ParkedLogNote, encode_records};
use equilibrium_domain::time::Timestamp;
use equilibrium_embedded::database::Database;
use equilibrium_embedded::store::Store;
use tempfile::TempDir;

use crate::harness::fixture::{SETTLED_MS, Server, serve_unfed_from};
use crate::harness::market::{driver, now_ms, place, total};

/// The log of all lanes, of which there is one.
fn only_log() -> CheckpointKey {
    CheckpointKey::Lanes(LaneRange::of(LaneId(0), LaneCount::ONE))
}

/// Parks the log of a new folder: it has an entry that cannot be read, and the sighting of a driver waits for it.
#[tokio::main(flavor = "current_thread")]
pub async fn park(folder: &Path) {
    let (database, contents) = Database::open(folder, LaneCount::ONE).unwrap();
    let store = Store::on_disk(LaneCount::ONE, Clock::live(NonZeroU32::MIN), database, contents);
    let since = Timestamp::from_ms(1_772_816_400_000).unwrap();
    let reason = "a LaneEntry frame with a wrong checksum".to_owned();
    let mark = LogMark::Parked { at_ms: since.ms(), reason: reason.clone() };
    let waiting = driver("waiting", place(0), now_ms() - SETTLED_MS);
    let sequence = Sequence::from(0);
    let record = RecordRef {
        sequence: sequence.borrowed(),
        arrival_ms: now_ms() - SETTLED_MS,
        data: waiting.as_bytes(),
    };
    let note = ParkedLogNote { key: only_log().to_string(), parked: Some((since, reason)) };
    for (key, number, entry) in [
        (only_log(), 0, b"not an entry".to_vec()),
        (only_log(), 1, mark.encode()),
        (only_log().parked_records().unwrap(), 0, encode_records([record])),
        (CheckpointKey::ParkedLogs, 0, note.encode()),
    ] {
        store.append(&key, &Entry::new(number, entry)).await.unwrap();
    }
    store.close();
}

fn lanes(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    command.arg("lanes").args(arguments).arg("--data").arg(folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn server(folder: &Path) -> Server {
    Server::start(serve_unfed_from(folder).args(["--lanes", "1"]))
}

#[test]
fn the_records_of_an_unparked_log_are_counted_once() {
    let folder = TempDir::new().unwrap();
    park(folder.path());
    let listed = stdout(&lanes(&["list"], folder.path()));
    let expected = "lanes-1/0\tparked since 2026-03-06T17:00:00.000Z\t1 records wait (";
    assert!(
        listed.starts_with(expected) && listed.ends_with("\ta LaneEntry frame with a wrong checksum\n"),
        "{listed}"
    );

    let resumed = stdout(&lanes(&["unpark", "lanes-1/0"], folder.path()));
    assert!(resumed.contains("goes on without the entries that cannot be read"), "{resumed}");
    let listed = stdout(&lanes(&["list"], folder.path()));
    assert!(listed.starts_with("lanes-1/0\tresumed, parked since 2026-03-06"), "{listed}");
    let server = server(folder.path());
    server.post(&driver("new", place(1), now_ms() - SETTLED_MS));
    assert_eq!(total(&server.close_ticks(), "supply"), 2, "the waiting driver and the new one");
    let in_use = lanes(&["list"], folder.path());
    assert_eq!(in_use.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&in_use.stderr).contains("in use by another process"), "{in_use:?}");
    server.stop("TERM");
    assert_eq!(stdout(&lanes(&["list"], folder.path())), "no log is parked\n");
    let again = lanes(&["retry", "lanes-1/0"], folder.path());
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&again.stderr), "equilibrium: lanes-1/0: the log is not parked\n");
}

#[test]
fn lanes_double_once_no_record_waits_for_a_parked_log() {
    let folder = TempDir::new().unwrap();
    park(folder.path());
    let refused = || {
        let output = serve_unfed_from(folder.path()).args(["--lanes", "2"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let reason = "its lanes cannot double while lanes-1/0 is parked or records wait for it";
        assert!(String::from_utf8_lossy(&output.stderr).contains(reason), "{output:?}");
    };
    refused();
    stdout(&lanes(&["unpark", "lanes-1/0"], folder.path()));
    refused();
    let server = server(folder.path());
    server.post(&driver("new", place(1), now_ms() - SETTLED_MS));
    assert_eq!(total(&server.close_ticks(), "supply"), 2);
    server.stop("TERM");
    let server = Server::start(serve_unfed_from(folder.path()).args(["--lanes", "2"]));
    server.post(&driver("newer", place(2), now_ms() - SETTLED_MS));
    assert!(total(&server.close_ticks(), "supply") >= 3, "the waiting driver, the new ones and the last one");
    server.stop("TERM");
}

#[test]
fn a_folder_or_log_that_is_not_one_is_named() {
    let folder = TempDir::new().unwrap();
    let absent = folder.path().join("absent");
    for (arguments, folder, reason) in [
        (&["list"][..], &*absent, "absent/equilibrium.redb: does not exist"),
        (&["retry", "lanes-3/0"], folder.path(), "not the name of a log"),
        (&["unpark", "parked"], folder.path(), "not the name of a log"),
    ] {
        let output = lanes(arguments, folder);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(reason), "{output:?}");
    }
    assert!(!absent.exists(), "nothing is created");
}
