//! The writer thread writes all pending changes in one transaction, again and again, until the store is closed. A second
//! thread acknowledges the events of a transaction while the next one is written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::data_folder::DataFolder;
use crate::database::{Changes, Database, Row};
use crate::open_error::OpenError;
use crate::record_batch;
use crate::state::{PendingEvent, PendingWrites, Shared, State};

/// Transactions whose events wait to be acknowledged, at most.
const MAX_UNACKNOWLEDGED: usize = 4;

/// Pause after a failed write.
const WRITE_RETRY_BACKOFF: Duration = Duration::from_millis(500);

/// The content of one transaction.
struct WriteBatch {
    changes: Changes,
    events: Vec<PendingEvent>,
    /// The number of the first of `events`.
    first: u64,
    /// Wait for the changes.
    written: Vec<oneshot::Sender<()>>,
}

/// Writes until the store is closed and nothing is pending, or until writing fails while the store is closing.
pub(crate) fn write_behind(shared: &Shared, database: Database) {
    // The folder stays locked while its database is closed.
    let folder = Arc::clone(database.folder());
    thread::scope(|threads| {
        let (written, acknowledged) = sync_channel(MAX_UNACKNOWLEDGED);
        let acknowledging = Arc::clone(&folder);
        threads.spawn(move || acknowledge(shared, &acknowledging, &acknowledged));
        let mut database: Result<Database, OpenError> = Ok(database);
        while let Some(mut batch) = next_batch(shared) {
            if !batch.events.is_empty() {
                let records = record_batch::encode(batch.events.iter().map(|event| &event.record));
                batch.changes.rows.insert(Row::Events(batch.first), Some(records));
            }
            let write = match &database {
                Ok(database) => database.write(&batch.changes).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let Err(error) = write else {
                shared.state.lock().forget_written(batch.changes.rows.keys());
                // The other thread ends after this one.
                drop(written.send(batch));
                continue;
            };
            // The database cannot be opened again while it is open.
            *shared.past.lock() = None;
            drop(database);
            requeue(shared, &mut batch);
            refuse(shared, batch, &error);
            if !pause(shared) {
                return;
            }
            database = Database::reopen(&folder, shared.lanes);
            *shared.past.lock() = database.as_ref().ok().map(Database::past);
        }
    });
}

/// Waits for pending changes; `None` once the store is closed and everything is written.
fn next_batch(shared: &Shared) -> Option<WriteBatch> {
    let mut state = shared.state.lock();
    loop {
        let pending = state.pending.as_mut()?;
        if !pending.is_empty() {
            return Some(pending.take());
        }
        if pending.closing {
            return None;
        }
        shared.changed.wait(&mut state);
    }
}

/// Acknowledges the events of each transaction, in order, once the number of the last one is on disk, too.
fn acknowledge(shared: &Shared, folder: &DataFolder, written: &Receiver<WriteBatch>) {
    while let Ok(first) = written.recv() {
        let batches: Vec<WriteBatch> = std::iter::once(first).chain(written.try_iter()).collect();
        let newest = batches.iter().map(|batch| batch.changes.ends.event).max().unwrap_or(0);
        match folder.acknowledged().write(newest) {
            Ok(()) => batches.into_iter().for_each(|batch| append(shared, batch)),
            Err(error) => {
                batches.into_iter().for_each(|batch| refuse(shared, batch, &error.to_string()));
                pause(shared);
            }
        }
    }
}

/// Appends the written events to the event log and completes the puts and saves that wait for the batch.
fn append(shared: &Shared, batch: WriteBatch) {
    let WriteBatch { events, first, written: mut waiting, .. } = batch;
    let end = first + events.len() as u64;
    if let Some(pending) = &mut shared.state.lock().pending {
        pending.write_error = None;
        pending.event_rows.extend((first < end).then(|| (first, end - 1)));
    }
    for (number, event) in (first..).zip(events) {
        shared.append_event(number, event.record);
        waiting.extend(event.written);
    }
    shared.arrived.notify_one();
    for written in waiting {
        // A put that was cancelled has dropped its receiver.
        let _ = written.send(());
    }
}

/// Makes the changes of a failed transaction pending again.
fn requeue(shared: &Shared, batch: &mut WriteBatch) {
    let mut state = shared.state.lock();
    let Some(pending) = &mut state.pending else { return };
    for (row, content) in std::mem::take(&mut batch.changes.rows) {
        pending.changes.rows.entry(row).or_insert(content);
    }
}

/// Refuses the events of a batch to their clients, and those that wait for the next; the outcome of the saves that wait for either
/// is unknown. The row of the events is removed in case the write did happen.
fn refuse(shared: &Shared, batch: WriteBatch, error: &str) {
    let mut state = shared.state.lock();
    let Some(pending) = &mut state.pending else { return };
    pending.write_error = Some(Arc::from(error));
    pending.events.clear();
    pending.written.clear();
    // While the store is closing, the next process counts them: they may or may not be in the log.
    if !batch.events.is_empty() && !pending.closing {
        pending.changes.rows.insert(Row::Events(batch.first), None);
    }
    // Its events are dropped with it, and their clients get an error.
    drop(batch);
}

/// Waits for [`WRITE_RETRY_BACKOFF`]; returns whether to retry.
fn pause(shared: &Shared) -> bool {
    let is_open = |state: &mut State| state.pending.as_ref().is_some_and(|pending| !pending.closing);
    let mut state = shared.state.lock();
    shared.changed.wait_while_for(&mut state, is_open, WRITE_RETRY_BACKOFF);
    is_open(&mut state)
}

impl PendingWrites {
    fn is_empty(&self) -> bool {
        self.changes.rows.is_empty() && self.events.is_empty() && self.written.is_empty()
    }

    /// Takes everything pending and numbers its events. The numbers are not reused, even if the write fails.
    fn take(&mut self) -> WriteBatch {
        let (rows, events) = (std::mem::take(&mut self.changes.rows), std::mem::take(&mut self.events));
        let ends = &mut self.changes.ends;
        let first = ends.event + 1;
        ends.event += events.len() as u64;
        if let Some(newest) = events.last() {
            ends.arrival_ms = ends.arrival_ms.max(newest.record.arrival_ms);
        }
        let written = std::mem::take(&mut self.written);
        WriteBatch { changes: Changes { rows, ends: *ends }, events, first, written }
    }
}
