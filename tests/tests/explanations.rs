//! An hour of a market with zones, overrides, laws, the feed guard, other policies and restarts: every explanation is computed again by the
//! oracle, and the history is what was priced.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use equilibrium_app::count::lane_processor::{CountSettings, LaneProcessor};
use equilibrium_app::history::ports::Past;
use equilibrium_app::laws::ports::BoundStores;
use equilibrium_app::memory::{MemoryCheckpoints, MemoryMaps, MemoryOverrides, NoOp, Recorder};
use equilibrium_app::overrides::ports::OverrideStore;
use equilibrium_app::policy::policy_cache::ENDED_MS;
use equilibrium_app::policy::policy_set::{PolicySet, ResourceLimits};
use equilibrium_app::price::map_reader::MapReader;
use equilibrium_app::surge::city_processor::{CityProcessor, SurgeSinks};
use equilibrium_domain::count::city_group::{CityGroup, GroupCount};
use equilibrium_domain::event::Position;
use equilibrium_domain::event::watermark::{self, CityWatermark};
use equilibrium_domain::geo::locate::cell_at;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::policy::Policy;
use equilibrium_domain::policy::overrides::{Creation, OverrideRequest};
use equilibrium_domain::surge::map::{ClosedTick, MapHead};
use equilibrium_domain::time::Timestamp;
use equilibrium_http::Request;
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use equilibrium_price::{EventSource, RenderedMaps};
use equilibrium_simulator::rng::SplitMix64;
use equilibrium_tests::oracle::explanation::recompute;
use h3o::Resolution;
use serde_json::{Value, json};

/// 2026-03-06T17:00:00Z, in milliseconds since the epoch.
const START: i64 = 1_772_816_400_000;

const MINUTE: i64 = 60_000;

const DRIVERS: usize = 60;

type Ticks = Recorder<(MapHead, Vec<ClosedTick>)>;

/// What is reported of a city: by tick, product and cell the multiplier in hundredths, the demand and the supply.
type Reported = BTreeMap<(i64, String, String), (f64, u64, u64)>;

struct Market {
    rng: SplitMix64,
    policies: Arc<PolicySet>,
    checkpoints: MemoryCheckpoints,
    counts: Recorder<(CityGroup, Vec<u8>)>,
    maps: MemoryMaps,
    ticks: Ticks,
    recorded: Vec<(MapHead, Vec<ClosedTick>)>,
    lanes: LaneProcessor<MemoryCheckpoints, Recorder<(CityGroup, Vec<u8>)>, NoOp>,
    cities: CityProcessor<MemoryCheckpoints, MemoryMaps, NoOp, NoOp, Ticks>,
    overrides: MemoryOverrides,
    sequence: u64,
    places: Vec<(f64, f64)>,
}

/// The overrides of the hour: when they are made, when they are ended, both in minutes, and what they are.
fn overrides() -> [(i64, Option<i64>, Value); 6] {
    let ends = |minute: i64| time(START + minute * MINUTE);
    [
        (
            4,
            None,
            json!({"kind": "cap", "multiplier": 1.15, "polygon": square(-74.01, 40.70, 0.05), "ends_at": ends(14)}),
        ),
        (6, Some(11), json!({"kind": "floor", "multiplier": 1.3, "product": "xl", "ends_at": ends(59)})),
        (9, None, json!({"kind": "freeze", "ends_at": ends(11)})),
        (
            22,
            Some(26),
            json!({"kind": "freeze", "polygon": square(-74.03, 40.72, 0.03), "ends_at": ends(40)}),
        ),
        (
            33,
            None,
            json!({"kind": "kill", "product": "standard", "starts_at": ends(35), "ends_at": ends(37)}),
        ),
        (43, None, json!({"kind": "floor", "multiplier": 1.4, "ends_at": ends(48)})),
    ]
}

fn settings() -> CountSettings {
    CountSettings { lanes: LaneCount::ONE, groups: GroupCount::ONE }
}

fn square(west: f64, south: f64, side: f64) -> Value {
    let (east, north) = (west + side, south + side);
    let ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
    json!({"type": "Polygon", "coordinates": [ring]})
}

/// Three versions of the policy: other curves, rings and limits, with and without zones.
fn policy(version: u64) -> Policy {
    let mut policy = json!({"city": "nyc", "currency": "USD", "boundary": square(-74.3, 40.4, 0.7),
        "products": [{"id": "standard"}, {"id": "xl"}], "guard": {"min_lost": 20, "hold_ms": 300_000},
        "limits": {"min_multiplier": 1.0, "max_multiplier": 2.0}});
    policy["zones"] = json!([
        {"id": "stadium", "polygon": square(-74.0, 40.74, 0.02), "limits": {"max_multiplier": 1.4}},
        {"id": "port", "polygon": square(-74.03, 40.72, 0.03), "limits": {"min_multiplier": 1.25}},
    ]);
    let law = |id: &str, from: i64, until: i64, rule: Value| {
        json!({"id": id, "source": "a law", "rule": rule,
            "from": time(START + from * MINUTE), "until": time(START + until * MINUTE)})
    };
    let mut laws = vec![
        law("emergency", 45, 52, json!({"max_multiplier": 1.2})),
        law("range", 12, 55, json!({"range": [1.05, 1.9]})),
    ];
    laws[1]["product"] = "xl".into();
    match version {
        1 => {}
        2 => policy["surge"] = json!({"curve": "exponential", "ring_weights": [1.0, 0.5, 0.2, 0.1]}),
        _ => {
            policy["surge"] =
                json!({"curve": "table", "table": [[0.5, 1.0], [1.5, 1.7], [4.0, 3.3]], "step": 0.05});
            policy["zones"] = json!([]);
        }
    }
    policy["laws"] = laws.into();
    Policy::from_json(&policy).unwrap()
}

fn policies(version: u64) -> Arc<PolicySet> {
    let versions = std::iter::once((version, policy(version)));
    Arc::new(PolicySet::of_versions(versions, ResourceLimits::default()))
}

impl Market {
    fn new(seed: u64) -> Self {
        let (checkpoints, counts) = (MemoryCheckpoints::keeping_past(), Recorder::default());
        let (maps, ticks) = (MemoryMaps::default(), Ticks::default());
        let mut rng = SplitMix64::new(seed);
        let places = (0..DRIVERS).map(|_| place(&mut rng)).collect();
        Self {
            rng,
            policies: policies(1),
            lanes: LaneProcessor::new(settings(), checkpoints.clone(), counts.clone(), NoOp),
            cities: processor(&checkpoints, &maps, &ticks),
            checkpoints,
            counts,
            maps,
            ticks,
            recorded: Vec::new(),
            overrides: MemoryOverrides::default(),
            sequence: 0,
            places,
        }
    }

    fn restart(&mut self) {
        self.lanes = LaneProcessor::new(settings(), self.checkpoints.clone(), self.counts.clone(), NoOp);
        self.cities = processor(&self.checkpoints, &self.maps, &self.ticks);
    }

    /// The events of five seconds: a third of the drivers report, unless their feed is dead, and riders ask.
    fn events(&mut self, at: i64) -> String {
        let mut events = String::new();
        let time = Timestamp::from_ms(at).unwrap();
        let minute = (at - START) / MINUTE;
        let is_dead = (30..34).contains(&minute);
        for driver in 0..DRIVERS {
            if self.rng.below(3) > 0 || is_dead && driver > 5 {
                continue;
            }
            if self.rng.below(4) == 0 {
                self.places[driver] = place(&mut self.rng);
            }
            let (lat, lng) = self.places[driver];
            let status = ["available", "available", "available", "on_trip"][self.rng.below(4)];
            writeln!(events, r#"{{"type":"driver_location","id":"e","time":"{time}","city":"nyc","driver_id":"d{driver}","lat":{lat},"lng":{lng},"status":"{status}"}}"#).unwrap();
        }
        for rider in 0..if minute % 12 > 7 { 12 } else { 2 } {
            let (lat, lng) = place(&mut self.rng);
            let product = ["standard", "standard", "xl"][self.rng.below(3)];
            writeln!(events, r#"{{"type":"ride_requested","id":"e","time":"{time}","city":"nyc","request_id":"r{at}-{rider}","product":"{product}","lat":{lat},"lng":{lng}}}"#).unwrap();
        }
        events
    }

    fn payload(&mut self, records: &[Vec<u8>], arrival_ms: i64) -> Vec<u8> {
        let records: Vec<Record> = records
            .iter()
            .map(|data| {
                self.sequence += 1;
                let sequence = self.sequence.into();
                Record { sequence, partition_key: "0".into(), data: data.clone(), arrival_ms }
            })
            .collect();
        let stream = Stream { arn: "a".into(), region: "r".into(), role_arn: "i".into() };
        let mut payload = Vec::new();
        Envelope::new(&stream, ShardId::numbered(0)).write(&records, &mut payload);
        payload
    }

    async fn process(&mut self, mut events: Vec<Vec<u8>>, at: i64) {
        let watermark = CityWatermark { watermark: at - 5_000, first_tick: START };
        let city = CityId::new("nyc").unwrap();
        events.push(watermark::write(LaneId(0), LaneCount::ONE, [(&city, watermark)]));
        let payload = self.payload(&events, at);
        equilibrium_count::handle_event(&self.lanes, &payload, &self.policies, at).await.unwrap();
        let counts: Vec<Vec<u8>> = self.counts.take().into_iter().map(|(_, record)| record).collect();
        let payload = self.payload(&counts, at);
        equilibrium_surge::handle_event(&self.cities, &payload, &self.policies, at).await.unwrap();
    }

    async fn run(&mut self, minutes: i64) {
        let (mut batch, mut version) = (Vec::new(), 1);
        for at in (START..START + minutes * MINUTE).step_by(5_000) {
            batch.push(self.events(at).into_bytes());
            if self.rng.below(3) > 0 {
                self.process(std::mem::take(&mut batch), at).await;
            }
            if self.rng.below(40) == 0 {
                self.restart();
            }
            let due = 1 + u64::try_from((at - START) / (20 * MINUTE)).unwrap();
            if self.change_overrides(version, at + 1_234).await || due > version {
                version = due;
                let city = CityId::new("nyc").unwrap();
                let set = self.overrides.not_ended(&city, at - ENDED_MS).await.unwrap();
                let policies = PolicySet::of_versions(
                    std::iter::once((version, policy(version))),
                    ResourceLimits::default(),
                );
                self.policies = Arc::new(policies.with_overrides(vec![(city, set)]));
            }
        }
        self.recorded = self.ticks.take();
    }

    /// Creates and ends the overrides that are due; returns whether there were any.
    async fn change_overrides(&self, version: u64, now_ms: i64) -> bool {
        let city = CityId::new("nyc").unwrap();
        let is_due =
            |minute: i64| (START + minute * MINUTE..START + minute * MINUTE + 5_000).contains(&now_ms);
        let mut is_changed = false;
        for (number, (from, until, mut one)) in overrides().into_iter().enumerate() {
            let id = format!("o{number}");
            if is_due(from) {
                one["reason"] = "a test".into();
                let request = OverrideRequest::read(&one.to_string(), &policy(version), now_ms).unwrap();
                let one = request.create(Creation { id: &id, author: "local", now_ms });
                self.overrides.create(&city, &one).await.unwrap();
            } else if until.is_some_and(is_due) {
                self.overrides.end(&city, &id, now_ms).await.unwrap().unwrap();
            } else {
                continue;
            }
            is_changed = true;
        }
        is_changed
    }

    async fn get(&self, path: &str, query: &str, now_ms: i64) -> (u16, Value) {
        let maps = MapReader::new(self.maps.clone(), NoOp, tokio::time::sleep);
        let bounds = BoundStores { overrides: self.overrides.clone(), days: self.maps.clone() };
        let past = Past { logs: self.checkpoints.clone(), histories: self.maps.clone(), bounds };
        let request = Request { method: "GET", path, query, headers: &[], body: b"" };
        let rendered = RenderedMaps::default();
        let reading = (&maps, &rendered, &EventSource::DEPLOYED, &past);
        let response = equilibrium_price::respond(reading, &request, &self.policies, now_ms).await;
        (response.status, serde_json::from_slice(&response.body.bytes()).unwrap())
    }

    /// What was reported at every tick.
    fn reported(&self) -> Reported {
        let mut reported = Reported::new();
        for (map, ticks) in &self.recorded {
            for tick in ticks {
                for at in tick.instants() {
                    for row in &tick.rows {
                        let key = (
                            at,
                            map.products[usize::from(row.product)].as_str().to_owned(),
                            row.cell.to_string(),
                        );
                        let value = f64::from(row.published.hundredths()) / 100.0;
                        reported.insert(key, (value, row.demand.into(), row.supply.into()));
                    }
                }
            }
        }
        reported
    }

    async fn history(&self, query: &str, now_ms: i64) -> Vec<Value> {
        let (mut rows, mut next) = (Vec::new(), String::new());
        loop {
            let query = format!("{query}{next}");
            let (status, page) = self.get("/v1/cities/nyc/history", &query, now_ms).await;
            assert_eq!(status, 200, "{page}");
            rows.extend(page["changes"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(token) => next = format!("&next={token}"),
                None => return rows,
            }
        }
    }
}

fn processor(
    checkpoints: &MemoryCheckpoints,
    maps: &MemoryMaps,
    ticks: &Ticks,
) -> CityProcessor<MemoryCheckpoints, MemoryMaps, NoOp, NoOp, Ticks> {
    let sinks = SurgeSinks { maps: maps.clone(), cache: NoOp, changes: NoOp, ticks: ticks.clone() };
    CityProcessor::new(checkpoints.clone(), sinks)
}

fn place(rng: &mut SplitMix64) -> (f64, f64) {
    let mut degrees = |from: f64| from + f64::from(u32::try_from(rng.below(100)).unwrap()) / 1_500.0;
    (degrees(40.71), degrees(-74.03))
}

/// A row of the history: its tick, product and cell, and its values.
fn entry(row: &Value) -> ((i64, String, String), (f64, u64, u64)) {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let at = Timestamp::parse(text("at").as_bytes()).unwrap().ms();
    let counts = (row["demand"].as_u64().unwrap(), row["supply"].as_u64().unwrap());
    ((at, text("product"), text("cell")), (row["multiplier"].as_f64().unwrap(), counts.0, counts.1))
}

fn time(at: i64) -> Timestamp {
    Timestamp::from_ms(at).unwrap()
}

#[tokio::test]
async fn every_explanation_can_be_computed_again_and_is_the_price_that_was_reported() {
    let mut market = Market::new(7);
    market.run(60).await;
    let (reported, now_ms) = (market.reported(), START + 60 * MINUTE);
    let keys: Vec<_> = reported.keys().cloned().collect();
    let every: Reported = market.history("ticks=true", now_ms).await.iter().map(entry).collect();
    let (mut guarded, mut binding, mut versions) = (0, BTreeMap::new(), BTreeMap::new());
    for _ in 0..800 {
        let (at, product, cell) = keys[market.rng.below(keys.len())].clone();
        // A cell that is reported at another tick, at a time within the tick.
        let at = if market.rng.below(5) == 0 { keys[market.rng.below(keys.len())].0 } else { at };
        let asked = time(at + i64::try_from(market.rng.below(5_000)).unwrap());
        let path = format!("/v1/cities/nyc/surge/{cell}/explain");
        let (status, explanation) = market.get(&path, &format!("product={product}&at={asked}"), now_ms).await;
        assert_eq!(status, 200, "{explanation}");
        assert_eq!(recompute(&explanation), Ok(()), "{explanation}");
        assert_eq!(explanation["at"], json!(time(at)));
        let own = explanation["cells"].as_array().unwrap().iter().find(|around| around["ring"] == 0);
        let own =
            own.map_or((0, 0), |own| (own["demand"].as_u64().unwrap(), own["supply"].as_u64().unwrap()));
        let published = explanation["published"].as_f64().unwrap() / 100.0;
        let key = (at, product, cell);
        let (expected, demand, supply) = *reported.get(&key).unwrap_or(&(1.0, 0, 0));
        assert_eq!((published, own), (expected, (demand, supply)), "{explanation}");
        if let Some((multiplier, ..)) = every.get(&key) {
            assert_eq!(explanation["multiplier"], json!(multiplier), "{explanation}");
        }
        guarded += u32::from(explanation["guard"]["on"] == true);
        for bound in explanation["bounds"].as_array().unwrap().iter().filter(|bound| bound["binds"] == true) {
            let source = bound["source"].as_str().unwrap().split(' ').next().unwrap().to_owned();
            *binding.entry((source, bound["kind"].as_str().unwrap().to_owned())).or_insert(0) += 1;
        }
        *versions.entry(explanation["policy_version"].as_u64().unwrap()).or_insert(0) += 1;
    }
    assert!(guarded > 10, "{guarded} explanations with the guard on");
    let binds = |source: &str, kind: &str| binding.get(&(source.to_owned(), kind.to_owned())).copied();
    for (source, kind) in [
        ("policy", "cap"),
        ("zone", "cap"),
        ("zone", "floor"),
        ("override", "freeze"),
        ("override", "floor"),
        ("override", "cap"),
        ("override", "kill"),
        ("law", "floor"),
        ("law", "cap"),
    ] {
        assert!(binds(source, kind) > Some(0), "no {kind} of a {source} binds: {binding:?}");
    }
    assert_eq!(versions.into_keys().collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn the_history_is_what_was_priced() {
    let mut market = Market::new(11);
    market.run(60).await;
    let (reported, now_ms) = (market.reported(), START + 60 * MINUTE);

    let every = market.history("ticks=true&limit=777", now_ms).await;
    let rows: Vec<_> = every.iter().map(entry).collect();
    for pair in rows.windows(2) {
        assert!(pair[0].0 < pair[1].0, "oldest first: {pair:?}");
    }
    let every: Reported = rows.into_iter().collect();
    let unlisted = reported.keys().find(|key| !every.contains_key(key));
    assert_eq!(unlisted, None, "every reported row is in the history");
    let is_frozen = |at: i64| {
        let of_minutes = |from, until| (START + from * MINUTE..=START + until * MINUTE + 5_000).contains(&at);
        of_minutes(9, 11) || of_minutes(22, 26)
    };
    for (key, (_, demand, supply)) in &every {
        match reported.get(key) {
            Some((_, of_demand, of_supply)) => {
                assert_eq!((demand, supply), (of_demand, of_supply), "{key:?}");
            }
            // Frozen cells stay in the map.
            None => assert!(is_frozen(key.0) && (*demand, *supply) == (0, 0), "{key:?}"),
        }
    }

    // The changes, applied one after the other, are what every tick reports.
    let changes = market.history("limit=501", now_ms).await;
    let mut changes = changes.iter().map(entry).peekable();
    let mut now: BTreeMap<(String, String), f64> = BTreeMap::new();
    let ticks: Vec<i64> = {
        let mut ticks: Vec<i64> = reported.keys().map(|key| key.0).collect();
        ticks.dedup();
        ticks
    };
    let (mut repeated, mut applied) = (0, 0);
    for at in ticks {
        while let Some(((_, product, cell), (multiplier, ..))) = changes.next_if(|((of, ..), _)| *of <= at) {
            let was_listed = every.contains_key(&(at - 5_000, product.clone(), cell.clone()));
            let is_listed = every.contains_key(&(at, product.clone(), cell.clone()));
            let before = now.insert((product, cell), multiplier);
            repeated += u32::from(before == Some(multiplier) && was_listed && is_listed);
            applied += 1;
        }
        let from = (at, String::new(), String::new());
        for ((_, product, cell), (multiplier, ..)) in
            every.range(from..).take_while(|((of, ..), _)| *of == at)
        {
            assert_eq!(now.get(&(product.clone(), cell.clone())), Some(multiplier), "{at} {product} {cell}");
        }
    }
    assert!(applied > 1_000, "{applied} changes");
    assert!(repeated * 200 < applied, "{repeated} of {applied} changes repeat a multiplier");
    let cell = &every.keys().next().unwrap().2;
    let one = market.history(&format!("ticks=true&cell={cell}&product=xl"), now_ms).await;
    assert_eq!(one.len(), every.keys().filter(|key| key.1 == "xl" && key.2 == *cell).count());
}

#[tokio::test]
async fn what_cannot_be_explained_is_a_problem_of_its_own() {
    let mut market = Market::new(3);
    market.run(8).await;
    let cell = market.reported().keys().next().unwrap().2.clone();
    let explain = |cell: &str| format!("/v1/cities/nyc/surge/{cell}/explain");
    let now_ms = START + 8 * MINUTE;
    let day = 24 * 60 * MINUTE;
    for (path, query, now_ms, status, code) in [
        (explain(&cell), format!("at={}", time(START - 1)), now_ms, 404, "not_retained"),
        (explain(&cell), String::new(), now_ms + day, 404, "not_retained"),
        (explain(&cell), "at=yesterday".into(), now_ms, 400, "malformed_parameter"),
        (explain(&cell), "product=van".into(), now_ms, 422, "unknown_product"),
        (explain("872a1072bffffff"), String::new(), now_ms, 422, "invalid_cell"),
        (explain("nowhere"), String::new(), now_ms, 422, "invalid_cell"),
        (explain("881f1d4887fffff"), String::new(), now_ms, 404, "outside_service_area"),
        ("/v1/cities/rome/surge/881f1d4887fffff/explain".into(), String::new(), now_ms, 404, "unknown_city"),
        ("/v1/cities/nyc/history".into(), "ticks=yes".into(), now_ms, 400, "malformed_parameter"),
        ("/v1/cities/nyc/history".into(), "limit=1001".into(), now_ms, 422, "out_of_range"),
        ("/v1/cities/nyc/history".into(), "cell=1".into(), now_ms, 422, "invalid_cell"),
        ("/v1/cities/nyc/history".into(), "next=!".into(), now_ms, 400, "malformed_parameter"),
        ("/v1/cities/nyc/history".into(), "from=now".into(), now_ms, 400, "malformed_parameter"),
    ] {
        let (found, problem) = market.get(&path, &query, now_ms).await;
        assert_eq!((found, problem["code"].as_str().unwrap()), (status, code), "{path}?{query}");
    }
    // A cell that was never reported has the price without surge.
    let quiet = cell_at(Position { lat: 41.05, lng: -73.65 }, Resolution::Eight);
    let (status, explanation) = market.get(&explain(&quiet.to_string()), "", now_ms).await;
    assert_eq!(status, 200, "{explanation}");
    assert_eq!((&explanation["multiplier"], &explanation["cells"]), (&json!(1.0), &json!([])));
    assert_eq!(recompute(&explanation), Ok(()), "{explanation}");
}
