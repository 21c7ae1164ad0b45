//! The function as API Gateway, the schedule and an alarm invoke it, with the samples of `events/http`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::future::{Ready, ready};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use equilibrium_admission::Open;
use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, MemoryRecoveries};
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::recover::metrics::RecoveryMetrics;
use equilibrium_app::recover::ports::{Details, Levers, StreamState};
use equilibrium_app::recover::recoverer::{Parts, Recoverer};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::recovery::{Recovery, RecoveryId};
use equilibrium_recover::{InvocationError, handle_event};
use serde_json::{Value, json};

const NOW_MS: i64 = 1_772_000_000_000;

/// A stream processor that has no logs yet; it runs, unless it is told to have failed.
#[derive(Clone, Copy)]
struct Idle {
    has_failed: bool,
}

impl Levers for Idle {
    async fn dead_instances(&self) -> Result<Vec<String>, Unavailable> {
        Ok(self.has_failed.then(|| "count has no mapping".to_owned()).into_iter().collect())
    }

    async fn streams(&self, _: i64) -> Result<Vec<StreamState>, Unavailable> {
        Ok(Vec::new())
    }

    async fn logs(&self) -> Result<Vec<CheckpointKey>, Unavailable> {
        Ok(Vec::new())
    }

    async fn isolate(&self) -> Result<Details, Unavailable> {
        Ok(Details::new())
    }

    async fn replace(&self, _: &RecoveryId) -> Result<Details, Unavailable> {
        Ok(Details::new())
    }

    async fn read_from(&self, _: Option<i64>) -> Result<Details, Unavailable> {
        Ok(Details::new())
    }

    async fn bridge(&self) -> Result<bool, Unavailable> {
        Ok(false)
    }

    async fn resume(&self) -> Result<Details, Unavailable> {
        Ok(Details::new())
    }
}

type TestRecoverer = Recoverer<
    MemoryRecoveries,
    MemoryCheckpoints,
    MemoryMaps,
    Arc<PolicySet>,
    Idle,
    fn(Duration) -> Ready<()>,
    fn() -> i64,
    fn(&Recovery),
>;

struct Function {
    recoverer: TestRecoverer,
    launched: AtomicUsize,
}

impl Function {
    fn new(has_failed: bool) -> Self {
        let recoverer = Recoverer(Parts {
            store: MemoryRecoveries::default(),
            logs: MemoryCheckpoints::default(),
            maps: MemoryMaps::default(),
            policies: Arc::new(PolicySet::of(Vec::new(), ResourceLimits::default())),
            levers: Idle { has_failed },
            timer: (|_| ready(())) as fn(Duration) -> Ready<()>,
            now_ms: (|| NOW_MS) as fn() -> i64,
            watcher: (|_| {}) as fn(&Recovery),
        });
        Self { recoverer, launched: AtomicUsize::new(0) }
    }

    async fn invoke(&self, payload: &[u8]) -> Result<(Value, RecoveryMetrics), InvocationError> {
        let launch = || {
            self.launched.fetch_add(1, Ordering::Relaxed);
            ready(Ok(()))
        };
        let handled = handle_event(&Open, (&self.recoverer, &launch), payload, NOW_MS).await;
        handled.map(|(response, metrics)| (serde_json::from_slice(&response).unwrap(), metrics))
    }
}

fn sample(name: &str) -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/http").join(name).with_extension("json");
    fs::read(path).unwrap()
}

#[tokio::test]
async fn each_sample_has_its_response() {
    for (name, status, launched) in [
        ("post-recovery", 202, 1),
        ("post-recovery-invalid", 422, 0),
        ("get-recoveries", 200, 0),
        ("get-recovery", 404, 0),
    ] {
        let function = Function::new(false);
        let (answer, metrics) = function.invoke(&sample(name)).await.unwrap();
        assert_eq!(answer["statusCode"], json!(status), "{name}: {answer}");
        assert_eq!(function.launched.into_inner(), launched, "{name}");
        assert_eq!(metrics, RecoveryMetrics::default());
        let request: ApiGatewayV2httpRequest = serde_json::from_slice(&sample(name)).unwrap();
        assert!(request.raw_path.unwrap().starts_with("/v1/recoveries"));
    }
}

#[tokio::test]
async fn a_recovery_that_was_started_goes_on_in_the_next_invocation() {
    let function = Function::new(true);
    let (answer, _) = function.invoke(&sample("post-recovery")).await.unwrap();
    let started: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!((&started["id"], &started["status"]), (&json!("overdue-0610"), &json!("running")));
    let (ended, metrics) = function.invoke(b"{}").await.unwrap();
    assert_eq!((&ended["id"], &ended["status"]), (&json!("overdue-0610"), &json!("success")), "{ended}");
    assert_eq!(metrics, RecoveryMetrics { succeeded: 1, ..RecoveryMetrics::default() });
    let (answer, _) = function.invoke(&sample("get-recovery")).await.unwrap();
    assert_eq!(answer["statusCode"], 200);
    assert_eq!(function.invoke(b"{}").await.unwrap().0, Value::Null, "nothing is left to do");
}

#[tokio::test]
async fn the_schedule_and_an_alarm_look_and_start_a_recovery_only_where_the_look_shows_a_failure() {
    let alarm = br#"{"source":"aws.cloudwatch","alarmData":{"alarmName":"live-overdue"}}"#;
    for (payload, reason) in [(&br#"{"reason":"schedule"}"#[..], "schedule"), (alarm, "alarm live-overdue")] {
        let well = Function::new(false);
        assert_eq!(well.invoke(payload).await.unwrap().0, Value::Null);
        let failed = Function::new(true);
        let (recovered, _) = failed.invoke(payload).await.unwrap();
        assert_eq!((&recovered["reason"], &recovered["status"]), (&json!(reason), &json!("success")));
    }
}
