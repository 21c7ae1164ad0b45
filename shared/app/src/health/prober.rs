//! The prober: one look at everything, all targets at once.

use std::fmt;
use std::time::Duration;

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::health::report::Looks;
use futures_util::future::{BoxFuture, join_all};

use crate::health::metrics::Hops;
use crate::timer::{Timer, with_timeout};

/// The longest that a look waits for a target.
pub const TARGET_TIMEOUT: Duration = Duration::from_secs(5);

/// The time of the process, in milliseconds since some moment, to measure how long an answer takes.
pub type Stopwatch = fn() -> i64;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The look.
    pub look: Look,
    /// How long each hop of the pipeline took, if the probe followed it.
    pub hops: Option<Hops>,
    /// How much the map of the city that is most overdue is, in milliseconds, if the probe compared them.
    pub overdue_ms: Option<u64>,
}

impl From<Look> for Found {
    fn from(look: Look) -> Self {
        Self { look, hops: None, overdue_ms: None }
    }
}

/// A target: one way in which a component must work.
pub trait Probe: Send + Sync {
    /// The component.
    fn component(&self) -> Component;

    /// Looks at `now_ms`, in milliseconds since the epoch. It ends by itself, or is dropped after [`TARGET_TIMEOUT`].
    fn look(&self, now_ms: i64) -> BoxFuture<'_, Found>;
}

/// What one look at everything found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The worst look at each component.
    pub looks: Looks,
    /// The hops of the pipeline.
    pub hops: Hops,
    /// How much the map of the city that is most overdue is, in milliseconds.
    pub overdue_ms: u64,
}

/// The targets. A component without one stays unknown.
pub struct Prober<T> {
    probes: Vec<Box<dyn Probe>>,
    timer: T,
}

impl<T: Timer> Prober<T> {
    /// A prober of these targets.
    pub fn new(probes: Vec<Box<dyn Probe>>, timer: T) -> Self {
        Self { probes, timer }
    }

    /// The timer.
    pub(super) fn timer(&self) -> &T {
        &self.timer
    }

    /// Looks at every target at `now_ms`, in milliseconds since the epoch.
    pub async fn look(&self, now_ms: i64) -> Findings {
        let looks = self.probes.iter().map(|probe| async move {
            let found = with_timeout(&self.timer, TARGET_TIMEOUT, probe.look(now_ms)).await;
            (probe.component(), found.unwrap_or_else(|| timed_out().into()))
        });
        let mut findings = Findings { looks: [const { None }; _], hops: Hops::default(), overdue_ms: 0 };
        for (component, found) in join_all(looks).await {
            let slot = &mut findings.looks[component.index()];
            *slot = Some(match slot.take() {
                Some(look) => look.and(found.look),
                None => found.look,
            });
            findings.hops = found.hops.unwrap_or(findings.hops);
            findings.overdue_ms = findings.overdue_ms.max(found.overdue_ms.unwrap_or(0));
        }
        findings
    }
}

/// The look at a target that did not answer in time.
fn timed_out() -> Look {
    Look::bad(&format!("no answer within {} ms", TARGET_TIMEOUT.as_millis()))
}

impl<T> fmt::Debug for Prober<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let components: Vec<Component> = self.probes.iter().map(|probe| probe.component()).collect();
        f.debug_struct("Prober").field("probes", &components).finish_non_exhaustive()
    }
}
