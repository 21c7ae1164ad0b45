//! The six steps. Each can be done again from its beginning: a recovery that was killed midway does that.

use std::collections::BTreeMap;
use std::time::Duration;

use equilibrium_domain::parking::Epoch;
use equilibrium_domain::recovery::{Impact, MAX_LAG_MS, Outcome, Recovery, Step, StepStatus};
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::time::Timestamp;
use equilibrium_domain::wire::Corrupt;
use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};

use crate::checkpoint::fence;
use crate::checkpoint::parking::{self, Resume, ResumeError};
use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::policy::ports::PolicySource;
use crate::price::ports::MapStore;
use crate::recover::ports::{Details, Lease, Levers, RecoveryStore, RecoveryWatcher, StreamState};
use crate::recover::recoverer::{LOOK_INTERVAL, MORE_LOOKS, Recoverer, RunError};
use crate::recover::verify::{LogState, MapState, verify_log, verify_map};
use crate::timer::Timer;
use crate::unavailable::Unavailable;

/// How often an action is tried before its step fails.
const ATTEMPTS: u32 = 3;

/// The time between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long the step that restores drives the functions itself, in milliseconds: longer than a mapping takes to begin.
const BRIDGE_MS: i64 = 600_000;

/// How often validation waits for the lag to fall, a second each time.
const LAG_WAITS: u32 = 30;

/// The key of the details under which a step says why it failed.
const ERROR: &str = "error";

impl<R, C, M, P, L, T, N, W> Recoverer<R, C, M, P, L, T, N, W>
where
    R: RecoveryStore,
    C: CheckpointLog,
    M: MapStore,
    P: PolicySource,
    L: Levers,
    T: Timer,
    N: Fn() -> i64 + Send + Sync,
    W: RecoveryWatcher,
{
    fn now_ms(&self) -> i64 {
        (self.0.now_ms)()
    }

    /// Ends a step that has begun.
    fn end_step(&self, recovery: &mut Recovery, step: Step, status: StepStatus) {
        let now_ms = self.now_ms();
        let record = recovery.begin(step, now_ms);
        (record.status, record.duration_ms) = (status, Some(now_ms - record.started_at_ms));
    }

    /// Ends the recovery with a step that did not succeed.
    fn fail(&self, recovery: &mut Recovery, step: Step, outcome: Outcome, reason: &str) {
        detail(recovery, step, ERROR, json!(reason));
        self.end_step(recovery, step, StepStatus::Failed);
        recovery.end(outcome, self.now_ms());
    }

    /// Tries an action a few times.
    async fn attempt<A, F>(&self, action: impl Fn() -> F + Send + Sync) -> Result<A, Unavailable>
    where
        A: Send,
        F: Future<Output = Result<A, Unavailable>> + Send,
    {
        for _ in 1..ATTEMPTS {
            if let Ok(done) = action().await {
                return Ok(done);
            }
            self.0.timer.sleep(RETRY_INTERVAL).await;
        }
        action().await
    }

    /// `detect_failure`: a first look, and three more a second apart. Each must show a failure.
    pub(super) async fn detect_failure(&self, lease: Lease, recovery: &mut Recovery) -> Result<(), RunError> {
        let step = Step::DetectFailure;
        let mut looks: Vec<Value> = Vec::new();
        let mut before = None;
        for number in 0..=MORE_LOOKS {
            if number > 0 {
                self.0.timer.sleep(LOOK_INTERVAL).await;
                self.save(lease, recovery).await?;
            }
            let now_ms = self.now_ms();
            let Ok(look) = self.look(before.as_ref(), now_ms).await else {
                // A look that cannot look shows nothing: `unknown` starts nothing.
                self.fail(recovery, step, Outcome::Failed, "the component cannot be looked at");
                return Ok(());
            };
            looks.push(look.to_json(now_ms));
            detail(recovery, step, "looks", json!(looks));
            if !look.shows_failure() {
                let outcome = if number == 0 { Outcome::NoFailure } else { Outcome::FalseAlarm };
                detail(recovery, step, "result", json!(outcome.as_str()));
                self.end_step(recovery, step, StepStatus::Failed);
                recovery.end(outcome, self.now_ms());
                return Ok(());
            }
            before = Some(look);
        }
        detail(recovery, step, "result", json!("failure_confirmed"));
        recovery.impact = self.impact(recovery).await.ok();
        self.end_step(recovery, step, StepStatus::Succeeded);
        Ok(())
    }

    /// What a confirmed failure hits.
    async fn impact(&self, recovery: &Recovery) -> Result<Impact, Unavailable> {
        let now_ms = self.now_ms();
        let mut cities_by_mode: BTreeMap<String, usize> = BTreeMap::new();
        for config in self.0.policies.policies(now_ms).await?.cities(None) {
            let policy = &config.pricing.policy;
            let head = self.0.maps.head(&policy.city).await?;
            let age_ms = head.map(|head| now_ms - head.as_of);
            let mode = Mode::by_age(age_ms, policy.static_hours.is_some());
            *cities_by_mode.entry(mode.as_str().to_owned()).or_default() += 1;
        }
        let modes = cities_by_mode.keys().filter(|mode| *mode != Mode::Fresh.as_str());
        let fallbacks_in_force = modes.cloned().collect();
        let mut durations = self.past_durations(recovery.component).await?;
        durations.sort_unstable();
        Ok(Impact {
            services: recovery.component.dependants().map(str::to_owned).to_vec(),
            cities_by_mode,
            fallbacks_in_force,
            requests_per_minute: self.0.levers.requests_per_minute(),
            expected_duration_ms: durations.get(durations.len() / 2).copied(),
        })
    }

    /// `isolate_failed_instance`: the epoch of every log is raised, so that what still runs cannot append.
    pub(super) async fn isolate(&self, lease: Lease, recovery: &mut Recovery) -> Result<(), RunError> {
        let step = Step::IsolateFailedInstance;
        if self.is_exhausted(recovery).await? {
            detail(recovery, step, "budget_exhausted", json!(true));
            self.fail(recovery, step, Outcome::Failed, "three recoveries within an hour: a person must look");
            return Ok(());
        }
        // The epochs are recorded before any is raised: whoever resumes raises none twice.
        let known = recovery.details(step).and_then(|details| details.get("epochs_before"));
        let before = match known.and_then(read_epochs) {
            Some(before) => before,
            None => {
                let Ok(before) = self.attempt(|| self.epochs()).await else {
                    self.fail(recovery, step, Outcome::Failed, "the checkpoint logs cannot be read");
                    return Ok(());
                };
                detail(recovery, step, "epochs_before", write_epochs(&before));
                self.save(lease, recovery).await?;
                before
            }
        };
        match self.attempt(|| self.raise(&before)).await {
            Ok((epochs, done)) => {
                detail(recovery, step, "epochs", write_epochs(&epochs));
                add(recovery, step, done);
                self.end_step(recovery, step, StepStatus::Succeeded);
            }
            Err(Unavailable) => {
                self.fail(recovery, step, Outcome::Failed, "an epoch could not be raised");
            }
        }
        Ok(())
    }

    async fn raise(
        &self,
        before: &[(CheckpointKey, Epoch)],
    ) -> Result<(Vec<(CheckpointKey, Epoch)>, Details), Unavailable> {
        let raised = before.iter().map(|(key, above)| async move {
            Ok::<_, Unavailable>((key.clone(), fence::raise(&self.0.logs, key, *above).await?))
        });
        let epochs = try_join_all(raised).await?;
        Ok((epochs, self.0.levers.isolate().await?))
    }

    async fn epochs(&self) -> Result<Vec<(CheckpointKey, Epoch)>, Unavailable> {
        let logs = self.0.levers.logs().await?;
        let epochs = logs.into_iter().map(|key| async move {
            let epoch = fence::current(&self.0.logs, &key).await?;
            Ok((key, epoch))
        });
        try_join_all(epochs).await
    }

    /// `start_replacement_instance`.
    pub(super) async fn replace(&self, recovery: &mut Recovery) -> Result<(), RunError> {
        let step = Step::StartReplacementInstance;
        let id = recovery.id.clone();
        match self.attempt(|| self.0.levers.replace(&id)).await {
            Ok(done) => {
                add(recovery, step, done);
                self.end_step(recovery, step, StepStatus::Succeeded);
            }
            Err(Unavailable) => self.fail(recovery, step, Outcome::Failed, "no fresh instance answers"),
        }
        Ok(())
    }

    /// `restore_processing_state`: every checkpoint is read; the stream is read from where it must be, by this process while
    /// its reader is away.
    pub(super) async fn restore(&self, lease: Lease, recovery: &mut Recovery) -> Result<(), RunError> {
        let step = Step::RestoreProcessingState;
        let Ok(states) = self.attempt(|| self.log_states()).await else {
            self.fail(recovery, step, Outcome::Failed, "the checkpoint logs cannot be read");
            return Ok(());
        };
        let mut restored = Restored::default();
        for (key, state) in &states {
            if self.attempt(|| self.restore_log(key, *state)).await.is_err() {
                self.fail(recovery, step, Outcome::Failed, "a log could be neither resumed nor parked");
                return Ok(());
            }
            restored.count(key, *state);
        }
        restored.put(recovery);
        let least = restored.least_arrival_ms;
        match self.attempt(|| self.0.levers.read_from(least)).await {
            Ok(done) => add(recovery, step, done),
            Err(Unavailable) => {
                self.fail(recovery, step, Outcome::Failed, "the streams are not read");
                return Ok(());
            }
        }
        self.bridge(lease, recovery).await?;
        self.end_step(recovery, step, StepStatus::Succeeded);
        Ok(())
    }

    async fn bridge(&self, lease: Lease, recovery: &mut Recovery) -> Result<(), RunError> {
        let step = Step::RestoreProcessingState;
        let began_ms = self.now_ms();
        let mut turns = 0;
        while self.now_ms() - began_ms < BRIDGE_MS && self.0.levers.bridge().await.unwrap_or(true) {
            turns += 1;
            detail(recovery, step, "bridge_turns", json!(turns));
            self.save(lease, recovery).await?;
        }
        Ok(())
    }

    async fn log_states(&self) -> Result<LogStates, Unavailable> {
        let logs = self.0.levers.logs().await?;
        let states = logs.into_iter().map(|key| async move {
            let state = verify_log(&self.0.logs, &key).await?;
            Ok((key, state))
        });
        try_join_all(states).await
    }

    /// Resumes a log that can be read again, and parks one that cannot be read: its shard goes on, and its records wait.
    async fn restore_log(&self, key: &CheckpointKey, state: LogState) -> Result<(), Unavailable> {
        match state {
            LogState::ParkedReadable => match parking::resume(&self.0.logs, key, Resume::Retry).await {
                Ok(()) | Err(ResumeError::NotParked) => Ok(()),
                Err(ResumeError::Unavailable) => Err(Unavailable),
            },
            // The next version may know it (ARCHITECTURE.md, "Parking").
            LogState::Corrupt(Corrupt::UnknownVersion { .. }) => Ok(()),
            LogState::Corrupt(corrupt) => {
                let loaded = self.0.logs.load(key, None).await?;
                if parking::is_parked(&loaded.entries) {
                    return Ok(());
                }
                let parked = (self.now_ms(), corrupt.to_string());
                match parking::park_log(&self.0.logs, key, loaded.next(), parked).await {
                    Ok(()) => Ok(()),
                    Err(AppendError::Conflict | AppendError::Unavailable(_)) => Err(Unavailable),
                }
            }
            LogState::Empty | LogState::Readable { .. } | LogState::Parked(_) => Ok(()),
        }
    }

    /// `validate_data_consistency` (CONTRACT §6).
    pub(super) async fn validate(&self, lease: Lease, recovery: &mut Recovery) -> Result<(), RunError> {
        let step = Step::ValidateDataConsistency;
        let mut streams = Vec::new();
        for _ in 0..LAG_WAITS {
            streams = match self.attempt(|| self.0.levers.streams(self.now_ms())).await {
                Ok(streams) => streams,
                Err(Unavailable) => {
                    self.fail(recovery, step, Outcome::Failed, "the streams cannot be looked at");
                    return Ok(());
                }
            };
            if lag_ms(&streams) <= MAX_LAG_MS {
                break;
            }
            self.0.timer.sleep(LOOK_INTERVAL).await;
            self.save(lease, recovery).await?;
        }
        let checked = self.attempt(|| self.states()).await;
        let Ok((logs, maps)) = checked else {
            self.fail(recovery, step, Outcome::Failed, "checkpoints or maps cannot be read");
            return Ok(());
        };
        let faults = faults(&streams, &logs, &maps);
        let compared = maps.iter().filter(|(_, state)| *state != MapState::NotComparable).count();
        detail(recovery, step, "lag_ms", json!(lag_ms(&streams)));
        detail(recovery, step, "checkpoints", json!(logs.len()));
        detail(recovery, step, "maps_recomputed", json!(compared));
        if faults.is_empty() {
            self.end_step(recovery, step, StepStatus::Succeeded);
        } else {
            detail(recovery, step, "faults", json!(faults));
            self.fail(recovery, step, Outcome::Inconsistent, "the component is not as it must be");
        }
        Ok(())
    }

    async fn states(&self) -> Result<(LogStates, MapStates), Unavailable> {
        Ok((self.log_states().await?, self.map_states().await?))
    }

    async fn map_states(&self) -> Result<MapStates, Unavailable> {
        let policies = self.0.policies.policies(self.now_ms()).await?;
        let states = policies.cities(None).map(|config| async move {
            let city = &config.pricing.policy.city;
            Ok((city.to_string(), verify_map(&self.0.logs, &self.0.maps, city).await?))
        });
        join_all(states).await.into_iter().collect()
    }

    /// The parked logs that can be read again.
    pub(super) async fn resumable_logs(&self) -> Result<Vec<String>, Unavailable> {
        let mut resumable = Vec::new();
        for parked in parking::list(&self.0.logs).await?.iter().filter(|parked| !parked.is_resumed) {
            if verify_log(&self.0.logs, &parked.key).await? == LogState::ParkedReadable {
                resumable.push(parked.key.to_string());
            }
        }
        Ok(resumable)
    }

    /// `resume_normal_operations`, with an account of the whole recovery.
    pub(super) async fn resume(&self, recovery: &mut Recovery) -> Result<(), RunError> {
        let step = Step::ResumeNormalOperations;
        match self.attempt(|| self.0.levers.resume()).await {
            Ok(done) => {
                add(recovery, step, done);
                let took_ms = self.now_ms() - recovery.started_at_ms;
                let checkpoints = recovery.details(Step::ValidateDataConsistency);
                let checkpoints = checkpoints.and_then(|details| details.get("checkpoints")).cloned();
                let account = format!(
                    "{} failed ({}); {} checkpoints were fenced and verified, and a fresh instance resumed after {took_ms} ms",
                    recovery.component.as_str(),
                    recovery.reason,
                    checkpoints.unwrap_or_default(),
                );
                detail(recovery, step, "account", json!(account));
                self.end_step(recovery, step, StepStatus::Succeeded);
            }
            Err(Unavailable) => {
                self.fail(recovery, step, Outcome::Failed, "what isolated the component is still in force");
            }
        }
        Ok(())
    }
}

/// The state of each log.
type LogStates = Vec<(CheckpointKey, LogState)>;

/// The state of each city's map.
type MapStates = Vec<(String, MapState)>;

/// What restoring found.
#[derive(Debug, Default)]
struct Restored {
    verified: usize,
    resumed: Vec<String>,
    parked: BTreeMap<String, String>,
    least_arrival_ms: Option<i64>,
}

impl Restored {
    fn count(&mut self, key: &CheckpointKey, state: LogState) {
        match state {
            LogState::Empty => {}
            LogState::Readable { reached_ms } => {
                self.verified += 1;
                if let (CheckpointKey::Lanes(_), Some(reached_ms)) = (key, reached_ms) {
                    let least = self.least_arrival_ms.unwrap_or(reached_ms);
                    self.least_arrival_ms = Some(least.min(reached_ms));
                }
            }
            LogState::ParkedReadable => self.resumed.push(key.to_string()),
            LogState::Parked(corrupt) | LogState::Corrupt(corrupt) => {
                self.parked.insert(key.to_string(), corrupt.to_string());
            }
        }
    }

    fn put(&self, recovery: &mut Recovery) {
        let step = Step::RestoreProcessingState;
        let least = self.least_arrival_ms.and_then(Timestamp::from_ms).map(|at| at.to_string());
        detail(recovery, step, "verified", json!(self.verified));
        detail(recovery, step, "resumed", json!(self.resumed));
        detail(recovery, step, "parked", json!(self.parked));
        detail(recovery, step, "read_from", json!(least));
    }
}

/// What is not as it must be, in words.
fn faults(
    streams: &[StreamState],
    logs: &[(CheckpointKey, LogState)],
    maps: &[(String, MapState)],
) -> Vec<String> {
    let mut faults = Vec::new();
    let lag_ms = lag_ms(streams);
    if lag_ms > MAX_LAG_MS {
        faults.push(format!("the lag is {lag_ms} ms"));
    }
    for StreamState { name, discarded, .. } in streams.iter().filter(|stream| stream.discarded > 0) {
        faults.push(format!("{discarded} spans of {name} were discarded"));
    }
    for (key, state) in logs {
        match state {
            LogState::Readable { reached_ms: Some(reached_ms) } => {
                faults.extend(lost(key, *reached_ms, streams))
            }
            LogState::Parked(corrupt) | LogState::Corrupt(corrupt) => {
                faults.push(format!("{key} cannot be read: {corrupt}"));
            }
            LogState::ParkedReadable => faults.push(format!("{key} is parked")),
            LogState::Readable { reached_ms: None } | LogState::Empty => {}
        }
    }
    for (city, state) in maps {
        if let MapState::Different { version } = state {
            faults.push(format!("the published map {version} of {city} is not that of its log"));
        }
    }
    faults
}

/// What a log's stream no longer retained before it was processed: it retains nothing as old as the log's newest record.
fn lost(key: &CheckpointKey, reached_ms: i64, streams: &[StreamState]) -> Option<String> {
    let name = if matches!(key, CheckpointKey::Lanes(_)) { "events" } else { "counts" };
    let retained_ms = streams.iter().find(|stream| stream.name == name)?.retained_from_ms?;
    let [from, to] =
        [reached_ms, retained_ms].map(|ms| Timestamp::from_ms(ms).unwrap_or(Timestamp::END_OF_TIME));
    let is_lost = reached_ms < retained_ms;
    is_lost.then(|| format!("{key} lost what arrived from {from} to {to}: {name} retained none of it"))
}

fn lag_ms(streams: &[StreamState]) -> i64 {
    streams.iter().filter_map(|stream| stream.waiting_ms).max().unwrap_or(0)
}

fn detail(recovery: &mut Recovery, step: Step, name: &str, value: Value) {
    let started_at_ms = recovery.started_at_ms;
    recovery.begin(step, started_at_ms).details.insert(name.to_owned(), value);
}

fn add(recovery: &mut Recovery, step: Step, done: Details) {
    for (name, value) in done {
        detail(recovery, step, &name, value);
    }
}

fn write_epochs(epochs: &[(CheckpointKey, Epoch)]) -> Value {
    let epochs = epochs.iter().map(|(key, epoch)| (key.to_string(), json!(epoch.0)));
    Value::Object(epochs.collect())
}

fn read_epochs(epochs: &Value) -> Option<Vec<(CheckpointKey, Epoch)>> {
    let epochs = epochs.as_object()?.iter();
    epochs.map(|(key, epoch)| Some((CheckpointKey::parse(key)?, Epoch(epoch.as_u64()?)))).collect()
}
