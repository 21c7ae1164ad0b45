//! Logs that cannot go on: their records wait apart, and their shard goes on without them (ARCHITECTURE.md, "Parking").
//!
//! A mark at the end of a log parks it, so that an instance with an older state in memory cannot append. An operator
//! lists the parked logs, and has one resumed, with or without the entries that cannot be read; the function then takes
//! its records up before any other.

use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::parking::{self, Epoch, LogMark, ParkedLogNote, ParkedRecord};
use equilibrium_domain::time::Timestamp;
use thiserror::Error;

use crate::checkpoint::fence;
use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::unavailable::Unavailable;

/// A log that is parked, or was resumed and has records that still wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedLog {
    /// The log.
    pub key: CheckpointKey,
    /// Since when it is parked.
    pub since: Timestamp,
    /// Why it could not go on.
    pub reason: String,
    /// Whether it was resumed: its next batch processes the waiting records.
    pub is_resumed: bool,
    /// Records that wait for it; some may wait twice.
    pub records: usize,
    /// Bytes of these records.
    pub bytes: usize,
    /// The fencing epoch of the log.
    pub epoch: Epoch,
}

/// How a parked log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// As it is: its entries can be read now.
    Retry,
    /// Without the entries that cannot be read: what only they held is lost.
    Unpark,
}

/// Why a log was not resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResumeError {
    /// It is not parked.
    #[error("the log is not parked")]
    NotParked,
    /// Try again: it is unknown whether the log was marked, or another instance wrote to it meanwhile.
    #[error("the checkpoint log is unavailable")]
    Unavailable,
}

impl From<AppendError> for ResumeError {
    fn from(_: AppendError) -> Self {
        Self::Unavailable
    }
}

impl From<Unavailable> for ResumeError {
    fn from(_: Unavailable) -> Self {
        Self::Unavailable
    }
}

/// The parked logs, and resumed ones for which records wait, in the order in which they were parked.
///
/// # Errors
/// [`Unavailable`].
pub async fn list(log: &impl CheckpointLog) -> Result<Vec<ParkedLog>, Unavailable> {
    let mut parked: Vec<ParkedLog> = Vec::new();
    for note in log.load(&CheckpointKey::ParkedLogs, None).await?.entries {
        let Ok(ParkedLogNote { key, parked: since }) = ParkedLogNote::decode(&note) else { continue };
        let Some(key) = CheckpointKey::parse(&key) else { continue };
        parked.retain(|known| known.key != key);
        if let Some((since, reason)) = since {
            let (is_resumed, records, bytes, epoch) = (false, 0, 0, Epoch::default());
            parked.push(ParkedLog { key, since, reason, is_resumed, records, bytes, epoch });
        }
    }
    for parked in &mut parked {
        let waiting = waiting(log, &parked.key).await?;
        let loaded = log.load(&parked.key, None).await?;
        parked.is_resumed = !is_parked(&loaded.entries);
        parked.epoch = fence::epoch(&parked.key, &loaded);
        parked.records = waiting.iter().map(Vec::len).sum();
        parked.bytes = waiting.iter().flatten().map(|record| record.data.len()).sum();
    }
    // One that was resumed before any record waited is as any other, and so is one whose mark was never written.
    parked.retain(|parked| !parked.is_resumed || parked.records > 0);
    Ok(parked)
}

/// Whether a log with these entries is parked.
#[must_use]
pub fn is_parked(entries: &[Vec<u8>]) -> bool {
    let parks = |entry: &Vec<u8>| match LogMark::decode(entry)? {
        LogMark::Parked { .. } => Some(true),
        LogMark::Resumed | LogMark::Restarted => Some(false),
        LogMark::Emptied | LogMark::Fenced(_) => None,
    };
    entries.iter().rev().find_map(parks).unwrap_or(false)
}

/// Has a parked log resumed: the function that next receives a record of it takes up its parked records first.
///
/// # Errors
/// [`ResumeError`].
pub async fn resume(log: &impl CheckpointLog, key: &CheckpointKey, how: Resume) -> Result<(), ResumeError> {
    let loaded = log.load(key, None).await?;
    if !is_parked(&loaded.entries) {
        return Err(ResumeError::NotParked);
    }
    let mark = match how {
        Resume::Retry => LogMark::Resumed,
        Resume::Unpark => LogMark::Restarted,
    };
    Ok(log.append(key, &Entry::new(loaded.next(), mark.encode())).await?)
}

/// Parks a log, whose next entry has `number`, at `now_ms`.
pub(crate) async fn park_log(
    log: &impl CheckpointLog,
    key: &CheckpointKey,
    number: u64,
    (now_ms, reason): (i64, String),
) -> Result<(), AppendError> {
    // The note first: a parked log is always listed, and a listed one that is not parked is left out.
    let since = Timestamp::from_ms(now_ms).unwrap_or(Timestamp::END_OF_TIME);
    note(log, ParkedLogNote { key: key.to_string(), parked: Some((since, reason.clone())) }).await?;
    let mark = LogMark::Parked { at_ms: now_ms, reason };
    log.append(key, &Entry::new(number, mark.encode())).await
}

/// Keeps records of a parked log.
pub(super) async fn park_records(
    log: &impl CheckpointLog,
    key: &CheckpointKey,
    records: Vec<u8>,
) -> Result<(), Unavailable> {
    match key.parked_records() {
        Some(key) => append(log, &key, records).await,
        None => Err(Unavailable),
    }
}

/// The batches of records that wait for a log, in order.
pub(crate) async fn waiting(
    log: &impl CheckpointLog,
    key: &CheckpointKey,
) -> Result<Vec<Vec<ParkedRecord>>, Unavailable> {
    let Some(key) = key.parked_records() else { return Ok(Vec::new()) };
    Ok(waiting_in(&log.load(&key, None).await?.entries))
}

/// The batches of records that wait, of the entries of a log of parked records.
#[must_use]
pub fn waiting_in(entries: &[Vec<u8>]) -> Vec<Vec<ParkedRecord>> {
    let emptied = entries.iter().rposition(|entry| LogMark::decode(entry) == Some(LogMark::Emptied));
    let waiting = &entries[emptied.map_or(0, |at| at + 1)..];
    // A batch that the store cannot read back is lost: its log was reported when it was parked.
    waiting.iter().filter_map(|entry| parking::decode_records(entry).ok()).collect()
}

/// Records that no record waits for the log any more, and that it goes on.
pub(super) async fn emptied(log: &impl CheckpointLog, key: &CheckpointKey) -> Result<(), Unavailable> {
    if let Some(records) = key.parked_records() {
        append(log, &records, LogMark::Emptied.encode()).await?;
    }
    note(log, ParkedLogNote { key: key.to_string(), parked: None }).await
}

async fn note(log: &impl CheckpointLog, note: ParkedLogNote) -> Result<(), Unavailable> {
    append(log, &CheckpointKey::ParkedLogs, note.encode()).await
}

/// Appends an entry after whatever the log holds. Logs of this kind are written only while something is wrong.
async fn append(log: &impl CheckpointLog, key: &CheckpointKey, entry: Vec<u8>) -> Result<(), Unavailable> {
    let mut entry = Entry::new(0, entry);
    loop {
        entry.number = log.load(key, None).await?.next();
        match log.append(key, &entry).await {
            Ok(()) => return Ok(()),
            Err(AppendError::Conflict) => {}
            Err(AppendError::Unavailable(unavailable)) => return Err(unavailable),
        }
    }
}
