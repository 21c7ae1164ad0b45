//! A circuit breaker: no calls go to a dependency that has failed several times within a short time, until one that probes
//! it succeeds ("Circuit Breaker", M. Nygard, Release It!, 2018).
//!
//! It is a pure state machine: time and random numbers are passed in. Failures are counted within a window that slides, and
//! a success between them does not take them back: a dependency that fails one call of a hundred is not a healthy one.

use std::collections::VecDeque;

use crate::timer::is_within;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// The failures within `window_ms` that open it.
    pub failures: usize,
    /// The window of the failures, in milliseconds.
    pub window_ms: i64,
    /// The longest time that it is open at first, in milliseconds; the shortest is half of it. It doubles with each probe
    /// that fails.
    pub open_ms: i64,
    /// The longest time that it is open, in milliseconds.
    pub max_open_ms: i64,
}

impl BreakerSettings {
    /// For a cache, which nothing depends on. A probe costs 10 ms of a look.
    pub const CACHE: Self = Self { failures: 3, window_ms: 30_000, open_ms: 1_000, max_open_ms: 8_000 };

    /// For a store. Its longest pause leaves a second of the five within which a policy is in force (CONTRACT §7).
    pub const STORE: Self = Self { failures: 5, window_ms: 60_000, open_ms: 1_000, max_open_ms: 4_000 };
}

/// Whether a breaker lets calls through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls.
    Closed,
    /// No call.
    Open,
    /// One call at a time, which probes the dependency.
    HalfOpen,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The dependency answered, if only that there is no such item or that another writer was first.
    Answered,
    /// It did not answer in time, or that it cannot do what was asked. Throttling counts, too.
    Failed,
    /// The caller stopped waiting before the deadline.
    Abandoned,
}

/// A call that a breaker let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The period of the breaker's state in which the call began.
    period: u64,
    /// Whether the call probes the dependency.
    pub is_probe: bool,
}

/// A circuit breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// The number of changes of the state, by which a call of an earlier state is known.
    period: u64,
    /// The newest failures of the closed state, in milliseconds since the epoch, the oldest first.
    failed_at_ms: VecDeque<i64>,
    /// How often it has opened since it was closed.
    openings: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { since_ms: i64, for_ms: i64 },
    HalfOpen,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        let failed_at_ms = VecDeque::with_capacity(settings.failures);
        Self { settings, state: State::Closed, period: 0, failed_at_ms, openings: 0 }
    }

    /// Its state. An open one that is due for a probe is open until a call comes.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// Lets a call through at `now_ms`, in milliseconds since the epoch, or not. How it ended must be reported by
    /// [`Breaker::end`].
    pub fn admit(&mut self, now_ms: i64) -> Option<Admission> {
        let is_probe = match self.state {
            State::Closed => false,
            // A clock that was set back ends the pause.
            State::Open { since_ms, for_ms } if !is_within(Some(since_ms), for_ms, now_ms) => {
                self.change(State::HalfOpen);
                true
            }
            State::Open { .. } | State::HalfOpen => return None,
        };
        Some(Admission { period: self.period, is_probe })
    }

    /// Records that a call ended at `now_ms`, in milliseconds since the epoch; `random` is at least 0 and less than 1. A call
    /// that began in an earlier state says nothing of this one.
    pub fn end(&mut self, admission: Admission, outcome: Outcome, now_ms: i64, random: f64) {
        if admission.period != self.period {
            return;
        }
        match (self.state, outcome) {
            (State::Closed, Outcome::Failed) => {
                let window_ms = self.settings.window_ms;
                self.failed_at_ms.retain(|at_ms| is_within(Some(*at_ms), window_ms, now_ms));
                self.failed_at_ms.push_back(now_ms);
                if self.failed_at_ms.len() >= self.settings.failures {
                    self.open(now_ms, random);
                }
            }
            (State::HalfOpen, Outcome::Failed) => self.open(now_ms, random),
            (State::HalfOpen, Outcome::Answered) => {
                self.openings = 0;
                self.change(State::Closed);
            }
            // The next call probes.
            (State::HalfOpen, Outcome::Abandoned) => self.change(State::Open { since_ms: now_ms, for_ms: 0 }),
            (State::Closed, Outcome::Answered | Outcome::Abandoned) | (State::Open { .. }, _) => {}
        }
    }

    /// Instances that failed together do not probe together: the pause is random between half of its length and the whole
    /// ("Exponential Backoff And Jitter", AWS Architecture Blog).
    fn open(&mut self, now_ms: i64, random: f64) {
        let doubled = self.settings.open_ms.saturating_mul(1 << self.openings.min(20));
        let longest_ms = doubled.min(self.settings.max_open_ms);
        let for_ms = longest_ms / 2 + share_of(longest_ms - longest_ms / 2, random);
        self.openings = self.openings.saturating_add(1);
        self.failed_at_ms.clear();
        self.change(State::Open { since_ms: now_ms, for_ms });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.period += 1;
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a pause is some seconds")]
fn share_of(whole_ms: i64, share: f64) -> i64 {
    (whole_ms as f64 * share) as i64
}

#[cfg(test)]
mod tests;
