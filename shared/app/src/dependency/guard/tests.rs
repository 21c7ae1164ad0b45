//! Calls to dependencies that answer, fail and hang.

use std::future::{pending, ready};
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::*;

type Sleep = fn(Duration) -> tokio::time::Sleep;

const DEADLINE: Deadline = Deadline::of(Duration::from_millis(100));
const LONG_READ: Deadline = Deadline::of_long_read(Duration::from_millis(100));

fn dependency(kind: DependencyKind) -> Dependency<Sleep> {
    let started = Instant::now();
    let clock = move || i64::try_from(started.elapsed().as_millis()).unwrap();
    Dependency::new(kind, clock, tokio::time::sleep as Sleep)
}

async fn pass(ms: u64) {
    tokio::time::advance(Duration::from_millis(ms)).await;
}

async fn hangs(dependency: &Dependency<Sleep>, deadline: Deadline) -> Result<(), Unavailable> {
    dependency.call(deadline, pending()).await
}

async fn answers(dependency: &Dependency<Sleep>) -> Result<(), Unavailable> {
    dependency.call(DEADLINE, ready(Ok(()))).await
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_hangs_costs_its_deadline_until_the_breaker_opens() {
    let cache = dependency(DependencyKind::Cache);
    let started = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(hangs(&cache, DEADLINE).await, Err(Unavailable));
    }
    assert_eq!(started.elapsed(), 3 * DEADLINE.time);
    let metrics = cache.take_metrics();
    assert_eq!((metrics.opened, metrics.refused, metrics.timed_out), (1, 997, 3));
    assert_eq!(cache.take_metrics(), DependencyMetrics::of(DependencyKind::Cache), "they were taken");
}

#[tokio::test(start_paused = true)]
async fn one_call_of_many_at_once_probes_and_a_success_lets_the_next_through() {
    let store = Arc::new(dependency(DependencyKind::Store));
    for _ in 0..5 {
        hangs(&store, DEADLINE).await.unwrap_err();
    }
    assert_eq!((store.state(), answers(&store).await), (BreakerState::Open, Err(Unavailable)));
    pass(1_000).await;
    let probe = tokio::spawn({
        let store = Arc::clone(&store);
        async move { hangs(&store, DEADLINE).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(store.state(), BreakerState::HalfOpen);
    for _ in 0..100 {
        assert_eq!(answers(&store).await, Err(Unavailable), "the probe is under way");
    }
    assert_eq!(probe.await.unwrap(), Err(Unavailable));
    assert_eq!(store.state(), BreakerState::Open);
    pass(2_000).await;
    assert_eq!((answers(&store).await, store.state()), (Ok(()), BreakerState::Closed));
    assert_eq!(answers(&store).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_bulkhead_fails_at_once_and_says_nothing_of_the_dependency() {
    let store = dependency(DependencyKind::Store);
    let mut calls: Vec<_> = (0..MAX_IN_FLIGHT).map(|_| Box::pin(hangs(&store, DEADLINE))).collect();
    assert!(calls.iter_mut().all(|call| call.now_or_never().is_none()));
    let started = Instant::now();
    for _ in 0..10 {
        assert_eq!(answers(&store).await, Err(Unavailable));
    }
    assert_eq!((started.elapsed(), store.take_metrics().overflowed), (Duration::ZERO, 10));
    assert_eq!(store.state(), BreakerState::Closed);
    calls.pop();
    assert_eq!(answers(&store).await, Ok(()), "a caller that stopped waiting made room");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_and_a_long_read_are_no_failures() {
    let store = dependency(DependencyKind::Store);
    for _ in 0..10 {
        let conflict = store.call(DEADLINE, ready(Err::<(), _>(ReplaceError::VersionMismatch))).await;
        assert_eq!(conflict, Err(ReplaceError::VersionMismatch));
        let full = store.call(DEADLINE, ready(Err::<(), _>(CreateError::TooMany))).await;
        assert_eq!(full, Err(CreateError::TooMany));
        assert_eq!(hangs(&store, LONG_READ).await, Err(Unavailable));
    }
    assert_eq!(store.state(), BreakerState::Closed);
    assert_eq!(store.take_metrics().timed_out, 10);
    for _ in 0..5 {
        let failed = store.call(DEADLINE, ready(Err::<(), _>(ReplaceError::Unavailable(Unavailable)))).await;
        assert_eq!(failed, Err(ReplaceError::Unavailable(Unavailable)));
    }
    assert_eq!(store.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nothing_polled_until_after_its_deadline_has_failed() {
    let cache = dependency(DependencyKind::Cache);
    for _ in 0..2 {
        let mut call = Box::pin(hangs(&cache, DEADLINE));
        assert!((&mut call).now_or_never().is_none());
        pass(50).await;
        drop(call);
    }
    assert_eq!(cache.state(), BreakerState::Closed);
    for _ in 0..3 {
        let mut call = Box::pin(hangs(&cache, DEADLINE));
        assert!((&mut call).now_or_never().is_none());
        pass(100).await;
        drop(call);
    }
    assert_eq!(cache.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn each_change_of_the_breaker_is_reported_once() {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let cache = dependency(DependencyKind::Cache).observed_by(move |change| seen.lock().push(change.state));
    for _ in 0..9 {
        hangs(&cache, DEADLINE).await.unwrap_err();
    }
    pass(1_000).await;
    answers(&cache).await.unwrap();
    answers(&cache).await.unwrap();
    assert_eq!(*changes.lock(), [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed]);
}
