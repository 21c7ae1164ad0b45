//! A whole replay of a file: read, inflate, validate, pack, count, price, write.

use std::path::PathBuf;
use std::time::Instant;

use equilibrium_domain::id::LaneCount;
use equilibrium_local::commands::replay::Replay;

use crate::{figure, median, run};

pub fn figures() {
    let Some(events) = std::env::var_os("EQUILIBRIUM_EVENTS").map(PathBuf::from) else { return };
    let folder = tempfile::tempdir().expect("a folder for the ticks");
    let replay =
        Replay { events, out: folder.path().join("ticks.ndjson"), city: None, lanes: LaneCount::ONE };
    let mut events = 0;
    let times = (0..9).map(|_| {
        let start = Instant::now();
        let summary = run(replay.run(&mut std::io::sink())).expect("the file can be replayed");
        events = summary.events;
        start.elapsed().as_secs_f64()
    });
    let seconds = median(times.collect());
    figure(
        &format!("`replay` of {events} events, from reading the file to writing its ticks"),
        &format!("{seconds:.2} s"),
    );
}
