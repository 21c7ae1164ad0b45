//! Health of one process: its targets, and the looks that go on beside its server.
//!
//! The store of the process takes the part of the table store and of the streams, and there is no cache. The same probes look
//! as in a deployment.

use std::time::Duration;

use equilibrium_app::clock::{Clock, system_now_ms};
use equilibrium_app::health::ports::{Api, RoundTrip};
use equilibrium_app::health::prober::{Probe, Prober};
use equilibrium_app::health::probes::cities::CityProbe;
use equilibrium_app::health::probes::pipeline::PipelineProbe;
use equilibrium_app::health::probes::places::PlaceProbe;
use equilibrium_app::health::probes::prices::PriceProbe;
use equilibrium_app::health::probes::quotes::QuoteProbe;
use equilibrium_app::health::probes::round_trips::RoundTripProbe;
use equilibrium_app::health::run::{HealthRun, LOOK_INTERVAL};
use equilibrium_app::ingest::ports::WatermarkBoard;
use equilibrium_app::notify::change::HealthChanged;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_domain::health::component::Component;
use equilibrium_embedded::store::Store;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};

/// Tokio's timer.
pub type SleepFn = fn(Duration) -> Sleep;

/// The looks of a process.
pub type LocalRun = HealthRun<Store, SleepFn>;

/// The first looks follow each other sooner, so that a process that has started is soon known to work.
const FIRST_LOOKS: u32 = 3;

/// The time between the first looks: a tick of the city of probes, so that none closes a tick that is closed.
const FIRST_INTERVAL: Duration = Duration::from_secs(5);

/// How much longer the pipeline may take for a tick where the clock is a fast one.
const SLACK: Duration = Duration::from_secs(1);

/// The interval of verdicts by the clock of a process, in milliseconds.
#[must_use]
pub fn interval_ms(clock: &Clock) -> i64 {
    clock.passes_within(LOOK_INTERVAL)
}

/// The looks at a process over this store, whose functions are `api`. `stream` is a round trip to its stream of changes.
#[must_use]
pub fn looks<A, P, B, N>(store: &Store, api: A, (policies, board): (P, B), stream: N) -> LocalRun
where
    A: Api + Clone + 'static,
    P: PolicySource + Clone + 'static,
    B: WatermarkBoard + 'static,
    N: RoundTrip + 'static,
{
    let (stopwatch, timer) = (system_now_ms as fn() -> i64, sleep as SleepFn);
    let slack_ms = store.clock().passes_within(SLACK);
    let dependency = |component, target| {
        Box::new(RoundTripProbe { component, target, answers: store.clone(), stopwatch }) as Box<dyn Probe>
    };
    let probes: Vec<Box<dyn Probe>> = vec![
        Box::new(PipelineProbe {
            api: api.clone(),
            logs: store.clone(),
            maps: store.clone(),
            timer,
            stopwatch,
        }),
        Box::new(CityProbe { policies: policies.clone(), maps: store.clone(), board, slack_ms, stopwatch }),
        Box::new(PriceProbe { api: api.clone(), stopwatch }),
        Box::new(QuoteProbe { api: api.clone(), stopwatch }),
        Box::new(PlaceProbe { api, policies, stopwatch }),
        Box::new(RoundTripProbe {
            component: Component::Notification,
            target: "stream of changes",
            answers: stream,
            stopwatch,
        }),
        dependency(Component::DynamoDb, "store"),
        dependency(Component::Kinesis, "logs"),
        Box::new(RoundTripProbe {
            component: Component::ElastiCache,
            target: "cache",
            answers: None::<Store>,
            stopwatch,
        }),
    ];
    HealthRun::new(store.clone(), Prober::new(probes, timer), interval_ms(&store.clock()))
}

/// Looks until `stop` is true, and gives `changed` every change of a status.
pub async fn run(
    run: LocalRun,
    clock: Clock,
    changed: impl Fn(HealthChanged),
    mut stop: watch::Receiver<bool>,
) {
    let mut looks = 0;
    while !*stop.borrow() {
        let look = async {
            let judged = run.look(clock.now_ms()).await;
            judged.changes.iter().for_each(|change| changed(change.message(clock.now_ms())));
        };
        looks += 1;
        let pause = sleep(if looks < FIRST_LOOKS { FIRST_INTERVAL } else { LOOK_INTERVAL });
        tokio::select! {
            _ = async { tokio::join!(look, pause) } => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}
