//! A file of events as a live source: timestamps are shifted to start now, and each line is due at its time.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use equilibrium_domain::event::{self, MAX_EVENT_BYTES};
use equilibrium_domain::time::Timestamp;
use equilibrium_domain::wire::json::{Malformed, Scan, Text, Value};

use crate::workload::line_reader::{BlockReader, LineSplitter};

/// The lines of a file, each returned when it is due.
///
/// The first valid time in the file becomes the start, and all times are shifted by the same number of milliseconds,
/// so the time between events is preserved. A line is due at the greatest shifted time of all lines up to it: the order
/// of the file is the order of arrival, and a late event stays as late. A line without a valid time, or whose shifted
/// time is outside the years 0000 to 9999, is passed through byte for byte; without a valid time it is due with the line
/// before it, or at the start. A line too long to be an event is passed through too, possibly truncated but still too
/// long.
///
/// Only the value of `time` changes. It is written with milliseconds and `Z`, so a line may grow, even beyond
/// [`MAX_EVENT_BYTES`].
#[derive(Debug)]
pub struct RebasedFile {
    /// `None` after the end of the file or a read error.
    blocks: Option<BlockReader>,
    lines: LineSplitter,
    shift: TimeShift,
    pending: PendingLines,
}

impl RebasedFile {
    /// Opens the file, plain or gzip; its first time becomes `start_ms`, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The I/O error, also for a folder.
    pub fn open(path: &Path, start_ms: i64) -> io::Result<Self> {
        Ok(Self {
            blocks: Some(BlockReader::open(path)?),
            lines: LineSplitter::default(),
            shift: TimeShift { start_ms, offset_ms: None },
            pending: PendingLines {
                bytes: Vec::new(),
                drained: 0,
                groups: VecDeque::new(),
                due_ms: start_ms,
            },
        })
    }

    /// Appends every line due before `until_ms` to `out`, in the order of the file, each ended by `\n`; blank lines are
    /// omitted. How the time is divided into calls does not change the output. The file is read up to the block of the
    /// next line that is not due; this blocks while the file is read.
    ///
    /// # Errors
    /// A read error, once, after every whole line before it was returned by this or an earlier call. The source is
    /// finished afterwards.
    pub fn advance(&mut self, until_ms: i64, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            self.pending.drain_due(until_ms, out);
            if !self.pending.is_empty() || self.blocks.is_none() {
                return Ok(());
            }
            self.read_block()?;
        }
    }

    /// Whether every line was returned.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.blocks.is_none() && self.pending.is_empty()
    }

    /// When the next line is due, from the first call of [`Self::advance`] until the source is finished.
    #[cfg(test)]
    fn due_ms(&self) -> Option<i64> {
        self.pending.groups.front().map(|group| group.due_ms)
    }

    /// Reads one block, or the end of the file.
    fn read_block(&mut self) -> io::Result<()> {
        let mut add = |line: &[u8]| {
            // A line longer than the limit may be truncated, so it is unknown whether it is blank.
            if !event::is_blank(line) || line.len() > MAX_EVENT_BYTES {
                self.pending.add(line, self.shift.apply(line));
            }
        };
        match self.blocks.as_mut().and_then(Iterator::next) {
            Some(Ok(block)) => self.lines.push(&block.bytes, add),
            Some(Err(error)) => {
                self.blocks = None;
                return Err(error);
            }
            None => {
                self.blocks = None;
                self.lines.end(&mut add);
            }
        }
        Ok(())
    }
}

/// The shift of a file's times.
#[derive(Debug)]
struct TimeShift {
    start_ms: i64,
    /// `None` before the first valid time.
    offset_ms: Option<i64>,
}

impl TimeShift {
    /// The line with its shifted time; `None` if it has no valid time.
    fn apply<'a>(&mut self, line: &'a [u8]) -> Option<RebasedLine<'a>> {
        let (before, time_ms, after) = split_at_time(line)?;
        let offset_ms = *self.offset_ms.get_or_insert(self.start_ms.saturating_sub(time_ms));
        let time = Timestamp::from_ms(time_ms.saturating_add(offset_ms))?;
        Some(RebasedLine { before, time, after })
    }
}

/// A line with a new time.
#[derive(Clone, Copy, Debug)]
struct RebasedLine<'a> {
    before: &'a [u8],
    time: Timestamp,
    after: &'a [u8],
}

/// The bytes before the value of `time`, the value in milliseconds, and the bytes after it. Like the event parser, this
/// takes the last member of that name in the top-level object, however key and value are escaped (CONTRACT §1).
fn split_at_time(line: &[u8]) -> Option<(&[u8], i64, &[u8])> {
    // The line is refused in any case, and may be truncated.
    if line.len() > MAX_EVENT_BYTES {
        return None;
    }
    let text = std::str::from_utf8(line).ok()?;
    let mut found = None;
    let mut scan = Scan::new(text);
    scan.object(|key, scan| {
        let value = scan.raw()?;
        if is_time(key) {
            found = Some(value);
        }
        Ok::<(), Malformed>(())
    })
    .ok()?;
    scan.end().ok()?;
    let value = found?;
    let Ok(Value::String(time)) = Scan::new(value).value() else { return None };
    let time = Timestamp::parse(&time.decode()?)?;
    let start = value.as_ptr().addr() - text.as_ptr().addr();
    Some((&line[..start], time.ms(), &line[start + value.len()..]))
}

fn is_time(key: Text<'_>) -> bool {
    match key.plain() {
        Some(key) => key == b"time",
        None => key.decode().is_some_and(|key| *key == *b"time"),
    }
}

/// The lines of a block that were not drained yet.
#[derive(Debug)]
struct PendingLines {
    bytes: Vec<u8>,
    /// Number of drained bytes.
    drained: usize,
    groups: VecDeque<DueGroup>,
    /// When the last line is due.
    due_ms: i64,
}

/// Lines that are due together.
#[derive(Debug)]
struct DueGroup {
    due_ms: i64,
    /// The end of the last of them in the bytes.
    end: usize,
}

impl PendingLines {
    fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    fn add(&mut self, line: &[u8], rebased: Option<RebasedLine<'_>>) {
        if let Some(RebasedLine { before, time, after }) = rebased {
            self.due_ms = self.due_ms.max(time.ms());
            self.bytes.extend_from_slice(before);
            write!(self.bytes, "\"{time}\"").expect("writing to a `Vec` does not fail");
            self.bytes.extend_from_slice(after);
        } else {
            self.bytes.extend_from_slice(line);
        }
        self.bytes.push(b'\n');
        let (due_ms, end) = (self.due_ms, self.bytes.len());
        match self.groups.back_mut() {
            Some(group) if group.due_ms == due_ms => group.end = end,
            _ => self.groups.push_back(DueGroup { due_ms, end }),
        }
    }

    fn drain_due(&mut self, until_ms: i64, out: &mut Vec<u8>) {
        let mut end = self.drained;
        while let Some(group) = self.groups.pop_front_if(|group| group.due_ms < until_ms) {
            end = group.end;
        }
        out.extend_from_slice(&self.bytes[self.drained..end]);
        self.drained = end;
        if self.groups.is_empty() {
            self.bytes.clear();
            self.drained = 0;
        }
    }
}

#[cfg(test)]
mod tests;
