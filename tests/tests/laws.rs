//! Laws that bind over days of a replayed market, and over the same days of a running deployment, against the oracle.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::fmt::Write;
use std::fs;

use equilibrium_domain::id::LaneCount;
use equilibrium_domain::time::Timestamp;
use equilibrium_local::commands::replay::Replay;
use equilibrium_simulator::rng::SplitMix64;
use equilibrium_tests::oracle::{self, laws};
use serde_json::{Value, json};

/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000;
const HOUR: i64 = 3_600_000;
const DAYS: i64 = 9;

/// A city of an hour's ticks, whose multipliers follow its demand at once.
fn policy(laws: &Value) -> Value {
    let square = |from: f64, to: f64| json!({"type": "Polygon", "coordinates": [[[from, from], [to, from], [to, to], [from, to], [from, from]]]});
    json!({
        "city": "city", "timezone": "UTC", "currency": "USD", "boundary": square(0.0, 0.1), "resolution": 8,
        "clock": {"tick_ms": HOUR, "window_ms": HOUR, "driver_ttl_ms": HOUR, "absent_ms": 0},
        "products": [{"id": "standard"}, {"id": "xl"}],
        "surge": {"half_life_ms": 1, "step": 0.01},
        "zones": [{"id": "port", "name": "Port", "polygon": square(0.0, 0.05), "limits": {"max_multiplier": 3.0}}],
        "laws": laws,
    })
}

/// Requests and drivers of some days; of some hours nothing.
fn market(seed: u64) -> Vec<u8> {
    let rng = &mut SplitMix64::new(seed);
    let mut lines = String::new();
    for hour in 0..DAYS * 24 {
        if rng.percent(15) {
            continue;
        }
        for number in 0..rng.between(1, 25) {
            let at = Timestamp::from_ms(START + hour * HOUR + rng.between(1, HOUR - 60_000)).unwrap();
            let (lat, lng) = (0.1 * rng.fraction(), 0.1 * rng.fraction());
            let product = rng.pick(&["standard", "xl"]);
            let place = format!(r#""city":"city","time":"{at}","lat":{lat:.5},"lng":{lng:.5}"#);
            let id = format!("{hour}.{number}");
            if rng.percent(70) {
                writeln!(
                    lines,
                    r#"{{"type":"ride_requested","id":"{id}","request_id":"{id}","product":"{product}",{place}}}"#
                )
            } else {
                let products = r#""products":["standard","xl"]"#;
                writeln!(
                    lines,
                    r#"{{"type":"driver_location","id":"{id}","driver_id":"{id}","status":"available",{products},{place}}}"#
                )
            }
            .unwrap();
        }
    }
    lines.into_bytes()
}

fn replay(events: &[u8], policy: &Value, lanes: u32) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("events"), events).unwrap();
    fs::write(path("city"), policy.to_string()).unwrap();
    let lanes = LaneCount::new(lanes).unwrap();
    let replay = Replay { events: path("events"), out: path("ticks"), city: Some(path("city")), lanes };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(replay.run(&mut std::io::sink())).unwrap();
    fs::read_to_string(path("ticks")).unwrap().lines().map(str::to_owned).collect()
}

/// Laws of every form, of the city and the port, of both products and one, that begin and end between ticks.
fn laws() -> Value {
    let law =
        |id: &str, from: &str, rule: Value| json!({"id": id, "source": "a law", "from": from, "rule": rule});
    let mut laws = [
        law("days", "2026-03-02", json!({"max_of_prior_days": {"days": 3, "leaving_out": 1}})),
        law("port days", "2026-03-05", json!({"max_of_prior_days": {"days": 4, "leaving_out": 0}})),
        law(
            "baseline",
            "2026-03-04T05:30:00Z",
            json!({"max_over_baseline_percent": 10, "baseline_from": "2026-03-01", "baseline_until": "2026-03-06T12:00:00Z"}),
        ),
        law("range", "2026-03-03", json!({"range": [1.1, 2.5]})),
        law("cap", "2026-03-06", json!({"max_multiplier": 1.3})),
    ];
    laws[1]["id"] = "port-days".into();
    laws[1]["zone"] = "port".into();
    laws[2]["product"] = "xl".into();
    laws[3]["until"] = "2026-03-04T18:30:00Z".into();
    laws[3]["zone"] = "port".into();
    laws[4]["until"] = "2026-03-07".into();
    laws[4]["product"] = "standard".into();
    laws.to_vec().into()
}

#[test]
fn laws_bind_a_replay_as_at_each_tick() {
    let mut bound = 0;
    for seed in 0..6 {
        let events = market(seed);
        let policy = policy(&laws());
        let free = oracle::replay(&events, Some(&policy));
        let expected = laws::bind(&free.rows, &policy);
        bound += free.rows.iter().zip(&expected).filter(|(free, bound)| free != bound).count();
        for lanes in [1, 8] {
            let rows = replay(&events, &policy, lanes);
            let first = rows.iter().zip(&expected).find(|(row, expected)| row != expected);
            assert_eq!(first, None, "the first row that differs, market {seed}, {lanes} lanes");
            assert_eq!(rows.len(), expected.len(), "market {seed}, {lanes} lanes");
        }
    }
    assert!(bound > 5_000, "{bound} rows are bound by a law");
}
