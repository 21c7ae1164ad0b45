//! Runs over scripted targets, with a clock that the tests set forward.

use std::collections::VecDeque;
use std::sync::Arc;

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::health::verdict::Verdict;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use tokio::time::{Instant, sleep};

use super::*;
use crate::health::prober::{Found, Probe};
use crate::health::reader::HealthReader;
use crate::memory::MemoryVerdicts;
use crate::unavailable::Unavailable;

/// What a target does at its next looks; the last is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Serve,
    Fail,
    Hang,
}

struct Target(Component, Arc<Mutex<VecDeque<Does>>>);

impl Probe for Target {
    fn component(&self) -> Component {
        self.0
    }

    fn look(&self, _now_ms: i64) -> BoxFuture<'_, Found> {
        let mut script = self.1.lock();
        let does = if script.len() > 1 { script.pop_front() } else { script.front().copied() };
        match does {
            Some(Does::Serve) => async { Look::good(3).into() }.boxed(),
            Some(Does::Fail) => async { Look::bad("refused").into() }.boxed(),
            Some(Does::Hang) | None => pending().boxed(),
        }
    }
}

/// Targets of these components, each with its script.
fn prober(scripts: &[(Component, &[Does])]) -> Prober<impl Timer + use<>> {
    let targets = scripts.iter().map(|(component, script)| {
        let script = Arc::new(Mutex::new(script.iter().copied().collect()));
        Box::new(Target(*component, script)) as Box<dyn Probe>
    });
    Prober::new(targets.collect(), sleep)
}

const START_MS: i64 = 1_772_427_600_000;

/// The time by the runtime's clock, which a test sets forward.
fn clock() -> impl Fn() -> i64 + Clone {
    let began = Instant::now();
    move || START_MS + i64::try_from(began.elapsed().as_millis()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_looks_every_ten_seconds_whatever_the_looks_take() {
    for does in [Does::Serve, Does::Hang] {
        let run =
            HealthRun::new(MemoryVerdicts::default(), prober(&[(Component::Kinesis, &[does])]), SCHEDULE_MS);
        let (began, clock, mut seen) = (Instant::now(), clock(), Vec::new());
        run.run(LOOKS, &clock, |judged| {
            seen.push(judged.report.verdict(Component::Kinesis).checked_at_ms.unwrap() - START_MS);
        })
        .await;
        assert_eq!(seen, [0, 10_000, 20_000, 30_000, 40_000, 50_000], "{does:?}");
        assert!(began.elapsed() <= Duration::from_secs(55), "it ends within its minute");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_is_a_bad_look_and_holds_up_no_other() {
    let scripts: [(Component, &[Does]); 3] = [
        (Component::DynamoDb, &[Does::Hang]),
        (Component::Pricing, &[Does::Serve]),
        (Component::Pricing, &[Does::Serve]),
    ];
    let run = HealthRun::new(MemoryVerdicts::default(), prober(&scripts), SCHEDULE_MS);
    let began = Instant::now();
    let judged = run.look(START_MS).await;
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    let look = |component: Component| judged.findings.looks[component.index()].clone();
    assert_eq!(look(Component::DynamoDb), Some(Look::bad("no answer within 5000 ms")));
    assert_eq!(look(Component::Pricing), Some(Look::good(3)));
    assert_eq!(look(Component::Analytics), None);
}

#[tokio::test(start_paused = true)]
async fn flapping_changes_nothing_and_three_bad_looks_do() {
    use Does::{Fail, Serve};
    let script = [Serve, Serve, Fail, Serve, Fail, Fail, Serve, Fail, Fail, Fail, Serve, Serve];
    let run =
        HealthRun::new(MemoryVerdicts::default(), prober(&[(Component::Kinesis, &script)]), SCHEDULE_MS);
    let clock = clock();
    let mut changes = Vec::new();
    run.run(12, &clock, |judged| {
        for change in &judged.changes {
            changes.push((change.from, change.report.verdicts()[change.index].status, change.index));
        }
    })
    .await;
    let kinesis = Component::Kinesis.index();
    assert_eq!(
        changes,
        [
            (Status::Unknown, Status::Healthy, kinesis),
            (Status::Healthy, Status::Unhealthy, kinesis),
            (Status::Unhealthy, Status::Healthy, kinesis),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_count_the_looks_of_one() {
    let store = MemoryVerdicts::default();
    let one = HealthRun::new(store.clone(), prober(&[(Component::Kinesis, &[Does::Fail])]), SCHEDULE_MS);
    let other = HealthRun::new(store.clone(), prober(&[(Component::Kinesis, &[Does::Fail])]), SCHEDULE_MS);
    one.look(START_MS).await;
    for at_ms in [10_000, 20_000] {
        join(one.look(START_MS + at_ms), other.look(START_MS + at_ms + 100)).await;
    }
    let stored = store.verdicts().await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].own(), Status::Unhealthy);
    let reread = HealthRun::new(store.clone(), prober(&[(Component::Kinesis, &[Does::Fail])]), SCHEDULE_MS);
    let again = reread.look(START_MS + 20_500).await;
    assert_eq!(again.report.verdict(Component::Kinesis).own(), Status::Unhealthy);
    assert_eq!(store.verdicts().await.unwrap(), stored, "a second verdict within a second is not saved");
}

/// A store that is gone.
#[derive(Debug)]
struct Gone;

impl VerdictStore for Gone {
    async fn verdicts(&self) -> Result<Vec<Verdict>, Unavailable> {
        Err(Unavailable)
    }

    async fn save_verdict(&self, _: &Verdict, _: Option<i64>) -> Result<(), SaveError> {
        Err(Unavailable.into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_judges_on_while_the_store_is_gone() {
    let run = HealthRun::new(Gone, prober(&[(Component::Kinesis, &[Does::Fail])]), SCHEDULE_MS);
    let mut judged = run.look(START_MS).await;
    for at_ms in [10_000, 20_000] {
        judged = run.look(START_MS + at_ms).await;
    }
    assert_eq!(judged.report.verdict(Component::Kinesis).status, Status::Unhealthy);
    assert_eq!(run.take_metrics(&judged).unsaved, 3);
    assert_eq!(run.take_metrics(&judged).unsaved, 0);
}

#[tokio::test(start_paused = true)]
async fn most_components_bad_at_once_are_one_sign_of_the_prober() {
    let scripts = Component::ALL.map(|component| (component, &[Does::Fail][..]));
    let run = HealthRun::new(MemoryVerdicts::default(), prober(&scripts), SCHEDULE_MS);
    let judged = run.look(START_MS).await;
    assert!(judged.report.is_prober_suspected());
    assert!(run.store().verdicts().await.unwrap().iter().all(|verdict| verdict.prober_suspected));
}

#[tokio::test(start_paused = true)]
async fn a_reader_shows_what_was_saved_until_it_is_too_old() {
    let store = MemoryVerdicts::default();
    let run = HealthRun::new(store.clone(), prober(&[(Component::Kinesis, &[Does::Serve])]), SCHEDULE_MS);
    let reader = HealthReader::new(store.clone(), sleep, SCHEDULE_MS);
    let kinesis = async |now_ms| reader.report(now_ms).await.verdict(Component::Kinesis).clone();
    assert_eq!(kinesis(START_MS).await.status, Status::Unknown);
    run.look(START_MS).await;
    run.look(START_MS + 10_000).await;
    assert_eq!(kinesis(START_MS + 10_000).await.status, Status::Healthy);
    let last_ms = START_MS + 10_000 + 2 * SCHEDULE_MS;
    assert_eq!(kinesis(last_ms).await.status, Status::Healthy);
    assert_eq!(kinesis(last_ms + 1).await.status, Status::Unknown);
    let gone = HealthReader::new(Gone, sleep, SCHEDULE_MS);
    assert_eq!(gone.report(START_MS).await.overall(), Status::Degraded, "unknown counts as degraded");
}
