//! Events as a real network delivers them: each a little later than it happened, some overtaking others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::rng::SplitMix64;

/// When a line is due, how many were sent before it, and the line; the first due is the greatest.
type OnItsWay = Reverse<(i64, u64, Box<[u8]>)>;

/// Lines on their way.
#[derive(Debug)]
pub(super) struct Delay {
    /// Nothing is on its way for longer than this.
    most_ms: i64,
    /// Its own, so that the same events happen however they are delivered.
    rng: SplitMix64,
    lines: BinaryHeap<OnItsWay>,
    sent: u64,
}

impl Delay {
    /// `None` where everything arrives as it happens.
    pub(super) fn new(most_ms: i64, seed: u64) -> Option<Self> {
        (most_ms > 0).then(|| Self {
            most_ms,
            rng: SplitMix64::new(!seed),
            lines: BinaryHeap::new(),
            sent: 0,
        })
    }

    /// Sends the lines of `text`, of which each happened now.
    pub(super) fn send(&mut self, now_ms: i64, text: &[u8]) {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let due_ms = now_ms + self.rng.between(0, self.most_ms);
            self.lines.push(Reverse((due_ms, self.sent, line.into())));
            self.sent += 1;
        }
    }

    /// Delivers what is due before `until_ms`.
    pub(super) fn deliver(&mut self, until_ms: i64, out: &mut Vec<u8>) {
        while let Some(Reverse((due_ms, ..))) = self.lines.peek()
            && *due_ms < until_ms
            && let Some(Reverse((.., line))) = self.lines.pop()
        {
            out.extend_from_slice(&line);
        }
    }

    /// Lines on their way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }
}
