//! Events of New York, and the counts on its map.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use equilibrium_domain::time::{Timestamp, tick_at_or_before};
use serde_json::Value;

/// `lateness_ms` of the city in city.json.
const LATENESS_MS: i64 = 1_000;

/// `tick_ms` of the city in city.json.
pub const TICK_MS: i64 = 1_000;

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A time as RFC 3339.
pub fn rfc3339(ms: i64) -> String {
    Timestamp::from_ms(ms).unwrap().to_string()
}

/// The milliseconds of a time in a response; `None` for `null`.
pub fn ms(time: &Value) -> Option<i64> {
    Some(Timestamp::parse(time.as_str()?.as_bytes()).unwrap().ms())
}

/// `as_of` of the map that counts an event of `newest_ms`.
pub fn as_of(newest_ms: i64) -> String {
    rfc3339(tick_at_or_before(newest_ms - LATENESS_MS, TICK_MS))
}

/// A place in New York; no two places are in the same or in adjacent cells.
pub fn place(number: usize) -> (f64, f64) {
    let step = |number: usize| f64::from(u32::try_from(number).unwrap()) * 0.03;
    (40.50 + step(number % 15), -74.2 + step(number / 15 % 15))
}

/// The event of an available driver.
pub fn driver(id: &str, (lat, lng): (f64, f64), at_ms: i64) -> String {
    let time = rfc3339(at_ms);
    format!(
        r#"{{"type":"driver_location","id":"e","time":"{time}","city":"nyc","driver_id":"{id}","lat":{lat},"lng":{lng},"status":"available"}}"#
    ) + "\n"
}

/// The event of a ride request.
pub fn rider(id: &str, (lat, lng): (f64, f64), at_ms: i64) -> String {
    let time = rfc3339(at_ms);
    format!(
        r#"{{"type":"ride_requested","id":"e","time":"{time}","city":"nyc","request_id":"{id}","lat":{lat},"lng":{lng}}}"#
    ) + "\n"
}

/// The values of one field, such as `supply`, by cell; without zeros.
pub fn counts(map: &Value, field: &str) -> BTreeMap<String, u64> {
    let cells = map["cells"].as_array().unwrap().iter();
    let counts = cells.map(|cell| (cell["cell"].as_str().unwrap().to_owned(), cell[field].as_u64().unwrap()));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// The sum of one field over all cells.
pub fn total(map: &Value, field: &str) -> u64 {
    counts(map, field).into_values().sum()
}

/// Drivers at the place of this number, with ids of their own.
pub fn fleet(number: usize, drivers: usize, at_ms: i64) -> String {
    (0..drivers).map(|i| driver(&format!("{number}.{i}"), place(number), at_ms)).collect()
}

/// Three drivers and two riders at each of a number of places.
pub fn drivers_and_riders(places: usize, at_ms: i64) -> String {
    let events = (0..places).map(|number| {
        let drivers: String =
            (0..3).map(|i| driver(&format!("d{number}.{i}"), place(number), at_ms)).collect();
        let riders: String = (0..2).map(|i| rider(&format!("r{number}.{i}"), place(number), at_ms)).collect();
        drivers + &riders
    });
    events.collect()
}
