//! The feed guard: drivers who fall silent together are a feed that has failed, not scarcity (CONTRACT §3).

use std::collections::VecDeque;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::policy::Guard;
use crate::time::tick_at_or_after;
use crate::wire::{Corrupt, Reader, put_varint_i64, put_varint_u64};

/// Whether the feed of drivers can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Feed {
    /// The guard is off.
    #[default]
    Ok,
    /// The guard is on: multipliers may fall, but not rise.
    Suspect,
}

impl Feed {
    /// The feed's name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Suspect => "suspect",
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Feed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The parameters of a city's guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardConfig {
    /// When the guard goes on, and for how long.
    pub guard: Guard,
    /// How long a driver is in touch after a sighting, and how long a loss counts, in milliseconds.
    pub driver_ttl_ms: i64,
    /// Milliseconds from tick to tick.
    pub tick_ms: i64,
}

/// The guard of a city.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedGuard {
    /// Since when the guard is on.
    on: Option<GuardOn>,
    /// The numbers of drivers lost, by tick, ascending.
    losses: VecDeque<(i64, u64)>,
    /// Losses at this tick and before never count again.
    settled: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GuardOn {
    /// The tick at which the guard went on.
    since: i64,
    /// The drivers in touch and lost at that tick.
    base: u64,
}

impl FeedGuard {
    /// The state of the feed as of the newest tick.
    #[must_use]
    pub fn feed(&self) -> Feed {
        if self.on.is_some() { Feed::Suspect } else { Feed::Ok }
    }

    /// Whether the guard is off, and stays off until drivers are lost.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.on.is_none() && self.losses.is_empty()
    }

    /// The sum of the drivers lost at the ticks that count.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.losses.iter().map(|(_, lost)| lost).sum()
    }

    /// Adds drivers that a lane lost at `tick`.
    pub fn add_lost(&mut self, tick: i64, lost: u32) {
        if lost == 0 || self.settled.is_some_and(|settled| tick <= settled) {
            return;
        }
        let at = self.losses.partition_point(|(other, _)| *other < tick);
        match self.losses.get_mut(at) {
            Some((other, sum)) if *other == tick => *sum += u64::from(lost),
            _ => self.losses.insert(at, (tick, u64::from(lost))),
        }
    }

    /// Decides at `tick`, whose losses have been added, with `in_touch` drivers in touch.
    pub fn close(&mut self, tick: i64, in_touch: u64, config: &GuardConfig) -> Feed {
        let Guard { min_lost, hold_ms } = config.guard;
        while self.losses.front().is_some_and(|(at, _)| *at <= tick - config.driver_ttl_ms) {
            self.losses.pop_front();
        }
        if let Some(GuardOn { since, base }) = self.on {
            if 2 * in_touch >= base || tick - since >= hold_ms {
                (self.on, self.settled) = (None, Some(tick));
                self.losses.clear();
            }
            return self.feed();
        }
        let lost = self.lost();
        if hold_ms > 0 && lost >= min_lost && lost > in_touch {
            self.on = Some(GuardOn { since: tick, base: in_touch + lost });
        }
        self.feed()
    }

    /// Decides at the ticks `first..=last`, at none of which a driver is in touch or lost.
    pub fn skip(&mut self, first: i64, last: i64, config: &GuardConfig) -> Feed {
        // Losses only become fewer, so the guard goes on at the first of these ticks or at none; and with no driver
        // in touch only its time ends it.
        self.close(first, 0, config);
        if let Some(GuardOn { since, .. }) = self.on {
            let off = tick_at_or_after(since.saturating_add(config.guard.hold_ms), config.tick_ms);
            if off <= last {
                self.close(off, 0, config);
            }
        }
        self.feed()
    }

    /// Appends the guard's part of a snapshot.
    pub fn write(&self, out: &mut Vec<u8>) {
        let settled = self.settled.map(|tick| (tick, 0));
        let on = self.on.map(|GuardOn { since, base }| (since, base));
        for mark in [settled, on] {
            put_varint_u64(out, u64::from(mark.is_some()));
            let (tick, number) = mark.unwrap_or_default();
            put_varint_i64(out, tick);
            put_varint_u64(out, number);
        }
        put_varint_u64(out, self.losses.len() as u64);
        for (tick, lost) in &self.losses {
            put_varint_i64(out, *tick);
            put_varint_u64(out, *lost);
        }
    }

    /// Reads a part of a snapshot that [`Self::write`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if the input is anything else.
    pub fn read(input: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let mut marks = [None; 2];
        for mark in &mut marks {
            let is_known = input.varint_up_to(1, "a tick's mark")? == 1;
            let known = (input.instant("a tick")?, input.varint_up_to(1 << 60, "drivers")?);
            *mark = is_known.then_some(known);
        }
        let [settled, on] = marks;
        let mut losses = VecDeque::new();
        for _ in 0..input.count("losses")? {
            let tick = input.instant("a tick")?;
            if losses.back().is_some_and(|(last, _)| *last >= tick) {
                return Err(input.invalid("a tick out of order"));
            }
            losses.push_back((tick, input.varint_up_to(1 << 60, "drivers lost")?));
        }
        let on = on.map(|(since, base)| GuardOn { since, base });
        Ok(Self { on, losses, settled: settled.map(|(tick, _)| tick) })
    }
}

#[cfg(test)]
mod tests;
