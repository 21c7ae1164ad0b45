//! Where the maps of answers come from while riders of the simulated city ask for prices: memory, cache or store.

#![expect(clippy::unwrap_used, reason = "a failed call fails the test")]

use std::time::Duration;

use equilibrium_app::memory::MemoryMaps;
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::price::tier::{Tier, TierHits};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::{Cell, cell_at};
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Published;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, encode_chunk};
use equilibrium_domain::time::Timestamp;
use equilibrium_simulator::city::{City, Settings, policy::policy};
use equilibrium_simulator::rng::SplitMix64;
use h3o::Resolution;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

const START_MS: i64 = 1_772_816_400_000;
const HOUR: Duration = Duration::from_hours(1);

/// A server with maps that answers after some time.
#[derive(Clone, Debug)]
struct Remote {
    maps: MemoryMaps,
    takes: Duration,
}

impl MapStore for Remote {
    async fn save_chunk(&self, city: &CityId, name: ChunkName, chunk: &[u8]) -> Result<(), Unavailable> {
        self.maps.save_chunk(city, name, chunk).await
    }

    async fn save_head(&self, head: &MapHead) -> Result<(), Unavailable> {
        self.maps.save_head(head).await
    }

    async fn head(&self, city: &CityId) -> Result<Option<MapHead>, Unavailable> {
        sleep(self.takes).await;
        self.maps.head(city).await
    }

    async fn chunk(&self, city: &CityId, name: ChunkName) -> Result<Option<Vec<u8>>, Unavailable> {
        sleep(self.takes).await;
        self.maps.chunk(city, name).await
    }
}

/// The times at which riders of the simulated city ask for a price, in milliseconds after the start.
fn requests() -> Vec<u64> {
    let mut events = Vec::new();
    City::new(&Settings::new(7, START_MS), &policy())
        .advance(START_MS + i64::try_from(HOUR.as_millis()).unwrap(), &mut events);
    let lines = events.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| line.starts_with(br#"{"type":"ride_requested""#));
    let times = lines.filter_map(|line| {
        let event: Value = serde_json::from_slice(line).unwrap();
        let time = Timestamp::parse(event["time"].as_str()?.as_bytes())?;
        Some(u64::try_from(time.ms() - START_MS).unwrap())
    });
    times.collect()
}

/// A map each five seconds, a little more than a second after its tick.
async fn publish(began: Instant, city: CityId, remotes: [Remote; 2]) {
    let mut rng = SplitMix64::new(3);
    let cell = cell_at(Position { lat: 40.7128, lng: -74.006 }, Resolution::Eight);
    let parent = Cell(cell.h3().unwrap().parent(Resolution::Five).unwrap().into());
    for tick in 0..HOUR.as_secs() / 5 {
        let lag = Duration::from_millis(2_000 + 1_000 + u64::from(u32::try_from(rng.below(400)).unwrap()));
        sleep_until(began + Duration::from_secs(5 * tick) + lag).await;
        let chunk = ChunkName::new(parent, tick + 1);
        let published = Published::new(100 + u16::try_from(tick % 100).unwrap()).unwrap();
        let rows = encode_chunk(&[Row { product: 0, cell, demand: 1, supply: 1, published }]);
        let head = MapHead {
            city: city.clone(),
            version: tick + 1,
            as_of: START_MS + i64::try_from(5_000 * tick).unwrap(),
            lanes_reported: 4,
            lanes: 4,
            began_ms: 7,
            feed: Feed::Ok,
            resolution: 8,
            products: policy().products.iter().map(|product| product.id.clone()).collect(),
            chunks: vec![chunk],
        };
        for remote in &remotes {
            remote.save_chunk(&city, chunk, &rows).await.unwrap();
            remote.save_head(&head).await.unwrap();
        }
    }
}

/// Instances answer the requests of an hour.
async fn hour(instances: usize) -> TierHits {
    let policy = policy();
    let remote = |ms| Remote { maps: MemoryMaps::default(), takes: Duration::from_millis(ms) };
    let (cache, store) = (remote(1), remote(6));
    let readers: Vec<_> = (0..instances)
        .map(|_| MapReader::new(store.clone(), cache.clone(), tokio::time::sleep as fn(Duration) -> _))
        .collect();
    let began = Instant::now();
    let publisher = tokio::spawn(publish(began, policy.city.clone(), [store.clone(), cache.clone()]));
    let mut rng = SplitMix64::new(1);
    for at_ms in requests().into_iter().filter(|at_ms| *at_ms > 10_000) {
        sleep_until(began + Duration::from_millis(at_ms)).await;
        let reader = &readers[rng.below(instances)];
        let now_ms = START_MS + i64::try_from(began.elapsed().as_millis()).unwrap();
        reader.map(&policy.city, policy.clock, now_ms).await.unwrap();
        reader.finish().await;
    }
    publisher.abort();
    let mut sum = TierHits::default();
    for taken in readers.iter().map(|reader| reader.take_metrics().hits) {
        sum.hits.iter_mut().zip(taken.hits).for_each(|(sum, hits)| *sum += hits);
        sum.misses += taken.misses;
    }
    sum
}

#[tokio::test(start_paused = true)]
async fn memory_answers_999_of_1000_prices_of_the_simulated_city() {
    for instances in [1, 4] {
        let hits = hour(instances).await;
        let in_memory = hits.of(Tier::Memory) * 100_000 / hits.answers();
        println!(
            "{instances} instances, an hour: memory {}, cache {}, store {}, none {}: {}.{:03} % in memory",
            hits.of(Tier::Memory),
            hits.of(Tier::Cache),
            hits.of(Tier::Store),
            hits.misses,
            in_memory / 1_000,
            in_memory % 1_000
        );
        assert!(hits.answers() > 9_000 && in_memory >= 99_900, "{hits:?}");
    }
}
