//! A run of the schedule: looks at an interval, each of which is judged and stored.

use std::time::Duration;

use equilibrium_domain::health::report::Report;
use equilibrium_domain::health::verdict::Status;
use futures_util::future::{join, join_all};
use parking_lot::Mutex;

use crate::health::metrics::HealthMetrics;
use crate::health::ports::{SaveError, VerdictStore};
use crate::health::prober::{Findings, Prober, TARGET_TIMEOUT};
use crate::notify::change::HealthChanged;
use crate::timer::{Timer, with_timeout};

/// The time from one look to the next.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// Looks of a run that is started each minute.
pub const LOOKS: u32 = 6;

/// The longest interval between two looks on AWS, in milliseconds: a run is started each minute, and a scheduler that
/// misses one of them is not yet a reason to know nothing.
pub const SCHEDULE_MS: i64 = 60_000;

/// The shortest time between two verdicts that are saved, in milliseconds: health never writes much where it reads.
const SAVE_INTERVAL_MS: i64 = 1_000;

/// A change of a component's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// The report after it.
    pub report: Report,
    /// The place of the component in the report.
    pub index: usize,
    /// The status before.
    pub from: Status,
}

impl StatusChange {
    /// The change as subscribers are sent it, recorded at `now_ms` in milliseconds since the epoch.
    #[must_use]
    pub fn message(&self, now_ms: i64) -> HealthChanged {
        let verdict = &self.report.verdicts()[self.index];
        HealthChanged {
            component: verdict.component,
            from: self.from,
            status: verdict.status,
            overall: self.report.overall(),
            error: verdict.error.clone(),
            now_ms,
        }
    }
}

/// Looks by a prober, and keeps what follows in a store.
#[derive(Debug)]
pub struct HealthRun<S, T> {
    store: S,
    prober: Prober<T>,
    interval_ms: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The report of the last look of this process.
    last: Option<Report>,
    /// Whether the store has it, as far as this process knows: then it is not read.
    is_saved: bool,
    unsaved: u64,
}

/// One judged look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What the look found.
    pub findings: Findings,
    /// The verdicts after it.
    pub report: Report,
    /// The statuses that changed.
    pub changes: Vec<StatusChange>,
}

impl<S: VerdictStore, T: Timer> HealthRun<S, T> {
    /// A run that has not looked yet. A verdict that is older than two of `interval_ms` is unknown.
    pub fn new(store: S, prober: Prober<T>, interval_ms: i64) -> Self {
        Self { store, prober, interval_ms, state: Mutex::default() }
    }

    /// The store of the verdicts.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Makes `looks` looks, [`LOOK_INTERVAL`] apart whatever they take, by the time of `now_ms` in milliseconds since the
    /// epoch; `seen` is given each.
    pub async fn run(&self, looks: u32, now_ms: impl Fn() -> i64, mut seen: impl FnMut(&Judged)) {
        for number in 0..looks {
            let look = async { seen(&self.look(now_ms()).await) };
            // The last look is not waited beyond: an invocation is paid by its time.
            if number + 1 == looks {
                look.await;
            } else {
                join(look, self.prober.timer().sleep(LOOK_INTERVAL)).await;
            }
        }
    }

    /// Makes one look at `now_ms`, in milliseconds since the epoch.
    pub async fn look(&self, now_ms: i64) -> Judged {
        let (before, findings) = join(self.before(now_ms), self.prober.look(now_ms)).await;
        let report = before.after(&findings.looks, now_ms, self.interval_ms);
        self.save(&before, &report, now_ms).await;
        self.state.lock().last = Some(report.clone());
        let known = before.view(now_ms);
        let pairs = known.verdicts().iter().zip(report.verdicts()).enumerate();
        let changes = pairs.filter(|(_, (before, after))| before.status != after.status);
        let changes = changes
            .map(|(index, (before, _))| StatusChange { report: report.clone(), index, from: before.status })
            .collect();
        Judged { findings, report, changes }
    }

    /// The report that the next look follows: the stored one, which another run may have saved. While the store does not
    /// answer, it is that of the last look of this process.
    async fn before(&self, now_ms: i64) -> Report {
        let (last, is_saved) = {
            let state = self.state.lock();
            (state.last.clone(), state.is_saved)
        };
        if let Some(last) = last.clone().filter(|_| is_saved) {
            return last;
        }
        let read = with_timeout(self.prober.timer(), TARGET_TIMEOUT, self.store.verdicts()).await;
        match read {
            Some(Ok(verdicts)) => Report::of(verdicts, now_ms, self.interval_ms),
            _ => last.unwrap_or_else(|| Report::unknown(now_ms, self.interval_ms)),
        }
    }

    /// Saves the verdicts on what was looked at. One that is not saved is judged again by the next look.
    async fn save(&self, before: &Report, report: &Report, now_ms: i64) {
        let pairs = before.verdicts().iter().zip(report.verdicts());
        let looked = pairs.filter(|(_, after)| after.checked_at_ms == Some(now_ms));
        let is_recent = |at: i64| (0..SAVE_INTERVAL_MS).contains(&(now_ms - at));
        let (recent, due): (Vec<_>, Vec<_>) =
            looked.partition(|(before, _)| before.checked_at_ms.is_some_and(is_recent));
        let saves =
            due.into_iter().map(|(before, after)| self.store.save_verdict(after, before.checked_at_ms));
        let Some(saved) = with_timeout(self.prober.timer(), TARGET_TIMEOUT, join_all(saves)).await else {
            let state = &mut *self.state.lock();
            state.is_saved = false;
            state.unsaved += 1;
            return;
        };
        let unsaved = saved.iter().filter(|saved| matches!(saved, Err(SaveError::Unavailable(_)))).count();
        let state = &mut *self.state.lock();
        state.is_saved = recent.is_empty() && saved.iter().all(Result::is_ok);
        state.unsaved += unsaved as u64;
    }

    /// The metrics of a look, and of the saves since the last call.
    pub fn take_metrics(&self, judged: &Judged) -> HealthMetrics {
        let unsaved = std::mem::take(&mut self.state.lock().unsaved);
        let Judged { findings, report, .. } = judged;
        HealthMetrics {
            report: report.clone(),
            hops: findings.hops,
            overdue_ms: findings.overdue_ms,
            unsaved,
        }
    }
}

#[cfg(test)]
mod tests;
