//! The verdict on one component: what follows from the looks at it and from the verdicts on what it depends on.
//!
//! One bad look says little: a verdict gets worse after three looks of three that found worse, to the mildest of them, and
//! better after two of two that found better, to the worst of them (CONTRACT §6). A verdict that is older than two intervals
//! is `unknown`, and looks from before such a gap no longer count.

use serde::{Deserialize, Serialize};

use super::component::Component;
use super::look::{Finding, Look};

/// Looks in a row that make a verdict worse.
pub const WORSE_AFTER: usize = 3;

/// Looks in a row that make a verdict better.
pub const BETTER_AFTER: usize = 2;

/// Intervals after which a verdict is unknown.
pub const STALE_INTERVALS: i64 = 2;

/// The health of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It serves.
    Healthy,
    /// It serves in part, or something that it depends on does not.
    Degraded,
    /// It does not serve.
    Unhealthy,
    /// There are no looks, or only old ones.
    Unknown,
}

impl Status {
    /// The name in the contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// The finding that it corresponds to, unless it is unknown.
    #[must_use]
    pub fn finding(self) -> Option<Finding> {
        match self {
            Self::Healthy => Some(Finding::Healthy),
            Self::Degraded => Some(Finding::Degraded),
            Self::Unhealthy => Some(Finding::Unhealthy),
            Self::Unknown => None,
        }
    }
}

impl From<Finding> for Status {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Healthy => Self::Healthy,
            Finding::Degraded => Self::Degraded,
            Finding::Unhealthy => Self::Unhealthy,
        }
    }
}

/// The verdict on a component, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The component.
    pub component: Component,
    /// Its status, dependencies included.
    pub status: Status,
    /// Since when it has this status, in milliseconds since the epoch.
    pub since_ms: i64,
    /// When it was looked at last, in milliseconds since the epoch; `None` if it never was.
    pub checked_at_ms: Option<i64>,
    /// How long it took to answer at the last look, in milliseconds.
    pub response_time_ms: Option<u64>,
    /// Why it is not healthy.
    pub error: Option<String>,
    /// Whether most components looked bad at once at the last look: then the looks say more of the prober than of them.
    /// Nothing is repaired by such a verdict.
    pub prober_suspected: bool,
    /// The time between two looks of which one may be missed, in milliseconds.
    pub interval_ms: i64,
    /// The status by the looks alone.
    own: Status,
    /// The error of the look that [`Self::own`] rests on.
    own_error: Option<String>,
    /// What the last looks found, the newest last: at most [`WORSE_AFTER`].
    recent: Vec<Finding>,
}

impl Verdict {
    /// The verdict on a component without looks.
    #[must_use]
    pub fn unknown(component: Component, since_ms: i64, interval_ms: i64) -> Self {
        Self {
            component,
            status: Status::Unknown,
            since_ms,
            checked_at_ms: None,
            response_time_ms: None,
            error: None,
            prober_suspected: false,
            interval_ms,
            own: Status::Unknown,
            own_error: None,
            recent: Vec::new(),
        }
    }

    /// The verdict with one look more, before dependencies are considered.
    #[must_use]
    pub fn after(&self, look: &Look, now_ms: i64, interval_ms: i64) -> Self {
        let mut next = if self.is_stale(now_ms) {
            let since_ms = self.view(now_ms).since_ms;
            Self::unknown(self.component, since_ms, interval_ms)
        } else {
            self.clone()
        };
        if next.recent.len() >= WORSE_AFTER {
            next.recent.drain(..=next.recent.len() - WORSE_AFTER);
        }
        next.recent.push(look.finding);
        next.own = own_status(next.own, &next.recent);
        next.own_error = match next.own {
            Status::Healthy => None,
            _ => look.error.clone().or(next.own_error),
        };
        next.checked_at_ms = Some(now_ms);
        next.response_time_ms = look.response_time_ms;
        next.interval_ms = interval_ms;
        next
    }

    /// The status by the looks alone.
    #[must_use]
    pub fn own(&self) -> Status {
        self.own
    }

    /// The error of the looks alone.
    pub(super) fn own_error(&self) -> Option<String> {
        self.own_error.clone()
    }

    /// What the newest look found.
    #[must_use]
    pub fn newest(&self) -> Option<Finding> {
        self.recent.last().copied()
    }

    /// Whether it is older than two intervals, or of a time that this clock has not reached by as much.
    #[must_use]
    pub fn is_stale(&self, now_ms: i64) -> bool {
        let span_ms = self.interval_ms.saturating_mul(STALE_INTERVALS);
        self.checked_at_ms
            .is_some_and(|checked_ms| now_ms.saturating_sub(checked_ms).saturating_abs() > span_ms)
    }

    /// The verdict as it counts at `now_ms`: `unknown` if it is stale.
    #[must_use]
    pub fn view(&self, now_ms: i64) -> Self {
        let Some(checked_at_ms) = self.checked_at_ms.filter(|_| self.is_stale(now_ms)) else {
            return self.clone();
        };
        let stale_ms = checked_at_ms.saturating_add(self.interval_ms.saturating_mul(STALE_INTERVALS));
        let since_ms = if self.status == Status::Unknown { self.since_ms } else { stale_ms.min(now_ms) };
        let error = Some("no look within two intervals".to_owned());
        Self { status: Status::Unknown, since_ms, error, prober_suspected: false, ..self.clone() }
    }

    /// The verdict with the status that follows from its own looks and from its dependencies.
    #[must_use]
    pub(super) fn with_status(
        self,
        status: Status,
        error: Option<String>,
        now_ms: i64,
        before: Status,
    ) -> Self {
        let since_ms = if status == before { self.since_ms } else { now_ms };
        Self { status, since_ms, error, ..self }
    }
}

/// The status after the newest of `recent`.
fn own_status(own: Status, recent: &[Finding]) -> Status {
    let last = |count: usize| recent.len().checked_sub(count).map(|first| &recent[first..]);
    let better = last(BETTER_AFTER).and_then(|two| {
        let worst = two.iter().max().copied()?;
        match own.finding() {
            Some(own) => (worst < own).then_some(worst),
            None => (worst == Finding::Healthy).then_some(worst),
        }
    });
    let worse = last(WORSE_AFTER).and_then(|three| {
        let mildest = three.iter().min().copied()?;
        (mildest > own.finding().unwrap_or(Finding::Healthy)).then_some(mildest)
    });
    better.or(worse).map_or(own, Status::from)
}

#[cfg(test)]
mod tests;
