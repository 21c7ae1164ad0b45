//! The next lines of a file, by which the time of a line is judged: one clock that is wrong must not stop the others.

use std::collections::VecDeque;

use equilibrium_domain::event::{self, MAX_EVENT_BYTES, MAX_FUTURE_MS};
use equilibrium_domain::time::Timestamp;
use equilibrium_domain::wire::json::{Malformed, Scan, Text, Value};

/// A line, its number in the file, and the place of its time.
#[derive(Debug)]
pub(super) struct FileLine {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    /// The length before the value of `time`, the value in milliseconds, and the start after it.
    pub(super) time: Option<(usize, i64, usize)>,
}

impl FileLine {
    pub(super) fn time_ms(&self) -> Option<i64> {
        self.time.map(|(_, time_ms, _)| time_ms)
    }
}

/// Lines with a time by which the line before them is judged.
const LINES_AHEAD: usize = 16;

/// How far before the lines after it the first time of a file may be.
const MAX_FIRST_GAP_MS: i64 = 86_400_000;

/// The next lines of the file.
#[derive(Debug, Default)]
pub(super) struct LookAhead {
    lines: VecDeque<FileLine>,
    /// The lines with a time.
    timed: usize,
    /// Lines read so far.
    read: u64,
}

impl LookAhead {
    pub(super) fn push(&mut self, line: &[u8]) {
        self.read += 1;
        // A line longer than the limit may be truncated, so it is unknown whether it is blank.
        if event::is_blank(line) && line.len() <= MAX_EVENT_BYTES {
            return;
        }
        let time = split_at_time(line)
            .map(|(before, time_ms, after)| (before.len(), time_ms, line.len() - after.len()));
        self.timed += usize::from(time.is_some());
        self.lines.push_back(FileLine { number: self.read, bytes: line.to_owned(), time });
    }

    /// The next line, once enough lines after it are known.
    pub(super) fn pop(&mut self, is_end: bool) -> Option<FileLine> {
        let line = self.lines.pop_front_if(|_| is_end || self.timed > LINES_AHEAD)?;
        self.timed -= usize::from(line.time.is_some());
        Some(line)
    }

    /// Whether `is_odd` holds for most of the next lines with a time.
    fn most(&self, is_odd: impl Fn(i64) -> bool) -> bool {
        let times = || self.lines.iter().filter_map(FileLine::time_ms).take(LINES_AHEAD);
        2 * times().filter(|time_ms| is_odd(*time_ms)).count() > times().count()
    }

    /// Whether a line is more than a day before most of the lines after it.
    pub(super) fn is_far_before_most(&self, time_ms: i64) -> bool {
        self.most(|later_ms| later_ms.saturating_sub(time_ms) > MAX_FIRST_GAP_MS)
    }

    /// Whether a line is further ahead of most of the lines after it than a receiver accepts.
    pub(super) fn is_ahead_of_most(&self, time_ms: i64) -> bool {
        self.most(|later_ms| time_ms.saturating_sub(later_ms) > MAX_FUTURE_MS)
    }
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
