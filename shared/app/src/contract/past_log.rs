//! The contract of the past of the checkpoint log.

use std::sync::Arc;

use equilibrium_domain::count::sightings::{Contact, Count, Place};
use equilibrium_domain::count::tick_counts::{self, CityCounts, TickCountsWriter};
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::surge::city_pricing::{CityPricing, PricingConfig};

use crate::checkpoint::ports::{CheckpointKey, CheckpointLog, Loaded, PastLog};

const TICK_MS: i64 = 5_000;

/// 2026-11-23T06:40:00Z, a tick, in milliseconds since the epoch.
const FIRST: i64 = 1_795_416_000_000;

/// The ticks of eleven minutes, each of an entry.
const TICKS: i64 = 132;

/// A cell of New York.
const CELL: u64 = 0x0882_a100_d63f_ffff;

/// The contract of [`PastLog`], whose adapter is a checkpoint log.
///
/// # Panics
/// If the adapter breaks it.
pub async fn past_log(log: &(impl CheckpointLog + PastLog)) {
    let city = CityId::new("contract-past").expect("well-formed");
    let key = CheckpointKey::City(city.clone());
    assert_eq!(log.load_past(&key, FIRST).await, Ok(None), "an empty log has no past");
    write(log, &key, &city).await;

    let mut most = 0;
    for tick in 0..TICKS {
        let at = FIRST + tick * TICK_MS;
        let loaded = log.load_past(&key, at).await.expect("the past is read").expect("it is kept");
        most = most.max(loaded.entries.len());
        let (before, after) = replayed(&city, &loaded);
        assert!(before.is_none_or(|before| before < at), "tick {tick}: a state from before the tick");
        assert!(after.is_some_and(|after| after >= at), "tick {tick}: the entries through the tick");
    }
    assert!(most < 80, "a part of the log, not all of it: {most} entries");
    let newest = log.load_past(&key, i64::MAX).await.expect("the past is read").expect("it is kept");
    let (before, after) = replayed(&city, &newest);
    assert!(before.is_some(), "the newest part begins with a snapshot");
    assert_eq!(after, Some(FIRST + (TICKS - 1) * TICK_MS), "and ends with the log");
    let oldest = log.load_past(&key, 0).await.expect("the past is read").expect("it is kept");
    assert_eq!((oldest.first, oldest.snapshot), (0, None), "of a time before the log, its beginning");
}

/// The newest closed tick at the beginning and at the end of a part of the log.
fn replayed(city: &CityId, loaded: &Loaded) -> (Option<i64>, Option<i64>) {
    let snapshot = loaded.snapshot.as_ref();
    let mut state = snapshot.map(|snapshot| CityPricing::restore(city, snapshot).expect("a snapshot"));
    let before = state.as_ref().and_then(CityPricing::as_of);
    for (number, entry) in (loaded.first..).zip(&loaded.entries) {
        state = Some(CityPricing::replay(state, city, number, entry).expect("an entry of the log"));
    }
    (before, state.and_then(|state| state.as_of()))
}

async fn write(log: &impl CheckpointLog, key: &CheckpointKey, city: &CityId) {
    let config = PricingConfig { policy: Policy::open_city(city), policy_version: 0, max_hold_ms: 10_000 };
    let products = config.policy.products.iter().map(|product| product.id.clone()).collect::<Vec<_>>();
    let mut state = CityPricing::new(city.clone(), Arc::new(config));
    for tick in 0..TICKS {
        let at = FIRST + tick * TICK_MS;
        state.begin_batch(at);
        let mut ticks = TickCountsWriter::default();
        let entities = u32::try_from(tick % 9 + 1).expect("few");
        let drivers = [Count { place: Place { cell: CELL, products: 1 }, entities }];
        ticks.add_tick(at, TICK_MS, Contact::default(), drivers.into_iter(), [].into_iter());
        let section = CityCounts { city: city.clone(), products: products.clone().into(), ticks };
        for record in tick_counts::records(LaneId(0), LaneCount::ONE, vec![section]) {
            let opened = tick_counts::open(&record).expect("a record of counts");
            let lane = (opened.lane, opened.lanes);
            state.absorb(lane, &opened.cities[0], at).expect("counts of a lane");
        }
        let entry = state.seal_entry(Sequence::from(tick.unsigned_abs() + 1).borrowed());
        log.append(key, &entry).await.expect("an entry is appended");
        if let Some(snapshot) = &entry.snapshot {
            log.save_snapshot(key, entry.number, snapshot).await.expect("a snapshot is saved");
        }
    }
}
