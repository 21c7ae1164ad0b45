//! A file of events as a live feed: each line at its moment, its time moved to the feed's own.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use equilibrium_domain::event::{self, MAX_EVENT_BYTES};
use equilibrium_domain::time::Timestamp;
use equilibrium_domain::wire::json::{Malformed, Scan, Text, Value};

use crate::workload::line_reader::{BlockReader, LineSplitter};

/// A file's lines, given when they are due.
///
/// The first time that can be read in the file becomes the start, and every other moves by as many
/// milliseconds, so that events stay as far apart as they were. A line is due at the greatest moved time
/// of it and of all lines before it: the file's order is the order of arrival, and a line whose time lies
/// behind comes as late as it did. What has no time to read is due with the line before it, or at the
/// start, and is passed on byte for byte, as is what would leave the years 0000 to 9999. A line too long to
/// be an event has none, and is passed on too long, though perhaps not whole.
///
/// Nothing but the digits of `time` changes. Where they were written shorter than milliseconds and `Z`
/// the line grows, and may grow beyond [`MAX_EVENT_BYTES`].
#[derive(Debug)]
pub struct RebasedFile {
    /// `None` where there is no more to read.
    blocks: Option<BlockReader>,
    lines: LineSplitter,
    shift: Shift,
    waiting: Waiting,
}

impl RebasedFile {
    /// Opens the file, plain or gzip; its first time becomes `start_ms`, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// What the system says, also of a folder.
    pub fn open(path: &Path, start_ms: i64) -> io::Result<Self> {
        Ok(Self {
            blocks: Some(BlockReader::open(path)?),
            lines: LineSplitter::default(),
            shift: Shift { start_ms, by_ms: None },
            waiting: Waiting { bytes: Vec::new(), given: 0, runs: VecDeque::new(), due_ms: start_ms },
        })
    }

    /// Appends every line due before `until_ms` to `out`, in the file's order, each ended by `\n`; blank
    /// lines are left out. How the time is cut into calls changes nothing. Of the file no more than the
    /// block is read in which the next line lies; where the file is slow this waits for it.
    ///
    /// # Errors
    /// What the system says where reading fails midway, once, and no sooner than every whole line before
    /// the failure was given: by this call or an earlier one. The feed is then finished.
    pub fn advance(&mut self, until_ms: i64, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            self.waiting.drain_due(until_ms, out);
            if !self.waiting.is_empty() || self.blocks.is_none() {
                return Ok(());
            }
            self.read()?;
        }
    }

    /// Whether everything was given.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.blocks.is_none() && self.waiting.is_empty()
    }

    /// When the next line is due: [`Self::advance`] gives it for any later moment. Known from the first
    /// call of that until the feed is finished.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        self.waiting.runs.front().map(|run| run.due_ms)
    }

    /// Reads one block, or the end.
    fn read(&mut self) -> io::Result<()> {
        let mut take = |line: &[u8]| {
            // A longer line may have been cut: what it was is not known.
            if !event::is_blank(line) || line.len() > MAX_EVENT_BYTES {
                self.waiting.add(line, self.shift.apply(line));
            }
        };
        match self.blocks.as_mut().and_then(Iterator::next) {
            Some(Ok(block)) => self.lines.push(&block.bytes, take),
            Some(Err(failure)) => {
                self.blocks = None;
                return Err(failure);
            }
            None => {
                self.blocks = None;
                self.lines.end(&mut take);
            }
        }
        Ok(())
    }
}

/// By how much a file's times move: known with its first.
#[derive(Debug)]
struct Shift {
    start_ms: i64,
    by_ms: Option<i64>,
}

impl Shift {
    /// The line's time where it can be read and moved.
    fn apply<'a>(&mut self, line: &'a [u8]) -> Option<RebasedLine<'a>> {
        let (before, ms, after) = split_at_time(line)?;
        let by_ms = *self.by_ms.get_or_insert(self.start_ms.saturating_sub(ms));
        let time = Timestamp::from_ms(ms.saturating_add(by_ms))?;
        Some(RebasedLine { before, time, after })
    }
}

/// A line with another time.
#[derive(Clone, Copy, Debug)]
struct RebasedLine<'a> {
    before: &'a [u8],
    time: Timestamp,
    after: &'a [u8],
}

/// What comes before the value of `time`, the value in milliseconds, and what comes after it; as the
/// event's reader finds it: of the object's own members the last of that name, however its key and value
/// are escaped (CONTRACT §1).
fn split_at_time(line: &[u8]) -> Option<(&[u8], i64, &[u8])> {
    // Such a line is refused whatever it holds, and may have been cut.
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

/// The lines of a block, the first of them given.
#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    /// How many of the bytes were given.
    given: usize,
    runs: VecDeque<Run>,
    /// When the last line is due.
    due_ms: i64,
}

/// Lines that are due together.
#[derive(Debug)]
struct Run {
    due_ms: i64,
    /// Where the last of them ends.
    end: usize,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    fn add(&mut self, line: &[u8], moved: Option<RebasedLine<'_>>) {
        if let Some(RebasedLine { before, time, after }) = moved {
            self.due_ms = self.due_ms.max(time.ms());
            self.bytes.extend_from_slice(before);
            write!(self.bytes, "\"{time}\"").expect("a vector takes what is written");
            self.bytes.extend_from_slice(after);
        } else {
            self.bytes.extend_from_slice(line);
        }
        self.bytes.push(b'\n');
        let (due_ms, end) = (self.due_ms, self.bytes.len());
        match self.runs.back_mut() {
            Some(run) if run.due_ms == due_ms => run.end = end,
            _ => self.runs.push_back(Run { due_ms, end }),
        }
    }

    fn drain_due(&mut self, until_ms: i64, out: &mut Vec<u8>) {
        let mut end = self.given;
        while let Some(run) = self.runs.pop_front_if(|run| run.due_ms < until_ms) {
            end = run.end;
        }
        out.extend_from_slice(&self.bytes[self.given..end]);
        self.given = end;
        if self.runs.is_empty() {
            self.bytes.clear();
            self.given = 0;
        }
    }
}

#[cfg(test)]
mod tests;
