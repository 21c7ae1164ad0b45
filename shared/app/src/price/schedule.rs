//! When an instance looks for a city's next map, and how often it may read the store.
//!
//! A tick closes at its time plus the city's lateness at the earliest, and its map arrives later by what the pipeline takes:
//! the lag, which is learned from the arrivals. The first look is a little before the next arrival. Looks that find
//! nothing are followed by others, each after a longer and random pause, so that instances do not look together.

/// The first look comes before the usual arrival by a random time up to this, in milliseconds, and by the usual deviation.
const LEAD_MS: i64 = 100;

/// Looks that follow each other after the same pause, before the pauses grow: the map is about to arrive.
const EVEN_LOOKS: u32 = 3;

/// The weight of the last arrival in the learned lag and its deviation: 1 / this.
const LAG_WEIGHT: i64 = 4;

/// The longest lag that is learned, in milliseconds: from then on a price is no longer fresh (CONTRACT §6).
const MAX_LAG_MS: i64 = 30_000;

/// The pauses between looks, and the reads of the store that they may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The pause after a look that found nothing, in milliseconds, at random between the two. From the
    /// fourth look on it doubles with each, up to `max_pause_ms`.
    pub pause_ms: (i64, i64),
    /// The longest pause, in milliseconds.
    pub max_pause_ms: i64,
    /// Reads of the store at once.
    pub burst: i64,
    /// The time after which one more read is allowed, in milliseconds.
    pub read_every_ms: i64,
}

impl Pace {
    /// For a store that others share and that costs by the read: in any second at most five reads, also where a look
    /// takes a second itself. Three are allowed at once, for heads, chunks and those that were not there yet.
    pub const SHARED_STORE: Self =
        Self { pause_ms: (100, 250), max_pause_ms: 1_000, burst: 3, read_every_ms: 600 };

    /// For a store in the process itself.
    pub const OWN_STORE: Self = Self { pause_ms: (20, 20), max_pause_ms: 20, burst: 50, read_every_ms: 1 };
}

/// When to look for a city's next map.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Schedule {
    /// When the last look began; `None` before the first.
    looked_at_ms: Option<i64>,
    next_at_ms: i64,
    /// Looks since the last that found a newer map.
    misses: u32,
    /// How long after its tick was due a map usually arrives.
    lag_ms: i64,
    /// By how much that differs from one map to the next.
    deviation_ms: i64,
}

impl Schedule {
    /// Whether a look is due. A clock that was set back makes it due, too.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        self.looked_at_ms.is_none_or(|looked_at_ms| now_ms < looked_at_ms || now_ms >= self.next_at_ms)
    }

    /// How long until a look is due.
    pub(super) fn wait_ms(&self, now_ms: i64) -> i64 {
        if self.is_due(now_ms) { 0 } else { self.next_at_ms - now_ms }
    }

    /// A look that began at `began_ms` found a newer map, of a tick that was due at `due_ms`; `random` is at least 0 and
    /// less than 1.
    pub(super) fn found(&mut self, began_ms: i64, due_ms: i64, tick_ms: i64, random: f64) {
        let late_ms = began_ms - due_ms;
        let sample_ms = match self.looked_at_ms.filter(|_| self.misses > 0) {
            // It arrived between this look and the one before.
            Some(missed_at_ms) if (0..=tick_ms).contains(&(began_ms - missed_at_ms)) => {
                Some(late_ms - (began_ms - missed_at_ms) / 2)
            }
            // It may have arrived long before.
            Some(_) => None,
            None => Some(late_ms.min(self.lag_ms) - LEAD_MS),
        };
        if let Some(sample_ms) = sample_ms {
            let difference_ms = sample_ms.clamp(0, MAX_LAG_MS) - self.lag_ms;
            self.lag_ms += difference_ms / LAG_WEIGHT;
            self.deviation_ms += (difference_ms.abs() - self.deviation_ms) / LAG_WEIGHT;
        }
        self.misses = 0;
        self.looked_at_ms = Some(began_ms);
        let early_ms = self.deviation_ms + part_of(LEAD_MS, random);
        self.next_at_ms = due_ms + tick_ms + (self.lag_ms - early_ms).max(0);
    }

    /// A look that began at `began_ms` found nothing newer; `random` is at least 0 and less than 1.
    pub(super) fn missed(&mut self, began_ms: i64, pace: &Pace, random: f64) {
        let (least, most) = pace.pause_ms;
        let pause_ms = least + part_of(most - least, random);
        let pause_ms = pause_ms
            .saturating_mul(1 << self.misses.saturating_sub(EVEN_LOOKS).min(10))
            .min(pace.max_pause_ms);
        self.misses = self.misses.saturating_add(1);
        self.looked_at_ms = Some(began_ms);
        self.next_at_ms = began_ms + pause_ms;
    }

    /// A look that began at `began_ms` was not allowed to read, for as long as `wait_ms`.
    pub(super) fn postponed(&mut self, began_ms: i64, wait_ms: i64) {
        self.looked_at_ms = Some(began_ms);
        self.next_at_ms = began_ms + wait_ms.max(1);
    }

    /// Whether the map of the tick due at `due_ms` is missing for a whole tick beyond its usual arrival.
    pub(super) fn is_overdue(&self, due_ms: i64, tick_ms: i64, now_ms: i64) -> bool {
        now_ms >= due_ms + self.lag_ms + tick_ms
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the whole is less than a second"
)]
fn part_of(whole_ms: i64, share: f64) -> i64 {
    (whole_ms as f64 * share) as i64
}

/// The reads of the store that are allowed: a token bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReadBudget {
    /// When all reads so far are paid for, in milliseconds since the epoch.
    paid_at_ms: i64,
}

impl ReadBudget {
    /// Takes `reads` at `now_ms`, whether or not they are allowed: later ones wait for it.
    pub(super) fn owe(&mut self, reads: i64, now_ms: i64, pace: &Pace) {
        self.paid_at_ms = self.paid_at_ms(now_ms, pace).max(now_ms) + reads * pace.read_every_ms;
    }

    /// The reads that are allowed at `now_ms`; less than 0 if some are owed.
    pub(super) fn allowed(self, now_ms: i64, pace: &Pace) -> i64 {
        let owed_ms = (self.paid_at_ms(now_ms, pace) - now_ms).max(0);
        (pace.burst * pace.read_every_ms - owed_ms).div_euclid(pace.read_every_ms)
    }

    /// How long until so many reads are allowed at once.
    pub(super) fn wait_ms(self, reads: i64, now_ms: i64, pace: &Pace) -> i64 {
        (self.paid_at_ms(now_ms, pace) - now_ms - (pace.burst - reads) * pace.read_every_ms).max(0)
    }

    /// A time too far ahead is one of before the clock was set back.
    fn paid_at_ms(self, now_ms: i64, pace: &Pace) -> i64 {
        let is_stale = self.paid_at_ms - now_ms > 20 * pace.burst * pace.read_every_ms;
        if is_stale { now_ms } else { self.paid_at_ms }
    }
}

#[cfg(test)]
mod tests;
