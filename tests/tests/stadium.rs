//! The simulated city as `equilibrium serve` feeds it: prices at the stadium rise to their cap soon after the game, and come
//! down step by step.

#![expect(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::fs;

use equilibrium_domain::id::LaneCount;
use equilibrium_domain::time::Timestamp;
use equilibrium_local::commands::replay::Replay;
use equilibrium_simulator::city::{City, Settings, policy};
use equilibrium_tests::rows;
use h3o::{LatLng, Resolution};
use serde_json::Value;

/// When a live city starts; any time gives the same events at shifted times.
const NOW_MS: i64 = 1_772_816_400_000;
const MINUTE_MS: i64 = 60_000;
/// Yankee Stadium.
const STADIUM: (f64, f64) = (40.8296, -73.9262);

/// The multipliers of the stadium's cell, in hundredths, by tick after the stadium begins to empty.
fn multipliers(seed: u64, minutes: i64) -> Vec<(i64, i64)> {
    let settings = Settings::live(seed, NOW_MS);
    let stadium_ms = settings.start_ms + settings.stadium_ms;
    let mut events = Vec::new();
    City::new(&settings, &policy::policy()).advance(stadium_ms + minutes * MINUTE_MS, &mut events);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("events"), events).unwrap();
    fs::write(path("city"), policy::JSON).unwrap();
    let (city, lanes) = (Some(path("city")), LaneCount::new(4).unwrap());
    let replay = Replay { events: path("events"), out: path("ticks"), city, lanes };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(replay.run(&mut std::io::sink())).unwrap();
    let cell = LatLng::new(STADIUM.0, STADIUM.1).unwrap().to_cell(Resolution::Eight).to_string();
    let ticks = fs::read_to_string(path("ticks")).unwrap();
    let ticks = ticks.lines().filter(|row| row.contains(&cell));
    ticks
        .map(|row| {
            let at = Timestamp::parse(rows::tick(row).as_bytes()).unwrap().ms();
            let row: Value = serde_json::from_str(row).unwrap();
            let multiplier = row["multiplier"].as_f64().unwrap();
            #[expect(clippy::cast_possible_truncation)]
            let hundredths = (multiplier * 100.0 + 0.5) as i64;
            (at - stadium_ms, hundredths)
        })
        .collect()
}

#[test]
fn the_stadium_reaches_its_cap_within_three_minutes_and_comes_down_without_a_jump() {
    let cap = i64::from(policy::policy().limits.cap.hundredths());
    let ticks = multipliers(1, 25);
    let before: Vec<_> = ticks.iter().filter(|(at_ms, _)| *at_ms <= 0).collect();
    assert!(before.len() > 20 && before.iter().all(|(_, multiplier)| *multiplier < 150), "{before:?}");

    let (reached_ms, _) = *ticks.iter().find(|(_, multiplier)| *multiplier == cap).unwrap();
    assert!(reached_ms <= 3 * MINUTE_MS, "the cap is reached after {reached_ms} ms");

    let fall: Vec<i64> = ticks.iter().rev().map(|(_, multiplier)| *multiplier).collect();
    let fall: Vec<i64> = fall.into_iter().take_while(|multiplier| *multiplier < cap).collect();
    assert!(fall.len() > 60, "it takes {} ticks", fall.len());
    assert!(fall[0] < 200, "{} after 25 minutes", fall[0]);
    for pair in fall.windows(2) {
        let (after, before) = (pair[0], pair[1]);
        assert!((0..=20).contains(&(before - after)), "from {before} to {after} in a tick");
    }
}
