//! Pricing: a batch of the counts stream becomes, city by city, checkpoint entries, surge maps and changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_domain::count::tick_counts::{self, CityCountsRef};
use equilibrium_domain::event::record_batch::{RecordBatch, RecordRef};
use equilibrium_domain::event::sequence::SequenceRef;
use equilibrium_domain::id::{CityId, LaneCount, LaneId, ProductId};
use equilibrium_domain::parking::{self, ParkedRecord};
use equilibrium_domain::surge::city_pricing::{CityPricing, Output};
use equilibrium_domain::surge::history::{self, HistoryTick};
use equilibrium_domain::surge::map::{ClosedTick, MapHead, TickChanges};
use futures_util::future::{join, join_all};

use crate::checkpoint::ports::{CheckpointKey, CheckpointLog};
use crate::checkpoint::process::{BatchKind, BatchOutcome, Checkpoints, LogBatch, ProcessFailure};
use crate::history::days::DayKeeper;
use crate::history::ports::HistoryStore;
use crate::history::recorder::Recorder;
use crate::laws::ports::DayStore;
use crate::policy::policy_set::{CityConfig, PolicySet};
use crate::policy::ports::PolicySource;
use crate::price::ports::MapStore;
use crate::surge::freezes::SavedFreezes;
use crate::surge::metrics::SurgeMetrics;
use crate::surge::ports::{ChangeStream, TickLog};
use crate::unavailable::{SendError, Unavailable};

/// The sinks of pricing.
#[derive(Debug)]
pub struct SurgeSinks<M, K, H, T> {
    /// The maps, the histories and the figures of days.
    pub maps: M,
    /// The cache of the maps.
    pub cache: K,
    /// Changed multipliers.
    pub changes: H,
    /// Closed ticks.
    pub ticks: T,
}

/// Prices the cities whose counts an instance is handed.
#[derive(Debug)]
pub struct CityProcessor<C, M, K, H, T> {
    checkpoints: Checkpoints<C, CityPricing>,
    sinks: SurgeSinks<M, K, H, T>,
    kept: Kept,
}

/// What an instance has saved beside the maps.
#[derive(Debug, Default)]
struct Kept {
    freezes: SavedFreezes,
    days: DayKeeper,
    recorder: Recorder,
}

/// One city's counts in a record.
struct CityRecord<'a> {
    record: RecordRef<'a>,
    /// The lane that counted, and the number of lanes then.
    lane: (LaneId, LaneCount),
    counts: CityCountsRef<'a>,
}

impl<C, M, K, H, T> CityProcessor<C, M, K, H, T>
where
    C: CheckpointLog,
    M: MapStore + HistoryStore + DayStore,
    K: MapStore,
    H: ChangeStream,
    T: TickLog,
{
    /// A processor without a city in memory.
    pub fn new(log: C, sinks: SurgeSinks<M, K, H, T>) -> Self {
        let kept = Kept::default();
        Self { checkpoints: Checkpoints::new(log), sinks, kept }
    }

    /// Whether this instance has given a log up, because another one has raised its epoch.
    pub fn is_fenced(&self) -> bool {
        self.checkpoints.is_fenced()
    }

    /// The log of closed ticks.
    pub fn ticks(&self) -> &T {
        &self.sinks.ticks
    }

    /// Processes a batch of one shard at `now_ms`, in milliseconds since the epoch. Cities fail alone: what other
    /// cities were priced at stays.
    ///
    /// # Errors
    /// [`Unavailable`] where there are no policies to price by.
    pub async fn process(
        &self,
        batch: &RecordBatch<'_>,
        policies: &impl PolicySource,
        now_ms: i64,
    ) -> Result<BatchOutcome<SurgeMetrics>, Unavailable> {
        let source = policies;
        let mut policies = source.policies(now_ms).await?;
        let mut metrics = SurgeMetrics::default();
        let cities = by_city(batch, &mut metrics);
        // A lane may have counted by a policy that this instance has not read yet.
        let mut are_newest = false;
        if cities.iter().any(|(city, records)| lacks_policy(&policies, city, records))
            && let Some(newest) = source.newest(now_ms).await
        {
            (policies, are_newest) = (newest, true);
        }
        let processed = cities.into_iter().map(|(city, records)| {
            let policies = &policies;
            async move {
                let first = records[0].record.sequence.to_owned();
                if !are_newest && lacks_policy(policies, &city, &records) {
                    return (first, (SurgeMetrics::default(), Some(ProcessFailure::NotAppended)));
                }
                (first, self.process_city(city, &records, policies, now_ms).await)
            }
        });
        let mut failed = Vec::new();
        for (first, (city, failure)) in join_all(processed).await {
            metrics.add(city);
            failed.extend(failure.map(|_| first));
        }
        Ok(BatchOutcome { failed, metrics })
    }

    async fn process_city(
        &self,
        city: CityId,
        records: &[CityRecord<'_>],
        policies: &PolicySet,
        now_ms: i64,
    ) -> (SurgeMetrics, Option<ProcessFailure>) {
        let Some(config) = policies.city(city.as_str()) else {
            let unknown_city = records.len() as u64;
            return (SurgeMetrics { unknown_city, ..SurgeMetrics::default() }, None);
        };
        let key = CheckpointKey::City(city.clone());
        let (sinks, kept) = (&self.sinks, &self.kept);
        let batch = CityBatch { sinks, city: &city, records, config: &config, kept };
        let delivered = (&batch, BatchKind::Delivered);
        let (mut metrics, failure, waiting) = self.process_records(&key, delivered, now_ms).await;
        if waiting.is_empty() {
            return (metrics, failure);
        }
        for waiting in waiting {
            let parked = parking::record_batch(&waiting);
            let Some(records) = by_city(&parked, &mut metrics).remove(&city) else { continue };
            let parked = CityBatch { records: &records, ..batch };
            let (resumed, failure, _) =
                self.process_records(&key, (&parked, BatchKind::Parked), now_ms).await;
            metrics.add(resumed);
            if failure.is_some() {
                return (metrics, failure);
            }
        }
        if self.checkpoints.resumed(&key).await.is_err() {
            return (metrics, Some(ProcessFailure::NotAppended));
        }
        let (delivered, failure, _) = self.process_records(&key, (&batch, BatchKind::Parked), now_ms).await;
        metrics.add(delivered);
        (metrics, failure)
    }

    async fn process_records(
        &self,
        key: &CheckpointKey,
        batch: (&CityBatch<'_, M, K, H, T>, BatchKind),
        now_ms: i64,
    ) -> (SurgeMetrics, Option<ProcessFailure>, Vec<Vec<ParkedRecord>>) {
        let processed = self.checkpoints.process(key, batch, now_ms).await;
        let mut metrics = processed.outcome;
        metrics.checkpoint.add(processed.metrics);
        (metrics, processed.failure, processed.waiting)
    }
}

fn by_city<'a>(
    batch: &'a RecordBatch<'_>,
    metrics: &mut SurgeMetrics,
) -> BTreeMap<CityId, Vec<CityRecord<'a>>> {
    let mut cities: BTreeMap<CityId, Vec<CityRecord<'_>>> = BTreeMap::new();
    for record in batch.iter() {
        let Ok(opened) = tick_counts::open(record.data) else {
            metrics.malformed += 1;
            continue;
        };
        let lane = (opened.lane, opened.lanes);
        for counts in opened.cities {
            let city = counts.city.clone();
            cities.entry(city).or_default().push(CityRecord { record, lane, counts });
        }
    }
    cities
}

/// Whether the policies lack the city, or a product of its counts.
fn lacks_policy(policies: &PolicySet, city: &CityId, records: &[CityRecord<'_>]) -> bool {
    policies.city(city.as_str()).is_none_or(|config| {
        let known = &config.pricing.policy.products;
        let is_unknown = |id: &ProductId| known.iter().all(|product| product.id != *id);
        records.iter().any(|record| record.counts.products.iter().any(is_unknown))
    })
}

/// The counts of one city.
struct CityBatch<'a, M, K, H, T> {
    sinks: &'a SurgeSinks<M, K, H, T>,
    city: &'a CityId,
    records: &'a [CityRecord<'a>],
    config: &'a CityConfig,
    kept: &'a Kept,
}

impl<'r, M: MapStore + HistoryStore + DayStore, K: MapStore, H: ChangeStream, T: TickLog> LogBatch
    for CityBatch<'r, M, K, H, T>
{
    type State = CityPricing;
    type Record = CityRecord<'r>;
    type Outcome = SurgeMetrics;

    fn identity(&self) -> &CityId {
        self.city
    }

    fn initial_state(&self) -> CityPricing {
        CityPricing::new(self.city.clone(), Arc::clone(&self.config.pricing))
    }

    /// The map has outlived the log: its store takes no version but a higher one.
    async fn state_without_log(&self) -> Result<CityPricing, Unavailable> {
        let Some(map) = self.sinks.maps.head(self.city).await? else { return Ok(self.initial_state()) };
        Ok(CityPricing::continuing(self.city.clone(), Arc::clone(&self.config.pricing), &map))
    }

    fn records(&self) -> &[CityRecord<'r>] {
        self.records
    }

    fn sequence<'a>(&self, record: &'a CityRecord<'r>) -> SequenceRef<'a> {
        record.record.sequence
    }

    fn arrival_ms(&self, record: &CityRecord<'r>) -> i64 {
        record.record.arrival_ms
    }

    fn parked(&self) -> Vec<u8> {
        parking::encode_records(self.records.iter().map(|record| record.record))
    }

    fn already_processed(&self, city: &CityPricing, record: &CityRecord<'r>) -> bool {
        city.already_processed(record.record.sequence)
    }

    fn absorb(&self, city: &mut CityPricing, records: &[&CityRecord<'r>], metrics: &mut SurgeMetrics) {
        city.apply_config(&self.config.pricing);
        for CityRecord { record, lane, counts } in records {
            if city.absorb(*lane, counts, record.arrival_ms).is_err() {
                metrics.malformed += 1;
            }
        }
    }

    /// Saves the maps of freezes before the map after them, chunks before the head that names them, the store's head before
    /// the cache's, and sends the changes last. The cache takes the chunks meanwhile, so that the copy of a map is complete a moment after the map is. A copy that
    /// fails is counted; readers take from the store what the cache lacks.
    async fn deliver(&self, output: Output, metrics: &mut SurgeMetrics) -> Result<(), Unavailable> {
        let SurgeSinks { maps, cache, .. } = self.sinks;
        let (kept, bounds) = (self.kept, &self.config.bounds);
        kept.freezes.save(maps, &output, &bounds.freezes()).await?;
        let save = async {
            save_chunks(maps, &output).await?;
            maps.save_head(&output.map).await
        };
        let (saved, copied) = join(save, save_chunks(cache, &output)).await;
        saved?;
        if copied.is_err() || cache.save_head(&output.map).await.is_err() {
            metrics.cache_write_failures += 1;
        }
        kept.days.keep(maps, &output, bounds).await?;
        save_history(maps, &output, &kept.recorder.changed_ticks(maps, &output, bounds).await?).await?;
        self.sinks.ticks.record(&output.map, &output.ticks).await?;
        for tick in output.ticks.iter().filter(|tick| !tick.changes.is_empty()) {
            for record in changes(&output.map, tick) {
                let sent = self.sinks.changes.send(&output.map.city, record).await;
                SendError::count_too_large(sent, &mut metrics.too_large)?;
            }
        }
        metrics.count(&output);
        Ok(())
    }
}

async fn save_chunks(maps: &impl MapStore, output: &Output) -> Result<(), Unavailable> {
    let city = &output.map.city;
    let saves = output.chunks.iter().map(|(name, chunk)| maps.save_chunk(city, *name, chunk));
    join_all(saves).await.into_iter().collect()
}

/// Keeps what changed for the history: an item under the key of its ticks, which is the same when it is delivered again.
async fn save_history(
    histories: &impl HistoryStore,
    Output { map, .. }: &Output,
    ticks: &[HistoryTick],
) -> Result<(), Unavailable> {
    let items = history::items(map, ticks);
    let saves = items.iter().map(|(key, item)| histories.save_history(&map.city, *key, item));
    join_all(saves).await.into_iter().collect()
}

/// The records of the changes of a tick.
fn changes(map: &MapHead, tick: &ClosedTick) -> Vec<Vec<u8>> {
    let ClosedTick { at, version, ref changes, .. } = *tick;
    let (city, products) = (map.city.clone(), map.products.clone());
    TickChanges { city, at, version, products, changes: changes.clone() }.records()
}
