//! The figures of a city's days in memory, as far as its laws refer to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::daily::{DayFigures, Days, KEPT_DAYS, LocalDay};
use equilibrium_domain::surge::laws::first_day_needed;
use parking_lot::RwLock;

use crate::timer::is_within;

/// The time between two reads of days, in milliseconds. Laws refer to days that have ended, so that only the last ticks of a
/// day come later than its end.
const READ_INTERVAL_MS: i64 = 30_000;

/// The days of a city that are known. They outlast a change of the policy or the overrides.
#[derive(Debug, Default)]
pub struct CityDays {
    known: RwLock<Known>,
    revision: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    days: Arc<Days>,
    /// The first day that was read, and when, in milliseconds since the epoch.
    read: Option<(LocalDay, i64)>,
}

impl CityDays {
    /// The days, and the number of times that they have changed.
    #[must_use]
    pub fn get(&self) -> (Arc<Days>, u64) {
        let known = self.known.read();
        (Arc::clone(&known.days), self.revision.load(Ordering::Relaxed))
    }

    /// The number of times that the days have changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    /// The first and the last day to read at `now_ms`, in milliseconds since the epoch, if it is time to: those that laws of
    /// the policy refer to, without those that are known and have ended.
    #[must_use]
    pub fn due(&self, policy: &Policy, now_ms: i64) -> Option<(LocalDay, LocalDay)> {
        // A tick of yesterday may close today.
        let needed = first_day_needed(policy, now_ms)?.plus(-1);
        let today = LocalDay::of(now_ms, &policy.timezone);
        let known = self.known.read();
        match known.read {
            Some((first, at_ms)) if first <= needed => {
                let is_due = !is_within(Some(at_ms), READ_INTERVAL_MS, now_ms);
                let last = known.days.keys().next_back().copied().unwrap_or(needed);
                is_due.then_some((last, today))
            }
            _ => Some((needed, today)),
        }
    }

    /// Takes the days from `first` on as they were read at `now_ms`, in milliseconds since the epoch.
    pub fn take(&self, first: LocalDay, read: Vec<(LocalDay, DayFigures)>, now_ms: i64) {
        let mut known = self.known.write();
        let first = known.read.map_or(first, |(before, _)| before.min(first));
        known.read = Some((first, now_ms));
        for (day, figures) in read {
            self.learn_one(&mut known, day, Arc::new(figures));
        }
    }

    /// Takes the figures of a day that this process has added up itself.
    pub fn learn(&self, day: LocalDay, figures: &Arc<DayFigures>) {
        self.learn_one(&mut self.known.write(), day, Arc::clone(figures));
    }

    fn learn_one(&self, known: &mut Known, day: LocalDay, figures: Arc<DayFigures>) {
        // A read may end after this process has added another tick.
        let is_older = |known: &Arc<DayFigures>| known.includes(figures.began_ms, figures.version);
        if known.days.get(&day).is_some_and(is_older) {
            return;
        }
        let days = Arc::make_mut(&mut known.days);
        days.insert(day, figures);
        let kept = days.split_off(&day.plus(-KEPT_DAYS));
        *days = kept;
        self.revision.fetch_add(1, Ordering::Relaxed);
    }
}
