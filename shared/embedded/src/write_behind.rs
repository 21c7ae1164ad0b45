//! Writes what has changed, group after group, for as long as the process lives.

use std::sync::Arc;

use std::time::Duration;

use crate::database::{Changes, Disk, OpenError, Row};
use crate::record_batch;
use crate::state::{PendingWrites, Put, Shared, State};

/// How long a disk that failed is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// What is written together.
struct Work {
    changes: Changes,
    puts: Vec<Put>,
    /// The number of the first of `puts`.
    first: u64,
}

/// Writes until the store is closed and nothing is left, or nothing can be written any more.
pub(crate) fn write_behind(shared: &Shared, disk: Disk) {
    let path = disk.path().to_owned();
    let mut disk: Result<Disk, OpenError> = Ok(disk);
    while let Some(mut work) = next(shared) {
        if !work.puts.is_empty() {
            let records = record_batch::encode(work.puts.iter().map(|put| &put.record));
            work.changes.rows.insert(Row::Events(work.first), Some(records));
        }
        let written = match &disk {
            Ok(disk) => disk.write(&work.changes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let Err(error) = written else {
            settle(shared, work);
            continue;
        };
        // It is to be opened anew, which it is not while it is open.
        drop(disk);
        if !fail(shared, work, &error) {
            return;
        }
        disk = Disk::reopen(&path);
    }
}

/// Waits for something to write; `None` once the store is closed and all is written.
fn next(shared: &Shared) -> Option<Work> {
    let mut kept = shared.kept.lock();
    loop {
        let ledger = kept.ledger.as_mut()?;
        if !ledger.is_clean() {
            return Some(ledger.take());
        }
        if ledger.closing {
            return None;
        }
        shared.changed.wait(&mut kept);
    }
}

/// Enters what is written into the log, and tells whoever waits.
fn settle(shared: &Shared, work: Work) {
    let Work { puts, first, .. } = work;
    let last = first + puts.len() as u64;
    if let Some(ledger) = &mut shared.kept.lock().ledger {
        ledger.trouble = None;
        ledger.groups.extend((first < last).then(|| (first, last - 1)));
    }
    let mut waiting = Vec::with_capacity(puts.len());
    for (number, put) in (first..).zip(puts) {
        shared.enter(number, put.record);
        waiting.push(put.kept);
    }
    shared.arrived.notify_one();
    for kept in waiting {
        // Whoever has gone does not want to know.
        let _ = kept.send(());
    }
}

/// Takes back what was not written, to be written with what comes next, and leaves the disk alone for a
/// while; whether to try again. Of the events, whose clients are told so, nothing may be found again.
fn fail(shared: &Shared, work: Work, error: &str) -> bool {
    let Work { changes, puts, first } = work;
    let mut kept = shared.kept.lock();
    let Some(ledger) = &mut kept.ledger else { return false };
    let rows = &mut ledger.changes.rows;
    for (row, content) in changes.rows {
        rows.entry(row).or_insert(content);
    }
    if !puts.is_empty() {
        rows.insert(Row::Events(first), None);
    }
    ledger.trouble = Some(Arc::from(error));
    ledger.puts.clear();
    drop(puts);
    let lasts = |kept: &mut State| kept.ledger.as_ref().is_some_and(|ledger| !ledger.closing);
    shared.changed.wait_while_for(&mut kept, lasts, PAUSE);
    kept.ledger.as_ref().is_some_and(|ledger| !ledger.closing)
}

impl PendingWrites {
    fn is_clean(&self) -> bool {
        self.changes.rows.is_empty() && self.puts.is_empty()
    }

    /// Takes all there is. The numbers it gives are used up, whether it is written or not.
    fn take(&mut self) -> Work {
        let (rows, puts) = (std::mem::take(&mut self.changes.rows), std::mem::take(&mut self.puts));
        let marks = &mut self.changes.marks;
        let first = marks.event + 1;
        marks.event += puts.len() as u64;
        if let Some(newest) = puts.last() {
            marks.arrival_ms = marks.arrival_ms.max(newest.record.arrival_ms);
        }
        Work { changes: Changes { rows, marks: *marks }, puts, first }
    }
}
