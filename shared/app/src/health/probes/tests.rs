//! Probes of targets that answer rightly, wrongly, slowly and never.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use equilibrium_domain::event::watermark::{CityWatermark, ReachedTick};
use equilibrium_domain::event::watermark_board::part_of;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::health::look::{Finding, Look};
use equilibrium_domain::health::probe::{PLACE, ProbeEvents, policy};
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::{Policy, Published};
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::{ChunkName, MapHead, Row, encode_chunk};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::cities::CityProbe;
use super::pipeline::PipelineProbe;
use super::places::PlaceProbe;
use super::prices::PriceProbe;
use super::quotes::QuoteProbe;
use crate::checkpoint::ports::{CheckpointKey, CheckpointLog};
use crate::health::ports::{Api, ApiAnswer, ApiRequest};
use crate::health::prober::{Probe, Prober};
use crate::ingest::ports::WatermarkBoard;
use crate::memory::{MemoryCheckpoints, MemoryMaps, MemoryWatermarkBoard};
use crate::policy::policy_set::{PolicySet, ResourceLimits};
use crate::price::ports::MapStore;
use crate::unavailable::Unavailable;

const NOW_MS: i64 = 1_772_427_602_500;

/// What a function answers.
#[derive(Clone, Debug)]
enum Does {
    Answer(u16, String),
    Fail,
    Hang,
}

fn answers(status: u16, body: &serde_json::Value) -> Does {
    Does::Answer(status, body.to_string())
}

/// Functions that answer by the script of each path's beginning; the last answer is repeated. After an event is accepted,
/// `count` and `surge` do what `pipeline` says.
#[derive(Clone, Default)]
struct Functions(Arc<Mutex<Scripts>>, Arc<Mutex<Vec<ApiRequest>>>);

type Scripts = Vec<(&'static str, VecDeque<Does>)>;

impl Functions {
    fn with(self, path: &'static str, script: impl IntoIterator<Item = Does>) -> Self {
        self.0.lock().push((path, script.into_iter().collect()));
        self
    }
}

impl Api for Functions {
    async fn send(&self, request: ApiRequest) -> Result<ApiAnswer, Unavailable> {
        self.1.lock().push(request.clone());
        let does = {
            let mut scripts = self.0.lock();
            let script = scripts.iter_mut().find(|(path, _)| request.path.starts_with(path)).unwrap();
            if script.1.len() > 1 { script.1.pop_front().unwrap() } else { script.1[0].clone() }
        };
        match does {
            Does::Answer(status, body) => Ok(ApiAnswer { status, body: body.into_bytes() }),
            Does::Fail => Err(Unavailable),
            Does::Hang => pending().await,
        }
    }
}

fn stopwatch() -> i64 {
    7
}

async fn look(probe: impl Probe + 'static) -> Look {
    let component = probe.component();
    let findings = Prober::new(vec![Box::new(probe)], sleep).look(NOW_MS).await;
    findings.looks[component.index()].clone().unwrap()
}

fn price() -> Does {
    answers(200, &json!({"city": "_probe", "multiplier": 1.0, "mode": "fresh", "age_ms": 1_500}))
}

#[tokio::test(start_paused = true)]
async fn a_price_that_is_wrong_garbage_or_missing_is_a_bad_look() {
    let wrong = |body: serde_json::Value| answers(200, &body);
    for (does, error) in [
        (price(), None),
        (wrong(json!({"city": "_probe", "multiplier": 1.0, "mode": "degraded", "age_ms": null})), None),
        (answers(503, &json!({})), Some("price: status 503 instead of 200")),
        (Does::Answer(200, "<html>".into()), Some("price: unreadable answer")),
        (wrong(json!({"city": "_probe"})), Some("price: unreadable answer")),
        (
            wrong(json!({"city": "nyc", "multiplier": 1.0, "mode": "fresh", "age_ms": 0})),
            Some("price: the price of another city"),
        ),
        (
            wrong(json!({"city": "_probe", "multiplier": -1.0, "mode": "fresh", "age_ms": 0})),
            Some("price: an impossible multiplier"),
        ),
        (
            wrong(json!({"city": "_probe", "multiplier": 1.0, "mode": "fresh", "age_ms": -5})),
            Some("price: a negative age"),
        ),
        (Does::Fail, Some("price: no answer")),
        (Does::Hang, Some("no answer within 5000 ms")),
    ] {
        let api = Functions::default().with("/v1/price", [does.clone()]);
        let look = look(PriceProbe { api, stopwatch }).await;
        let expected = error.map_or(Look::good(0), Look::bad);
        assert_eq!(look, expected, "{does:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quote_is_issued_and_its_altered_token_is_refused() {
    let issued = || answers(201, &json!({"quote_id": "k1.abcd.efghijkl"}));
    for (script, error) in [
        (vec![issued(), answers(404, &json!({}))], None),
        (
            vec![issued(), answers(200, &json!({}))],
            Some("confirmation of a wrong token: status 200 instead of 404"),
        ),
        (vec![answers(201, &json!({"quote_id": "no-token"}))], Some("quote: unreadable answer")),
        (vec![Does::Fail], Some("quote: no answer")),
    ] {
        let api = Functions::default().with("/v1/quotes", script);
        let look = look(QuoteProbe { api: api.clone(), stopwatch }).await;
        assert_eq!(look, error.map_or(Look::good(0), Look::bad));
        let sent = api.1.lock();
        assert_eq!((sent[0].function, sent[0].path.as_str()), ("quote", "/v1/quotes"));
        if let Some(confirmation) = sent.get(1) {
            assert_eq!(confirmation.path, "/v1/quotes/k1.abcd.efghAjkl/confirm");
        }
    }
}

fn policies(cities: &[&str]) -> Arc<PolicySet> {
    let named = |city: &&str| Policy { city: CityId::new(city).unwrap(), ..policy() };
    Arc::new(PolicySet::of(cities.iter().map(named).collect(), ResourceLimits::default()))
}

#[tokio::test(start_paused = true)]
async fn a_point_of_one_city_has_a_price_at_each_look() {
    let policies = policies(&["lima", "oslo"]);
    // Both have the same boundary, in which the first by id has every place.
    for (answered, error) in
        [("lima", None), ("oslo", Some("price at a point of a city: the price of another city"))]
    {
        let api = Functions::default().with("/v1/price", [answers(200, &json!({"city": answered}))]);
        let look = look(PlaceProbe { api, policies: Arc::clone(&policies), stopwatch }).await;
        assert_eq!(look, error.map_or(Look::good(0), Look::bad));
    }
    let api = Functions::default();
    assert_eq!(look(PlaceProbe { api, policies: self::policies(&[]), stopwatch }).await, Look::good(0));
}

fn head(city: CityId, as_of: i64, chunks: Vec<ChunkName>) -> MapHead {
    let product = policy().products[0].id.clone();
    MapHead {
        city,
        began_ms: 1,
        version: u64::try_from(as_of / 5_000).unwrap(),
        as_of,
        lanes_reported: 1,
        lanes: 1,
        feed: Feed::Ok,
        resolution: 8,
        products: vec![product],
        chunks,
    }
}

async fn board(watermarks: &[(&str, i64)]) -> MemoryWatermarkBoard {
    let board = MemoryWatermarkBoard::default();
    for (city, watermark) in watermarks {
        let city = CityId::new(city).unwrap();
        let number = part_of(&city);
        let stored = board.read().await.unwrap().parts[usize::from(number)].clone();
        let mut part = stored.value;
        let watermark = CityWatermark { watermark: *watermark, first_tick: 5_000 };
        part.contribute(&city, ReachedTick { watermark, tick: watermark.watermark });
        board.save_part(number, stored.version, &part).await.unwrap();
    }
    board
}

#[tokio::test]
async fn a_city_is_behind_where_its_own_clock_is_past_two_ticks_that_its_map_lacks() {
    let clock_ms = NOW_MS - 2_500;
    for (ages, expected) in [
        ([0, 0], (Finding::Healthy, None)),
        // Nothing arrives in lima: its clock stands, and so does its map.
        ([-1, 0], (Finding::Healthy, None)),
        ([10_000, 0], (Finding::Healthy, None)),
        ([20_000, 0], (Finding::Degraded, Some("1 of 2 cities overdue by two ticks: lima"))),
        ([20_000, 40_000], (Finding::Unhealthy, Some("2 of 2 cities overdue by two ticks: lima"))),
    ] {
        let maps = MemoryMaps::default();
        let mut watermarks = Vec::new();
        for (city, age_ms) in ["lima", "oslo"].into_iter().zip(ages) {
            let as_of = if age_ms < 0 { clock_ms - 3_600_000 } else { clock_ms - age_ms };
            watermarks.push((city, if age_ms < 0 { as_of } else { clock_ms }));
            maps.save_head(&head(CityId::new(city).unwrap(), as_of, Vec::new())).await.unwrap();
        }
        let board = board(&watermarks).await;
        let probe = CityProbe { policies: policies(&["lima", "oslo"]), maps, board, slack_ms: 0, stopwatch };
        let look = look(probe).await;
        assert_eq!((look.finding, look.error.as_deref()), expected, "{ages:?}");
    }
}

/// What becomes of the events of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pipeline {
    Works,
    NothingCounted,
    NothingPriced,
    NoRider,
    NoPrice,
}

/// Runs a look at a pipeline that takes a second for each of its parts.
async fn follow(pipeline: Pipeline) -> (Look, [Option<u64>; 5]) {
    let (logs, maps) = (MemoryCheckpoints::default(), MemoryMaps::default());
    let stale =
        answers(200, &json!({"city": "_probe", "multiplier": 1.0, "mode": "static", "age_ms": 900_000}));
    let api = Functions::default()
        .with("/v1/events", [answers(202, &json!({"accepted": 2, "refused": []}))])
        .with("/v1/price", [if pipeline == Pipeline::NoPrice { stale } else { price() }]);
    let probe = PipelineProbe { api, logs: logs.clone(), maps: maps.clone(), timer: sleep, stopwatch };
    let works = async {
        sleep(Duration::from_secs(1)).await;
        if pipeline == Pipeline::NothingCounted {
            return;
        }
        let key = CheckpointKey::City(CityId::probe());
        logs.append(&key, &Entry::new(0, b"counts".to_vec())).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        if pipeline == Pipeline::NothingPriced {
            return;
        }
        let cell = policy().cell_at(PLACE);
        let name = ChunkName::new(cell, 1);
        let demand = u32::from(pipeline != Pipeline::NoRider);
        let row = Row { product: 0, cell, demand, supply: 1, published: Published::new(100).unwrap() };
        maps.save_chunk(&CityId::probe(), name, &encode_chunk(&[row])).await.unwrap();
        maps.save_head(&head(CityId::probe(), ProbeEvents::at(NOW_MS).tick, vec![name])).await.unwrap();
    };
    let prober = Prober::new(vec![Box::new(probe)], sleep);
    let (findings, ()) = futures_util::future::join(prober.look(NOW_MS), works).await;
    (findings.looks.into_iter().flatten().next().unwrap(), findings.hops)
}

#[tokio::test(start_paused = true)]
async fn the_hop_at_which_an_event_stops_is_named() {
    for (pipeline, error, reached) in [
        (Pipeline::Works, None, 5),
        (Pipeline::NothingCounted, Some("count: not reached within 4800 ms"), 1),
        (Pipeline::NothingPriced, Some("surge: not reached within 4800 ms"), 2),
        (Pipeline::NoRider, Some("map: rider and driver are not in it"), 3),
        (Pipeline::NoPrice, Some("price: not reached within 4800 ms"), 4),
    ] {
        let began = Instant::now();
        let (look, hops) = follow(pipeline).await;
        assert_eq!(look, error.map_or(Look::good(0), Look::bad), "{pipeline:?}");
        assert_eq!(hops.iter().flatten().count(), reached, "{pipeline:?}: {hops:?}");
        assert!(began.elapsed() <= Duration::from_secs(5), "{pipeline:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_ingest_refuses_are_a_bad_look() {
    for (does, error) in [
        (answers(202, &json!({"accepted": 1, "refused": []})), "ingest: an event of the probe was refused"),
        (answers(503, &json!({})), "ingest: status 503 instead of 202"),
        (Does::Answer(202, "ok".into()), "ingest: unreadable answer"),
        (Does::Hang, "ingest: not reached within 4800 ms"),
    ] {
        let api = Functions::default().with("/v1/events", [does]);
        let (logs, maps) = (MemoryCheckpoints::default(), MemoryMaps::default());
        let look = look(PipelineProbe { api, logs, maps, timer: sleep, stopwatch }).await;
        assert_eq!(look, Look::bad(error));
    }
}
