//! Lines to be refused, for every reason of CONTRACT §1.

use equilibrium_simulator::rng::SplitMix64;

use super::line::Draft;

/// Makes a valid event invalid, or as close to invalid as a valid line can be.
pub(super) fn invalidate(rng: &mut SplitMix64, mut draft: Draft) -> Vec<u8> {
    match rng.below(10) {
        0 => sized(rng, draft),
        1 | 2 => malformed(rng, draft),
        3 => {
            let fields: Vec<String> = draft.0.iter().map(|(field, _)| field.clone()).collect();
            draft.remove(&fields[rng.below(fields.len())]);
            if rng.percent(40) {
                // Invalid in another way, too, but the missing field has precedence.
                draft.set("city", "\"NO SUCH\"".to_owned());
            }
            draft.write(rng).into_bytes()
        }
        4 => {
            draft.set("city", rng.pick(&["\"atlantis\"", "\"nyc-\"", "\"0\""]).to_owned());
            if rng.percent(40) {
                draft.set("product", "\"limo\"".to_owned());
            }
            draft.write(rng).into_bytes()
        }
        5 => {
            draft.set("product", rng.pick(&["\"limo\"", "\"Standard\"", "\"standard.\""]).to_owned());
            let products = [
                "[\"limo\"]",
                "[\"standard\",\"limo\"]",
                "[\"xl\",\"moto\",\"standard\",\"xl\",\"STANDARD\"]",
            ];
            draft.set("products", rng.pick(&products).to_owned());
            draft.write(rng).into_bytes()
        }
        _ => {
            let (field, json) = INVALID_VALUES[rng.below(INVALID_VALUES.len())];
            draft.set(field, json.to_owned());
            if rng.percent(30) {
                draft.set("city", "\"atlantis\"".to_owned());
            }
            draft.write(rng).into_bytes()
        }
    }
}

/// Pads a valid event to the maximum length of a line, or just beyond; some are malformed, too.
fn sized(rng: &mut SplitMix64, draft: Draft) -> Vec<u8> {
    let length = rng.one_of(&[4_095, 4_096, 4_096, 4_096, 4_097, 4_097, 4_098, 5_000, 20_000]);
    let mut line = draft.write(rng).into_bytes();
    let close = line.iter().rposition(|byte| *byte == b'}').expect("an event is an object");
    line.truncate(close);
    line.extend_from_slice(b",\"pad\":\"");
    let end: &[u8] = if rng.percent(85) { b"\"}" } else { b"\"" };
    line.resize(length - end.len(), b'x');
    line.extend_from_slice(end);
    line
}

fn malformed(rng: &mut SplitMix64, draft: Draft) -> Vec<u8> {
    let valid = draft.write(rng);
    let mut line = valid.clone().into_bytes();
    match rng.below(6) {
        // A truncated line.
        0 => line.truncate(1 + rng.below(line.len() - 4)),
        1 => {
            // Invalid UTF-8, inside and outside of a string.
            let at = rng.one_of(&[
                line.iter().position(|byte| *byte == b'"').expect("an event has keys") + 1,
                line.len(),
            ]);
            let bytes: &[u8] = rng.pick(&[b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"]);
            line.splice(at..at, bytes.iter().copied());
        }
        2 => line.extend_from_slice(rng.pick(&["x", "}", ",", "{}", "null", " 0", "\u{feff}"]).as_bytes()),
        3 => line = format!("[{valid}]").into_bytes(),
        _ => line = rng.pick(&MALFORMED).as_bytes().to_vec(),
    }
    line
}

const MALFORMED: [&str; 16] = [
    "null",
    "42",
    "\"driver_location\"",
    "[]",
    "{",
    "}",
    "{'type':'weather'}",
    "{\"type\":\"weather\",}",
    "{\"type\":\"weather\" \"id\":\"x\"}",
    "{\"type\":\"weather\",\"n\":01}",
    "{\"type\":\"weather\",\"n\":+1}",
    "{\"type\":\"weather\",\"n\":1.}",
    "{\"type\":\"weather\",\"n\":.5}",
    "{\"type\":\"weather\",\"n\":NaN}",
    "{\"type\":\"weather\",\"n\":\"\t\"}",
    "{\"type\":\"weather\",\"n\":\"\\x\"}",
];

/// Invalid values. If the event's type has no such field, the line stays valid.
const INVALID_VALUES: [(&str, &str); 66] = [
    ("type", "7"),
    ("type", "null"),
    ("type", "[\"ride_requested\"]"),
    ("id", "\"\""),
    ("id", "\"a b\""),
    ("id", "\"\u{e9}\""),
    ("id", "\"a\\u0000\""),
    ("id", "12"),
    ("id", "null"),
    ("id", "\"12345678901234567890123456789012345678901234567890123456789012345\""),
    ("time", "\"2026-03-01T00:00:00\""),
    ("time", "\"2026-03-01\""),
    ("time", "\"2026-02-29T00:00:00Z\""),
    ("time", "\"2026-13-01T00:00:00Z\""),
    ("time", "\"2026-00-01T00:00:00Z\""),
    ("time", "\"2026-04-31T00:00:00Z\""),
    ("time", "\"2100-02-29T00:00:00Z\""),
    ("time", "\"2026-03-01T24:00:00Z\""),
    ("time", "\"2026-03-01T00:60:00Z\""),
    ("time", "\"2026-03-01T00:00:61Z\""),
    ("time", "\"2026-03-01T00:00:00.Z\""),
    ("time", "\"2026-03-01T00:00:00,5Z\""),
    ("time", "\"2026-03-01T00:00:00+24:00\""),
    ("time", "\"2026-03-01T00:00:00+0100\""),
    ("time", "\"2026-03-01T00:00:00+01:60\""),
    ("time", "\"2026-03-01T00:00:00+01\""),
    ("time", "\"2026-3-1T00:00:00Z\""),
    ("time", "\"2026-03-01T0:00:00Z\""),
    ("time", "\"+2026-03-01T00:00:00Z\""),
    ("time", "\"12026-03-01T00:00:00Z\""),
    ("time", "\"2026-03-01T00:00:00ZZ\""),
    ("time", "\" 2026-03-01T00:00:00Z\""),
    ("time", "\"2026-03-01T00:00Z\""),
    ("time", "\"\""),
    ("time", "1772323200000"),
    ("city", "\"\""),
    ("city", "\"NYC\""),
    ("city", "\"n_c\""),
    ("city", "\"123456789012345678901234567890123\""),
    ("city", "{}"),
    ("driver_id", "\"d 1\""),
    ("driver_id", "\"d/1\""),
    ("driver_id", "null"),
    ("request_id", "\"\""),
    ("request_id", "[\"r1\"]"),
    ("rider_id", "\"\""),
    ("rider_id", "5"),
    ("rider_id", "\"u\u{2019}s\""),
    ("lat", "90.0000001"),
    ("lat", "-91"),
    ("lat", "\"40.75\""),
    ("lat", "null"),
    ("lat", "4e300"),
    ("lat", "123456789012345678901234567890"),
    ("lng", "180.0000001"),
    ("lng", "-181"),
    ("lng", "true"),
    ("lng", "[0]"),
    ("status", "\"busy\""),
    ("status", "\"Available\""),
    ("status", "null"),
    ("products", "\"standard\""),
    ("products", "[\"standard\",7]"),
    ("products", "{\"standard\":true}"),
    ("dropoff_lat", "90.5"),
    ("dropoff_lng", "\"x\""),
];
