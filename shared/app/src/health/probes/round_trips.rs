//! A round trip to a dependency.

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{ProbeError, since};
use crate::health::ports::RoundTrip;
use crate::health::prober::{Found, Probe, Stopwatch};

/// A round trip to a component. `target` is what answers it, as `cache`.
#[derive(Clone, Debug)]
pub struct RoundTripProbe<R> {
    /// The component.
    pub component: Component,
    /// The name of what answers.
    pub target: &'static str,
    /// What answers.
    pub answers: R,
    /// The time.
    pub stopwatch: Stopwatch,
}

impl<R: RoundTrip> Probe for RoundTripProbe<R> {
    fn component(&self) -> Component {
        self.component
    }

    fn look(&self, _now_ms: i64) -> BoxFuture<'_, Found> {
        async move {
            let began_ms = (self.stopwatch)();
            let answer = self.answers.round_trip().await.map_err(ProbeError::unavailable(self.target));
            let took_ms = since((self.stopwatch)(), began_ms);
            answer.map_or_else(|error| Look::bad(&error.to_string()), |()| Look::good(took_ms)).into()
        }
        .boxed()
    }
}
