//! The maps of all cities against the cities' own clocks.
//!
//! A city whose map is overdue need not be one that fails: where no events arrive, no tick ends. Its clock is the watermark
//! that ingest has put on the board, so a city is behind where that is past ticks that its map lacks.

use equilibrium_domain::event::watermark::CityWatermark;
use equilibrium_domain::event::watermark_board::part_of;
use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::id::CityId;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join};

use super::{ProbeError, since};
use crate::health::prober::{Found, Probe, Stopwatch};
use crate::ingest::ports::{Board, WatermarkBoard};
use crate::policy::policy_set::CityConfig;
use crate::policy::ports::PolicySource;
use crate::price::ports::MapStore;

/// Ticks by which a map may be overdue.
pub const OVERDUE_TICKS: i64 = 2;

const POLICIES: &str = "policies";
const MAPS: &str = "maps";
const BOARD: &str = "watermark board";

/// A probe of the cities' maps.
#[derive(Clone, Debug)]
pub struct CityProbe<P, M, B> {
    /// The policies.
    pub policies: P,
    /// The maps in their store.
    pub maps: M,
    /// The watermarks.
    pub board: B,
    /// How much longer a map may be overdue, in milliseconds: where the clock of the cities is a fast one, the pipeline takes
    /// as much more of its time.
    pub slack_ms: i64,
    /// The time.
    pub stopwatch: Stopwatch,
}

/// How much the map of a city is overdue at `now_ms`, in milliseconds: `age − lateness − tick`, at least 0 (CONTRACT §6).
#[must_use]
pub fn overdue_ms(config: &CityConfig, as_of: i64, now_ms: i64) -> i64 {
    let clock = config.pricing.policy.clock;
    now_ms.saturating_sub(as_of).saturating_sub(clock.lateness_ms).saturating_sub(clock.tick_ms).max(0)
}

impl<P: PolicySource, M: MapStore, B: WatermarkBoard> CityProbe<P, M, B> {
    async fn check(&self, now_ms: i64) -> Result<Found, ProbeError> {
        let began_ms = (self.stopwatch)();
        let policies = self.policies.policies(now_ms).await.map_err(ProbeError::unavailable(POLICIES))?;
        let cities: Vec<&CityConfig> = policies.cities(None).collect();
        let ids: Vec<CityId> = cities.iter().map(|config| config.pricing.policy.city.clone()).collect();
        let (heads, board) = join(self.maps.heads(&ids), self.board.read()).await;
        let (heads, board) =
            (heads.map_err(ProbeError::unavailable(MAPS))?, board.map_err(ProbeError::unavailable(BOARD))?);
        let (mut behind, mut most_overdue_ms) = (Vec::new(), 0);
        for ((config, id), head) in cities.iter().zip(&ids).zip(heads) {
            let Some(watermark) = watermark(&board, id) else { continue };
            let tick_ms = config.pricing.policy.clock.tick_ms;
            let as_of = head.map_or(watermark.first_tick.saturating_sub(tick_ms), |head| head.as_of);
            let overdue_ms = overdue_ms(config, as_of, now_ms);
            let allowed_ms = OVERDUE_TICKS.saturating_mul(tick_ms).saturating_add(self.slack_ms);
            let is_behind = overdue_ms > allowed_ms && watermark.watermark.saturating_sub(as_of) > allowed_ms;
            if is_behind {
                behind.push(id);
                most_overdue_ms = overdue_ms.max(most_overdue_ms);
            }
        }
        let took_ms = since((self.stopwatch)(), began_ms);
        let look = match behind.first() {
            None => Look::good(took_ms),
            Some(city) => {
                let (count, all) = (behind.len(), ids.len());
                let error = format!("{count} of {all} cities overdue by two ticks: {city}");
                if count == all { Look::bad(&error) } else { Look::poor(Some(took_ms), &error) }
            }
        };
        Ok(Found { look, hops: None, overdue_ms: u64::try_from(most_overdue_ms).ok() })
    }
}

fn watermark(board: &Board, city: &CityId) -> Option<CityWatermark> {
    let part = board.parts.get(usize::from(part_of(city)))?;
    part.value.city(city).map(|known| known.newest)
}

impl<P: PolicySource, M: MapStore, B: WatermarkBoard> Probe for CityProbe<P, M, B> {
    fn component(&self) -> Component {
        Component::StreamProcessor
    }

    fn look(&self, now_ms: i64) -> BoxFuture<'_, Found> {
        let found = |checked: Result<Found, ProbeError>| {
            checked.unwrap_or_else(|error| Look::bad(&error.to_string()).into())
        };
        self.check(now_ms).map(found).boxed()
    }
}
