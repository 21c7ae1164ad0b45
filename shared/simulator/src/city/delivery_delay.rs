//! Network delay: each event is delivered a little later than it happened, and some overtake others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::rng::SplitMix64;

/// When a line is due, how many lines were sent before it, and the line; ordered with the earliest as the
/// greatest.
type LineInTransit = Reverse<(i64, u64, Box<[u8]>)>;

/// Lines that were sent and not yet delivered.
#[derive(Debug)]
pub(super) struct DeliveryDelay {
    max_ms: i64,
    /// Separate from the city's generator, so that a delay does not change which events happen.
    rng: SplitMix64,
    in_transit: BinaryHeap<LineInTransit>,
    sent: u64,
}

impl DeliveryDelay {
    /// `None` if events are delivered without delay.
    pub(super) fn new(max_ms: i64, seed: u64) -> Option<Self> {
        (max_ms > 0).then(|| Self {
            max_ms,
            rng: SplitMix64::new(!seed),
            in_transit: BinaryHeap::new(),
            sent: 0,
        })
    }

    /// Sends the lines of `text` at `now_ms`.
    pub(super) fn send(&mut self, now_ms: i64, text: &[u8]) {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let due_ms = now_ms + self.rng.between(0, self.max_ms);
            self.in_transit.push(Reverse((due_ms, self.sent, line.into())));
            self.sent += 1;
        }
    }

    /// Delivers the lines that are due before `until_ms`.
    pub(super) fn deliver(&mut self, until_ms: i64, out: &mut Vec<u8>) {
        while let Some(Reverse((due_ms, ..))) = self.in_transit.peek()
            && *due_ms < until_ms
            && let Some(Reverse((.., line))) = self.in_transit.pop()
        {
            out.extend_from_slice(&line);
        }
    }

    /// Number of lines in transit.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.in_transit.len()
    }
}
