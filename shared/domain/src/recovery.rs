//! Recoveries: six steps that bring a failed component back, as a durable record (CONTRACT §6).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::time::Timestamp;

/// Automatic recoveries of a component that confirmed a failure, within [`BUDGET_MS`] at most: another failure is reported
/// alone.
pub const BUDGET: usize = 3;

/// The time over which recoveries are counted, in milliseconds.
pub const BUDGET_MS: i64 = 3_600_000;

/// For how long a recovery is kept, in milliseconds: 90 days.
pub const KEPT_MS: i64 = 90 * 86_400_000;

/// The greatest lag of a consistent stream processor, in milliseconds (CONTRACT §6).
pub const MAX_LAG_MS: i64 = 300_000;

/// A component that can be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Component {
    /// `count` and `surge`, with their streams and checkpoint logs.
    #[serde(rename = "stream-processor")]
    StreamProcessor,
}

impl Component {
    /// Its name in the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StreamProcessor => "stream-processor",
        }
    }

    /// The component of this name, if it can be recovered.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        (name == Self::StreamProcessor.as_str()).then_some(Self::StreamProcessor)
    }

    /// The services that fail or degrade with the component (CONTRACT §6).
    #[must_use]
    pub const fn dependants(self) -> [&'static str; 3] {
        match self {
            Self::StreamProcessor => ["pricing", "notification", "analytics"],
        }
    }
}

/// The name of a recovery: the same name is the same recovery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RecoveryId(String);

impl RecoveryId {
    /// A name of 1 to 64 letters, digits, `-`, `_` and `.`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_valid = (1..=64).contains(&name.len()) && name.bytes().all(is_allowed);
        is_valid.then(|| Self(name.to_owned()))
    }

    /// The name of a recovery that nothing else names: its component and time.
    #[must_use]
    pub fn at(component: Component, now_ms: i64) -> Self {
        Self(format!("{}-{now_ms}", component.as_str()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecoveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RecoveryId> for String {
    fn from(id: RecoveryId) -> Self {
        id.0
    }
}

impl TryFrom<String> for RecoveryId {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name).ok_or("not the name of a recovery")
    }
}

/// A step of a recovery, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Four looks.
    DetectFailure,
    /// What still runs cannot append any more.
    IsolateFailedInstance,
    /// A fresh instance takes its place.
    StartReplacementInstance,
    /// Every checkpoint is read and verified, and the stream is read from where it must be.
    RestoreProcessingState,
    /// The published maps equal those of the logs, and nothing was lost.
    ValidateDataConsistency,
    /// Back to normal.
    ResumeNormalOperations,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 6] = [
        Self::DetectFailure,
        Self::IsolateFailedInstance,
        Self::StartReplacementInstance,
        Self::RestoreProcessingState,
        Self::ValidateDataConsistency,
        Self::ResumeNormalOperations,
    ];
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It has begun.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended the recovery.
    Failed,
}

/// A step that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which.
    pub step: Step,
    /// How far it has come.
    pub status: StepStatus,
    /// When it first began, in milliseconds since the epoch.
    pub started_at_ms: i64,
    /// How long it took; `None` while it runs.
    pub duration_ms: Option<i64>,
    /// What it found and did.
    pub details: Map<String, Value>,
}

/// How a recovery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The first look found nothing.
    NoFailure,
    /// A later look found nothing.
    FalseAlarm,
    /// A step could not be done, or the budget is exhausted.
    Failed,
    /// The component is not as it must be.
    Inconsistent,
    /// Six good steps.
    Success,
}

impl Outcome {
    /// Its name in the contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoFailure => "no_failure",
            Self::FalseAlarm => "false_alarm",
            Self::Failed => "failed",
            Self::Inconsistent => "inconsistent",
            Self::Success => "success",
        }
    }
}

/// What a confirmed failure hits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impact {
    /// Services that fail or degrade with the component.
    pub services: Vec<String>,
    /// Cities by the mode of their prices when the failure was confirmed.
    pub cities_by_mode: std::collections::BTreeMap<String, usize>,
    /// What answers instead, where prices are not fresh.
    pub fallbacks_in_force: Vec<String>,
    /// Requests a minute that are answered meanwhile; `None` where they are not measured.
    pub requests_per_minute: Option<u64>,
    /// The time that a recovery is expected to take: the median of past ones. `None` without any.
    pub expected_duration_ms: Option<i64>,
}

/// A recovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Its name.
    pub id: RecoveryId,
    /// What is recovered.
    pub component: Component,
    /// Why it was started.
    pub reason: String,
    /// When it was started, in milliseconds since the epoch.
    pub started_at_ms: i64,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The steps that have begun, in order.
    pub steps: Vec<StepRecord>,
    /// What the failure hits, once it is confirmed.
    pub impact: Option<Impact>,
}

impl Recovery {
    /// A recovery that has not begun its first step.
    #[must_use]
    pub fn new(id: RecoveryId, component: Component, reason: impl Into<String>, now_ms: i64) -> Self {
        let (steps, reason) = (Vec::new(), reason.into());
        Self {
            id,
            component,
            reason,
            started_at_ms: now_ms,
            ended_at_ms: None,
            outcome: None,
            steps,
            impact: None,
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether its first step confirmed a failure.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.steps.first().is_some_and(|step| step.status == StepStatus::Succeeded)
    }

    /// Whether it has used one of the budget: it confirmed a failure and went on to isolate.
    #[must_use]
    pub fn counts_against_budget(&self) -> bool {
        let acted = |step: &StepRecord| {
            step.step == Step::IsolateFailedInstance && !step.details.contains_key("budget_exhausted")
        };
        self.is_confirmed() && self.steps.iter().any(acted)
    }

    /// The first step that has not succeeded; `None` after the last.
    #[must_use]
    pub fn next_step(&self) -> Option<Step> {
        let is_done = |step: &Step| {
            let done = |record: &StepRecord| record.step == *step && record.status == StepStatus::Succeeded;
            self.steps.iter().any(done)
        };
        Step::ALL.into_iter().find(|step| !is_done(step))
    }

    /// The record of a step, which is begun at `now_ms` unless it has begun before.
    pub fn begin(&mut self, step: Step, now_ms: i64) -> &mut StepRecord {
        let at = self.steps.iter().position(|record| record.step == step).unwrap_or_else(|| {
            let details = Map::new();
            let status = StepStatus::Running;
            self.steps.push(StepRecord { step, status, started_at_ms: now_ms, duration_ms: None, details });
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    /// The details of a step that has begun.
    #[must_use]
    pub fn details(&self, step: Step) -> Option<&Map<String, Value>> {
        self.steps.iter().find(|record| record.step == step).map(|record| &record.details)
    }

    /// Ends the recovery.
    pub fn end(&mut self, outcome: Outcome, now_ms: i64) {
        (self.outcome, self.ended_at_ms) = (Some(outcome), Some(now_ms));
    }

    /// The recovery as it is stored.
    #[must_use]
    pub fn to_stored(&self) -> String {
        serde_json::to_string(self).expect("a recovery has string keys only")
    }

    /// Reads what [`Self::to_stored`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_stored(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The recovery as clients see it (CONTRACT §5).
    #[must_use]
    pub fn to_view(&self) -> Value {
        let time = |ms: i64| Timestamp::from_ms(ms).map(|at| at.to_string());
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                json!({
                    "step": step.step,
                    "status": step.status,
                    "started_at": time(step.started_at_ms),
                    "duration_ms": step.duration_ms,
                    "details": step.details,
                })
            })
            .collect();
        let mut view = json!({
            "id": self.id,
            "component": self.component,
            "status": self.outcome.map_or("running", Outcome::as_str),
            "reason": self.reason,
            "started_at": time(self.started_at_ms),
            "ended_at": self.ended_at_ms.and_then(time),
            "duration_ms": self.ended_at_ms.map(|ended| ended - self.started_at_ms),
            "steps": steps,
        });
        if let Some(impact) = &self.impact {
            view["impact"] = json!(impact);
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovery() -> Recovery {
        let id = RecoveryId::at(Component::StreamProcessor, 1_772_000_000_000);
        Recovery::new(id, Component::StreamProcessor, "by hand", 1_772_000_000_000)
    }

    #[test]
    fn a_stored_recovery_reads_back() {
        let mut one = recovery();
        one.begin(Step::DetectFailure, 5).details.insert("looks".into(), json!([1]));
        one.impact = Some(Impact { services: vec!["pricing".into()], ..Impact::default() });
        one.end(Outcome::Failed, 9);
        assert_eq!(Recovery::from_stored(&one.to_stored()), Some(one));
        assert_eq!(Recovery::from_stored("{}"), None);
    }

    #[test]
    fn a_step_begins_once_and_the_next_follows_its_success() {
        let mut one = recovery();
        assert_eq!(one.next_step(), Some(Step::DetectFailure));
        one.begin(Step::DetectFailure, 5);
        one.begin(Step::DetectFailure, 7).status = StepStatus::Succeeded;
        assert_eq!(one.steps.len(), 1);
        assert_eq!((one.steps[0].started_at_ms, one.next_step()), (5, Some(Step::IsolateFailedInstance)));
        assert!(one.is_confirmed() && !one.counts_against_budget());
        one.begin(Step::IsolateFailedInstance, 8);
        assert!(one.counts_against_budget());
    }

    #[test]
    fn a_name_is_a_path_segment() {
        for name in ["a", "nightly-7", "A_b.c", &"x".repeat(64)] {
            assert!(RecoveryId::new(name).is_some(), "{name}");
        }
        for name in ["", "a/b", "a b", "é", &"x".repeat(65)] {
            assert_eq!(RecoveryId::new(name), None, "{name}");
        }
    }
}
