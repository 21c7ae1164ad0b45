//! Pricing: a batch of the counts stream becomes, city by city, checkpoint entries, surge maps and changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_domain::count::tick_counts::{self, CityCountsRef};
use equilibrium_domain::event::record_batch::{RecordBatch, RecordRef};
use equilibrium_domain::event::sequence::SequenceRef;
use equilibrium_domain::id::{CityId, LaneCount, LaneId, ProductId};
use equilibrium_domain::surge::city_pricing::{CityIdentity, CityPricing, Output, PricingConfig};
use equilibrium_domain::surge::map::{ClosedTick, MapHead, TickChanges};
use futures_util::future::{join, join_all};

use crate::checkpoint::ports::{CheckpointKey, CheckpointLog};
use crate::checkpoint::process::{BatchOutcome, Checkpoints, LogBatch, ProcessFailure};
use crate::policy::policy_set::PolicySet;
use crate::policy::ports::PolicySource;
use crate::surge::metrics::SurgeMetrics;
use crate::surge::ports::{ChangeStream, MapStore, TickLog};
use crate::unavailable::Unavailable;

/// The sinks of pricing.
#[derive(Debug)]
pub struct SurgeSinks<M, K, H, T> {
    /// The maps.
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
    lanes: LaneCount,
    checkpoints: Checkpoints<C, CityPricing>,
    sinks: SurgeSinks<M, K, H, T>,
}

/// One city's counts in a record.
struct CityRecord<'a> {
    record: RecordRef<'a>,
    lane: LaneId,
    counts: CityCountsRef<'a>,
}

impl<C, M, K, H, T> CityProcessor<C, M, K, H, T>
where
    C: CheckpointLog,
    M: MapStore,
    K: MapStore,
    H: ChangeStream,
    T: TickLog,
{
    /// A processor without a city in memory.
    pub fn new(lanes: LaneCount, log: C, sinks: SurgeSinks<M, K, H, T>) -> Self {
        Self { lanes, checkpoints: Checkpoints::new(log), sinks }
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
        let cities = self.by_city(batch, &mut metrics);
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

    fn by_city<'a>(
        &self,
        batch: &'a RecordBatch<'_>,
        metrics: &mut SurgeMetrics,
    ) -> BTreeMap<CityId, Vec<CityRecord<'a>>> {
        let mut cities: BTreeMap<CityId, Vec<CityRecord<'_>>> = BTreeMap::new();
        for record in batch.iter() {
            let Ok(opened) = tick_counts::open(record.data, self.lanes) else {
                metrics.malformed += 1;
                continue;
            };
            for counts in opened.cities {
                let city = counts.city.clone();
                cities.entry(city).or_default().push(CityRecord { record, lane: opened.lane, counts });
            }
        }
        cities
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
        let identity = CityIdentity { city, lanes: self.lanes };
        let batch = CityBatch { sinks: &self.sinks, identity, records, config: &config.pricing };
        let processed = self.checkpoints.process(&key, &batch, now_ms).await;
        let mut metrics = processed.outcome;
        metrics.skipped += processed.skipped;
        metrics.append_conflicts += processed.append_conflicts;
        metrics.corrupt.extend(processed.corrupt.map(|corrupt| (batch.identity.city, corrupt)));
        (metrics, processed.failure)
    }
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
    identity: CityIdentity,
    records: &'a [CityRecord<'a>],
    config: &'a Arc<PricingConfig>,
}

impl<'r, M: MapStore, K: MapStore, H: ChangeStream, T: TickLog> LogBatch for CityBatch<'r, M, K, H, T> {
    type State = CityPricing;
    type Record = CityRecord<'r>;
    type Outcome = SurgeMetrics;

    fn identity(&self) -> &CityIdentity {
        &self.identity
    }

    fn initial_state(&self) -> CityPricing {
        CityPricing::new(self.identity.clone(), Arc::clone(self.config))
    }

    fn records(&self) -> &[CityRecord<'r>] {
        self.records
    }

    fn sequence<'a>(&self, record: &'a CityRecord<'r>) -> SequenceRef<'a> {
        record.record.sequence
    }

    fn absorb(&self, city: &mut CityPricing, records: &[&CityRecord<'r>], metrics: &mut SurgeMetrics) {
        city.apply_config(self.config);
        for CityRecord { record, lane, counts } in records {
            if city.absorb(*lane, counts, record.arrival_ms).is_err() {
                metrics.malformed += 1;
            }
        }
    }

    /// Saves chunks before the head that names them, the store's head before the cache's, and sends the changes last. The
    /// cache takes the chunks meanwhile, so that the copy of a map is complete a moment after the map is. A copy that
    /// fails is counted; readers take from the store what the cache lacks.
    async fn deliver(&self, output: Output, metrics: &mut SurgeMetrics) -> Result<(), Unavailable> {
        let SurgeSinks { maps, cache, .. } = self.sinks;
        let save = async {
            save_chunks(maps, &output).await?;
            maps.save_head(&output.map).await
        };
        let (saved, copied) = join(save, save_chunks(cache, &output)).await;
        saved?;
        if copied.is_err() || cache.save_head(&output.map).await.is_err() {
            metrics.cache_write_failures += 1;
        }
        self.sinks.ticks.record(&output.map, &output.ticks).await?;
        for tick in output.ticks.iter().filter(|tick| !tick.changes.is_empty()) {
            self.sinks.changes.send(&output.map.city, changes(&output.map, tick)).await?;
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

fn changes(map: &MapHead, tick: &ClosedTick) -> Vec<u8> {
    let ClosedTick { at, version, changes, .. } = tick.clone();
    let (city, products) = (map.city.clone(), map.products.clone());
    TickChanges { city, at, version, products, changes }.encode()
}
