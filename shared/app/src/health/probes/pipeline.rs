//! A rider and a driver in the city of probes, followed through ingest, count, surge, the map and the price.

use std::time::Duration;

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::look::Look;
use equilibrium_domain::health::probe::{PLACE, ProbeEvents, policy};
use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::map::{MapHead, decode_chunk};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::Deserialize;

use super::{ProbeError, call, prices, read, since};
use crate::checkpoint::ports::{CheckpointKey, CheckpointLog};
use crate::health::metrics::{HOPS, Hops};
use crate::health::ports::{Api, ApiRequest};
use crate::health::prober::{Found, Probe, Stopwatch};
use crate::price::ports::MapStore;
use crate::timer::{Timer, with_timeout};

/// How long the pipeline may take: less than a look waits, so that the hop that stopped is named.
const PIPELINE_TIMEOUT: Duration = Duration::from_millis(4_800);

/// The first pause before what is waited for is read again. Each is half as long again, so that a second of waiting costs
/// five reads.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

const INGEST: usize = 0;
const COUNT: usize = 1;
const SURGE: usize = 2;
const MAP: usize = 3;
const PRICE: usize = 4;

/// A probe of the whole pipeline.
#[derive(Clone, Debug)]
pub struct PipelineProbe<A, L, M, T> {
    /// The functions.
    pub api: A,
    /// The checkpoint logs: an entry of the city's log shows that its lanes' counts have arrived.
    pub logs: L,
    /// The maps in their store.
    pub maps: M,
    /// Waits.
    pub timer: T,
    /// The time.
    pub stopwatch: Stopwatch,
}

#[derive(Debug, Deserialize)]
struct Receipt {
    accepted: u64,
}

impl<A: Api, L: CheckpointLog, M: MapStore, T: Timer> PipelineProbe<A, L, M, T> {
    /// Posts the events of a look at `now_ms` and follows them; `hops` is filled on the way.
    async fn follow(&self, now_ms: i64, hops: &Mutex<Hops>) -> Result<(), ProbeError> {
        let key = CheckpointKey::City(CityId::probe());
        let ProbeEvents { tick, body } = ProbeEvents::at(now_ms);
        let lines = body.lines().count() as u64;
        let log = self.logs.load(&key, None).await.map_err(ProbeError::unavailable(HOPS[COUNT]))?;
        let next = log.next();

        let began_ms = (self.stopwatch)();
        let reached = |hop: usize| hops.lock()[hop] = Some(since((self.stopwatch)(), began_ms));
        let request = ApiRequest::post("ingest", "/v1/events".to_owned(), "application/x-ndjson", body);
        let answer = call(&self.api, (HOPS[INGEST], 202), request).await?;
        let Receipt { accepted } = read(HOPS[INGEST], &answer)?;
        if accepted != lines {
            return Err(ProbeError::Wrong {
                target: HOPS[INGEST],
                fact: "an event of the probe was refused",
            });
        }
        reached(INGEST);

        let mut head = self.head().await?.filter(|head| head.as_of >= tick);
        let mut pause = FIRST_PAUSE;
        while head.is_none() {
            let loaded =
                self.logs.load(&key, Some(next)).await.map_err(ProbeError::unavailable(HOPS[COUNT]))?;
            if loaded.next() > next && hops.lock()[COUNT].is_none() {
                reached(COUNT);
            }
            self.timer.sleep(pause).await;
            pause = pause * 3 / 2;
            head = self.head().await?.filter(|head| head.as_of >= tick);
        }
        if hops.lock()[COUNT].is_none() {
            reached(COUNT);
        }
        reached(SURGE);
        if let Some(head) = head {
            self.check_map(&head).await?;
        }
        reached(MAP);

        let began_ms = (self.stopwatch)();
        let mut price = prices::price(&self.api).await?;
        let took_ms = since((self.stopwatch)(), began_ms);
        // The first map of a city is looked for at an interval of its own.
        while !matches!(price.mode.as_str(), "fresh" | "cached") {
            self.timer.sleep(pause).await;
            price = prices::price(&self.api).await?;
        }
        hops.lock()[PRICE] = Some(took_ms);
        Ok(())
    }

    async fn head(&self) -> Result<Option<MapHead>, ProbeError> {
        self.maps.head(&CityId::probe()).await.map_err(ProbeError::unavailable(HOPS[SURGE]))
    }

    /// Whether the map has the rider and the driver. A newer map may have replaced its chunks meanwhile.
    async fn check_map(&self, head: &MapHead) -> Result<(), ProbeError> {
        let place = policy().cell_at(PLACE);
        for name in &head.chunks {
            let chunk =
                self.maps.chunk(&head.city, *name).await.map_err(ProbeError::unavailable(HOPS[MAP]))?;
            let Some(chunk) = chunk else { continue };
            let rows = decode_chunk(&chunk).map_err(|_| ProbeError::Unreadable { target: HOPS[MAP] })?;
            if rows.iter().any(|row| row.cell == place && row.demand > 0 && row.supply > 0) {
                return Ok(());
            }
        }
        Err(ProbeError::Wrong { target: HOPS[MAP], fact: "rider and driver are not in it" })
    }
}

impl<A, L, M, T> Probe for PipelineProbe<A, L, M, T>
where
    A: Api,
    L: CheckpointLog,
    M: MapStore,
    T: Timer,
{
    fn component(&self) -> Component {
        Component::StreamProcessor
    }

    fn look(&self, now_ms: i64) -> BoxFuture<'_, Found> {
        async move {
            let hops = Mutex::new(Hops::default());
            let followed = with_timeout(&self.timer, PIPELINE_TIMEOUT, self.follow(now_ms, &hops)).await;
            let hops = hops.into_inner();
            let look = match followed {
                Some(Ok(())) => Look::good(hops[MAP].unwrap_or(0)),
                Some(Err(error)) => Look::bad(&error.to_string()),
                None => {
                    let stopped = hops.iter().position(Option::is_none).map_or(HOPS[PRICE], |hop| HOPS[hop]);
                    Look::bad(&format!("{stopped}: not reached within {} ms", PIPELINE_TIMEOUT.as_millis()))
                }
            };
            Found { look, hops: Some(hops), overdue_ms: None }
        }
        .boxed()
    }
}
