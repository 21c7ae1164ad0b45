//! Events of New York, and what they come to on its map.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use equilibrium_domain::time::{Timestamp, tick_at_or_before};
use serde_json::Value;

/// How long after its time a tick closes in a city that nobody feeds, in milliseconds.
const LATENESS_MS: i64 = 1_000;

/// The tick of that city, in milliseconds.
const TICK_MS: i64 = 1_000;

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// As RFC 3339 has it.
pub fn time(ms: i64) -> String {
    Timestamp::from_ms(ms).unwrap().to_string()
}

/// The moment an answer names.
pub fn ms(time: &Value) -> Option<i64> {
    Some(Timestamp::parse(time.as_str()?.as_bytes()).unwrap().ms())
}

/// What the map is of once an event of this moment was counted.
pub fn as_of(newest_ms: i64) -> String {
    time(tick_at_or_before(newest_ms - LATENESS_MS, TICK_MS))
}

/// A place in New York that is in no other place's cell, nor next to one.
pub fn place(number: usize) -> (f64, f64) {
    let step = |number: usize| f64::from(u32::try_from(number).unwrap()) * 0.03;
    (40.50 + step(number % 15), -74.2 + step(number / 15 % 15))
}

/// A driver who waits at a place.
pub fn driver(id: &str, (lat, lng): (f64, f64), at_ms: i64) -> String {
    let time = time(at_ms);
    format!(
        r#"{{"type":"driver_location","id":"e","time":"{time}","city":"nyc","driver_id":"{id}","lat":{lat},"lng":{lng},"status":"available"}}"#
    ) + "\n"
}

/// A rider who asks at a place.
pub fn rider(id: &str, (lat, lng): (f64, f64), at_ms: i64) -> String {
    let time = time(at_ms);
    format!(
        r#"{{"type":"ride_requested","id":"e","time":"{time}","city":"nyc","request_id":"{id}","lat":{lat},"lng":{lng}}}"#
    ) + "\n"
}

/// A number of each cell that has any, such as its `supply`.
pub fn counts(map: &Value, of: &str) -> BTreeMap<String, u64> {
    let cells = map["cells"].as_array().unwrap().iter();
    let counted = cells.map(|cell| (cell["cell"].as_str().unwrap().to_owned(), cell[of].as_u64().unwrap()));
    counted.filter(|(_, count)| *count > 0).collect()
}

pub fn total(map: &Value, of: &str) -> u64 {
    counts(map, of).into_values().sum()
}

/// Drivers at a place of their own, whom nobody else posts.
pub fn fleet(number: usize, drivers: usize, at_ms: i64) -> String {
    (0..drivers).map(|i| driver(&format!("{number}.{i}"), place(number), at_ms)).collect()
}

/// Three drivers and two riders at each of so many places, seen at `at_ms`.
pub fn crowd(places: usize, at_ms: i64) -> String {
    let crowd = (0..places).map(|number| {
        let drivers: String =
            (0..3).map(|i| driver(&format!("d{number}.{i}"), place(number), at_ms)).collect();
        let riders: String = (0..2).map(|i| rider(&format!("r{number}.{i}"), place(number), at_ms)).collect();
        drivers + &riders
    });
    crowd.collect()
}
