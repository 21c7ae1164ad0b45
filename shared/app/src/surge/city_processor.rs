//! Prices the cities: the walk of a batch from the counts to the maps (HOUSE, "surge").

use std::collections::BTreeMap;

use equilibrium_domain::count::tick_counts::{self, CityCountsRef};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::city_pricing::{CityPricing, Output};
use equilibrium_domain::surge::map::{ClosedTick, MapHead, TickChanges};
use futures_util::future::join_all;

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::checkpoint::state_cache::{BatchOutcome, CachedState, StateCache};
use crate::policy::policy_set::PolicySet;
use crate::surge::metrics::SurgeMetrics;
use crate::surge::ports::{ChangeStream, MapStore, TickLog};
use crate::unavailable::Unavailable;
use equilibrium_domain::event::record_batch::{RecordBatch, RecordRef};

/// Where a pricer keeps and sends what it makes.
#[derive(Clone, Debug)]
pub struct SurgeSinks<C, M, K, H, T> {
    /// The cities' checkpoint logs.
    pub checkpoints: C,
    /// The maps' truth.
    pub maps: M,
    /// Their copy, near the readers.
    pub cache: K,
    /// Changed multipliers.
    pub changes: H,
    /// Closed ticks.
    pub ticks: T,
}

/// Prices the cities whose counts it is handed.
#[derive(Debug)]
pub struct CityProcessor<C, M, K, H, T> {
    lanes: LaneCount,
    outlets: SurgeSinks<C, M, K, H, T>,
    states: StateCache<CityId, CityPricing>,
}

/// One city's part of a record.
struct CityRecord<'a> {
    record: RecordRef<'a>,
    lane: LaneId,
    section: CityCountsRef<'a>,
}

impl<C, M, K, H, T> CityProcessor<C, M, K, H, T>
where
    C: CheckpointLog,
    M: MapStore,
    K: MapStore,
    H: ChangeStream,
    T: TickLog,
{
    /// A pricer that remembers nothing yet.
    pub fn new(lanes: LaneCount, outlets: SurgeSinks<C, M, K, H, T>) -> Self {
        Self { lanes, outlets, states: StateCache::default() }
    }

    /// Where closed ticks go.
    pub fn ticks(&self) -> &T {
        &self.outlets.ticks
    }

    /// Takes in a batch of one shard. Cities fail alone: what others were priced at is kept.
    pub async fn price(
        &self,
        batch: &RecordBatch<'_>,
        book: &PolicySet,
        now: i64,
    ) -> BatchOutcome<SurgeMetrics> {
        let mut tally = SurgeMetrics::default();
        let mut cities: BTreeMap<CityId, Vec<CityRecord<'_>>> = BTreeMap::new();
        for record in batch.iter() {
            let Ok(counts) = tick_counts::open(record.data, self.lanes) else {
                tally.malformed += 1;
                continue;
            };
            for section in counts.cities {
                let part = CityRecord { record, lane: counts.lane, section };
                cities.entry(part.section.city.clone()).or_default().push(part);
            }
        }
        let runs = cities.into_iter().map(|(city, parts)| async move {
            let run = self.run_city(&city, &parts, book, now).await;
            (parts[0].record.sequence, run)
        });
        let mut failed = Vec::new();
        for (first, (run, outcome)) in join_all(runs).await {
            tally.add(run);
            if outcome.is_err() {
                failed.push(first.to_owned());
            }
        }
        BatchOutcome { failed, metrics: tally }
    }

    async fn run_city(
        &self,
        city: &CityId,
        parts: &[CityRecord<'_>],
        book: &PolicySet,
        now: i64,
    ) -> (SurgeMetrics, Result<(), Unavailable>) {
        let mut append_conflicts = 0;
        loop {
            let mut tally = SurgeMetrics { append_conflicts: append_conflicts, ..SurgeMetrics::default() };
            let Some(book) = book.city(city.as_str()) else {
                tally.unknown_city = parts.len() as u64;
                return (tally, Ok(()));
            };
            let mut held = match self.hold(city, &book, now, &mut tally).await {
                Ok(held) => held,
                Err(unavailable) => return (tally, Err(unavailable)),
            };
            if held.has_pending_output
                && let Err(unavailable) = self.deliver(&mut held, &mut tally).await
            {
                return (tally, Err(unavailable));
            }
            if held.is_snapshot_due(now) {
                held.state.request_snapshot();
            }
            let market = &mut held.state;
            let new = parts.iter().filter(|part| !market.already_processed(part.record.sequence));
            let new: Vec<&CityRecord<'_>> = new.collect();
            tally.skipped = (parts.len() - new.len()) as u64;
            let Some(last) = new.last() else {
                self.states.put_back(city.clone(), held);
                return (tally, Ok(()));
            };
            let snapshot = market.begin_batch();
            market.apply_config(&book.pricing);
            for part in &new {
                if market.absorb(part.lane, &part.section, part.record.arrival_ms).is_err() {
                    tally.malformed += 1;
                }
            }
            let entry = market.seal_entry(snapshot.as_deref(), last.record.sequence);
            let number = market.next_entry() - 1;
            let name = CheckpointKey::City(city.clone());
            match self.outlets.checkpoints.append(&name, number, &entry, snapshot.is_some()).await {
                Ok(()) => {}
                // What is in memory is not what is stored: it is dropped, and loaded anew.
                Err(AppendError::Conflict) => {
                    append_conflicts += 1;
                    continue;
                }
                Err(AppendError::Unavailable(unavailable)) => return (tally, Err(unavailable)),
            }
            held.entry_appended(now, snapshot.is_some());
            if let Err(unavailable) = self.deliver(&mut held, &mut tally).await {
                return (tally, Err(unavailable));
            }
            self.states.put_back(city.clone(), held);
            return (tally, Ok(()));
        }
    }

    /// The market from memory, or from its log; of that nobody knows whether all it owes was delivered.
    async fn hold(
        &self,
        city: &CityId,
        book: &crate::policy::policy_set::CityConfig,
        now: i64,
        tally: &mut SurgeMetrics,
    ) -> Result<CachedState<CityPricing>, Unavailable> {
        if let Some(held) = self.states.take(city, now) {
            return Ok(held);
        }
        let entries = self.outlets.checkpoints.load(&CheckpointKey::City(city.clone())).await?;
        match CityPricing::load(city, self.lanes, entries.iter().map(Vec::as_slice)) {
            Ok(Some(market)) => Ok(CachedState::loaded(market, now)),
            Ok(None) => {
                let market = CityPricing::new(city.clone(), self.lanes, book.pricing.clone());
                Ok(CachedState::loaded(market, now))
            }
            Err(corrupt) => {
                tally.corrupt.push((city.clone(), corrupt));
                Err(Unavailable)
            }
        }
    }

    /// Saves and sends what the newest entry owes: the truth before its copy, the head behind its
    /// chunks. A copy that fails is counted; readers take from the truth what it lacks.
    async fn deliver(
        &self,
        held: &mut CachedState<CityPricing>,
        tally: &mut SurgeMetrics,
    ) -> Result<(), Unavailable> {
        if let Some(output) = held.state.take_output() {
            save(&self.outlets.maps, &output).await?;
            if save(&self.outlets.cache, &output).await.is_err() {
                tally.cache_write_failures += 1;
            }
            self.outlets.ticks.record(&output.map, &output.ticks).await?;
            for tick in output.ticks.iter().filter(|tick| !tick.changes.is_empty()) {
                self.outlets.changes.send(&output.map.city, changes(&output.map, tick)).await?;
            }
            tally.count(&output);
        }
        held.has_pending_output = false;
        Ok(())
    }
}

async fn save(maps: &impl MapStore, output: &Output) -> Result<(), Unavailable> {
    let city = &output.map.city;
    let chunks = output.chunks.iter();
    let saves = chunks.map(|(parent, version, chunk)| maps.save_chunk(city, *parent, *version, chunk));
    join_all(saves).await.into_iter().collect::<Result<(), _>>()?;
    maps.save_head(&output.map).await
}

fn changes(map: &MapHead, tick: &ClosedTick) -> Vec<u8> {
    let ClosedTick { at, version, changes, .. } = tick.clone();
    let (city, products) = (map.city.clone(), map.products.clone());
    TickChanges { city, at, version, products, changes }.encode()
}
