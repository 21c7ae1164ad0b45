//! The metrics of recoveries.

use equilibrium_domain::recovery::{Outcome, Recovery, Step};

use crate::telemetry::emf::{Measurements, ToMeasurements};
use crate::telemetry::metrics::{RECOVERIES_FAILED, RECOVERIES_SUCCEEDED, RECOVERY_BUDGET_EXHAUSTED};

/// How recoveries ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryMetrics {
    /// With six good steps.
    pub succeeded: u64,
    /// In a step that failed.
    pub failed: u64,
    /// Before anything was done, because the component was recovered too often.
    pub budget_exhausted: u64,
}

impl RecoveryMetrics {
    /// The metrics of one recovery.
    #[must_use]
    pub fn of(recovery: &Recovery) -> Self {
        let isolated = recovery.details(Step::IsolateFailedInstance);
        let is_exhausted = isolated.is_some_and(|details| details.contains_key("budget_exhausted"));
        let has_failed = matches!(recovery.outcome, Some(Outcome::Failed | Outcome::Inconsistent));
        Self {
            succeeded: u64::from(recovery.outcome == Some(Outcome::Success)),
            failed: u64::from(has_failed && !is_exhausted),
            budget_exhausted: u64::from(is_exhausted),
        }
    }
}

impl ToMeasurements for RecoveryMetrics {
    fn measures(&self) -> Measurements {
        let mut measures = Measurements::default();
        measures.put(RECOVERIES_SUCCEEDED, self.succeeded);
        measures.put(RECOVERIES_FAILED, self.failed);
        measures.put(RECOVERY_BUDGET_EXHAUSTED, self.budget_exhausted);
        measures
    }
}
