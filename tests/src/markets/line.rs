//! One event as text, in the many forms with the same meaning.

use crate::oracle::time;
use equilibrium_simulator::rng::SplitMix64;

/// An event's fields, each with its value as JSON text, in the order in which they are written.
#[derive(Clone)]
pub(super) struct Draft(pub(super) Vec<(String, String)>);

impl Draft {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a field, at its position if it exists.
    pub(super) fn set(&mut self, field: &str, json: String) {
        match self.0.iter_mut().find(|(name, _)| name == field) {
            Some((_, value)) => *value = json,
            None => self.0.push((field.to_owned(), json)),
        }
    }

    pub(super) fn remove(&mut self, field: &str) {
        self.0.retain(|(name, _)| name != field);
    }

    /// The line without its line end. Random additions must not change its meaning.
    pub(super) fn write(mut self, rng: &mut SplitMix64) -> String {
        if rng.percent(30) {
            for index in (1..self.0.len()).rev() {
                self.0.swap(index, rng.below(index + 1));
            }
        }
        if rng.percent(6) {
            // Of duplicate fields the last counts, so the wrong one is inserted before it.
            let (field, _) = &self.0[rng.below(self.0.len())];
            let value = rng.pick(&[
                "null",
                "\"\"",
                "[{}]",
                "7",
                "\"x y\"",
                "\"2026-03-01T00:00:00Z\"",
                "\"offline\"",
            ]);
            self.0.insert(0, (field.clone(), value.to_owned()));
        }
        let colon = rng.pick(&[":", ":", ": ", " :\t"]);
        let comma = rng.pick(&[",", ",", ", ", " , "]);
        let mut members: Vec<String> =
            self.0.iter().map(|(field, json)| format!("{}{colon}{json}", quoted(rng, field))).collect();
        if rng.percent(12) {
            members.insert(rng.below(members.len() + 1), rng.pick(&UNKNOWN_FIELDS).to_owned());
        }
        let space = if rng.percent(4) { " \t" } else { "" };
        format!("{space}{{{space}{}{space}}}{space}", members.join(comma))
    }
}

/// Fields that no event type has.
const UNKNOWN_FIELDS: [&str; 12] = [
    r#""extra":{"a":[1,2,"}\\\""]}"#,
    r#""note":"line\nbreak \u00e9 \ud83d\ude00 \\ \/ \b\f\r\t""#,
    r#""deep":[[[[{"type":"ride_requested","time":null,"lat":{"lat":[]}}]]]]"#,
    r#""":"""#,
    r#""é":"日本 🚕""#,
    r#""lat ":400"#,
    r#""Type":"driver_location""#,
    r#""speed":-1.5E-7"#,
    r#""big":123456789012345678901234567890"#,
    r#""flags":[true,false,null,[],{}]"#,
    r#""dropoff":{"lat":"x"}"#,
    r#""\u0000":"\u0000""#,
];

/// A JSON string, sometimes with unnecessary escapes.
pub(super) fn quoted(rng: &mut SplitMix64, text: &str) -> String {
    if !rng.percent(3) {
        return format!("\"{text}\"");
    }
    let escaped: String = text
        .chars()
        .map(|char| match rng.below(4) {
            0 => format!("\\u{:04x}", u32::from(char)),
            1 => format!("\\u{:04X}", u32::from(char)),
            _ => char.to_string(),
        })
        .collect();
    format!("\"{escaped}\"")
}

/// A time in one of the forms of RFC 3339.
pub(super) fn time_json(rng: &mut SplitMix64, time: i64) -> String {
    let offset = if rng.percent(15) { rng.one_of(&[330, -570, 840, -1, 0, 1_439, -1_439]) } else { 0 };
    let mut text = time::to_text(time + offset * 60_000);
    text.pop(); // the `Z`
    match rng.below(8) {
        // Digits finer than a millisecond are truncated, not rounded.
        0 => text.push_str(rng.pick(&["0", "9", "508", "999999", "99999999999999999999999999"])),
        1 | 2 => {
            let short = text.trim_end_matches('0').trim_end_matches('.').len();
            text.truncate(short.max("0000-00-00T00:00:00".len()));
        }
        _ => {}
    }
    let zone = if offset == 0 {
        rng.pick(&["Z", "Z", "Z", "Z", "z", "+00:00", "-00:00"]).to_owned()
    } else {
        let sign = if offset < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
    };
    text.push_str(&zone);
    if rng.percent(4) {
        text = text.replace('T', "t");
    }
    quoted(rng, &text)
}

/// Degrees in one of the forms of a JSON number, all with the same value.
pub(super) fn degrees_json(rng: &mut SplitMix64, degrees: f64) -> String {
    match rng.below(12) {
        0 => format!("{degrees:e}"),
        1 => format!("{degrees:E}").replace('E', if degrees.abs() < 1.0 { "E" } else { "E+" }),
        2 => format!("{degrees:?}0000000000000000000000"),
        3 => format!("{degrees:?}e0"),
        _ => format!("{degrees}"),
    }
}
