//! A file of events as a live source: timestamps are shifted to start now, and each line is due at its time.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use equilibrium_domain::event::MAX_FUTURE_MS;
use equilibrium_domain::time::Timestamp;

use crate::line_reader::{Block, BlockReader, LineSplitter};
use crate::look_ahead::{FileLine, LookAhead};

/// The lines of a file, each returned when it is due.
///
/// The first valid time in the file becomes the start, and all times are shifted by the same number of milliseconds,
/// so the time between events is preserved. A line is due at the greatest shifted time of all lines up to it: the order
/// of the file is the order of arrival, and a late event stays as late. A line without a valid time, or whose shifted
/// time is outside the years 0000 to 9999, is passed through byte for byte; without a valid time it is due with the line
/// before it, or at the start. A line too long to be an event is passed through too, possibly truncated but still too
/// long.
///
/// One clock that is wrong stops no other: a line whose time is ahead of most of the lines after it is due with the line
/// before it, for the receiver to refuse, and a first line whose time is a day before most of them is left out. Both are
/// named.
///
/// Only the value of `time` changes. It is written with milliseconds and `Z`, so a line may grow, even beyond
/// [`MAX_EVENT_BYTES`](equilibrium_domain::event::MAX_EVENT_BYTES).
#[derive(Debug)]
pub struct RebasedFile {
    /// `None` after the end of the file or a read error.
    blocks: Option<BlockReader>,
    lines: LineSplitter,
    shift: TimeShift,
    look_ahead: LookAhead,
    pending: PendingLines,
    /// The read error after all lines.
    error: Option<io::Error>,
    notice: Notice,
}

/// Receives a line of text for people.
pub type Notice = fn(&str);

impl RebasedFile {
    /// Opens the file, plain or gzip; its first time becomes `start_ms`, milliseconds since the Unix epoch. `notice`
    /// receives a line of text for each line of the file with a wrong time.
    ///
    /// # Errors
    /// The I/O error, also for a folder.
    pub fn open(path: &Path, start_ms: i64, notice: Notice) -> io::Result<Self> {
        Ok(Self {
            blocks: Some(BlockReader::open(path)?),
            lines: LineSplitter::default(),
            shift: TimeShift { start_ms, offset_ms: None },
            look_ahead: LookAhead::default(),
            error: None,
            notice,
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
            if !self.pending.is_empty() {
                return Ok(());
            }
            let Some(blocks) = &mut self.blocks else { return self.error.take().map_or(Ok(()), Err) };
            // Lines that are due do not wait for the writer of a pipe.
            let block = if out.is_empty() { blocks.next() } else { blocks.next_available() };
            if block.is_none() && !out.is_empty() && blocks.may_rest() {
                return Ok(());
            }
            self.read_block(block);
        }
    }

    /// Whether every line was returned.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.blocks.is_none() && self.pending.is_empty() && self.error.is_none()
    }

    /// Reads one block, or the end of the file.
    fn read_block(&mut self, block: Option<io::Result<Block>>) {
        let look_ahead = &mut self.look_ahead;
        let add = |line: &[u8]| look_ahead.push(line);
        match block {
            Some(Ok(block)) => self.lines.push(&block.bytes, add),
            Some(Err(error)) => (self.blocks, self.error) = (None, Some(error)),
            None => {
                self.blocks = None;
                self.lines.end(add);
            }
        }
        while let Some(line) = self.look_ahead.pop(self.blocks.is_none()) {
            self.release(&line);
        }
    }

    /// Makes a line pending, given the lines after it.
    fn release(&mut self, line: &FileLine) {
        let Some(time_ms) = line.time_ms() else { return self.pending.add(&line.bytes, None) };
        if self.shift.offset_ms.is_none() && self.look_ahead.is_far_before_most(time_ms) {
            let number = line.number;
            (self.notice)(&format!(
                "\nfeed: line {number}: its time is days before the lines after it; left out\n"
            ));
            return;
        }
        let Some(rebased) = self.shift.apply(line) else { return self.pending.add(&line.bytes, None) };
        let ahead_ms = rebased.time.ms() - self.pending.due_ms;
        if ahead_ms <= MAX_FUTURE_MS || !self.look_ahead.is_ahead_of_most(time_ms) {
            self.pending.due_ms = self.pending.due_ms.max(rebased.time.ms());
        } else {
            let (number, s) = (line.number, ahead_ms / 1000);
            (self.notice)(&format!("\nfeed: line {number}: its time is {s} s ahead of the lines after it\n"));
        }
        self.pending.add(&line.bytes, Some(rebased));
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
    fn apply<'a>(&mut self, line: &'a FileLine) -> Option<RebasedLine<'a>> {
        let (before, time_ms, after) = line.time?;
        let offset_ms = *self.offset_ms.get_or_insert(self.start_ms.saturating_sub(time_ms));
        let time = Timestamp::from_ms(time_ms.saturating_add(offset_ms))?;
        Some(RebasedLine { before: &line.bytes[..before], time, after: &line.bytes[after..] })
    }
}

/// A line with a new time.
#[derive(Clone, Copy, Debug)]
struct RebasedLine<'a> {
    before: &'a [u8],
    time: Timestamp,
    after: &'a [u8],
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
mod tests {
    use equilibrium_domain::event::MAX_EVENT_BYTES;

    use super::*;

    const START_MS: i64 = 1_800_000_000_000;

    fn open(content: &str) -> RebasedFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        RebasedFile::open(file.path(), START_MS, |_| {}).unwrap()
    }

    #[test]
    fn at_most_one_block_is_pending() {
        let line = |n: i64| {
            format!("{{\"time\":\"{}\",\"pad\":\"{:0157}\"}}\n", Timestamp::from_ms(10 * n).unwrap(), n)
        };
        let mut file = open(&(0..25_000).map(line).collect::<String>());
        let mut until_ms = START_MS;
        while !file.is_finished() {
            file.advance(until_ms, &mut Vec::new()).unwrap();
            // One block, and a line that started in the block before.
            assert!(file.pending.bytes.len() <= (1 << 20) + MAX_EVENT_BYTES + 3);
            assert!(file.pending.groups.len() <= (1 << 20) / 200 + 2);
            until_ms += 777;
        }
    }

    #[test]
    fn lines_due_at_one_time_form_one_group() {
        let (mut file, mut out) = (open(&"{}\n".repeat(10_000)), Vec::new());
        file.advance(START_MS, &mut out).unwrap();
        assert_eq!((out.len(), file.pending.groups.len()), (0, 1));
        file.advance(START_MS + 1, &mut out).unwrap();
        assert_eq!(out.len(), 30_000);
    }
}
