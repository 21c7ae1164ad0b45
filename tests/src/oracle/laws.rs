//! Laws (CONTRACT §9), applied to rows of a replay that were reported without them. Days are those of UTC.

use std::collections::BTreeMap;

use serde_json::Value;

use super::policy::ZonesOf;
use super::time;

const DAY_MS: i64 = 86_400_000;

/// What was reported of a product in an area on a day: the highest hundredths, the demand, and hundredths times demand.
#[derive(Clone, Copy, Default)]
struct Figures {
    max: u64,
    demand: u64,
    weighted: u64,
}

/// The rows of one city, in their order, with the multipliers that the laws of its policy allow.
///
/// # Panics
/// If a row or the policy is not valid.
#[must_use]
pub fn bind(rows: &[String], policy: &Value) -> Vec<String> {
    let zones = ZonesOf::read(policy);
    // By product and zone, `""` for the city, and day.
    let mut figures: BTreeMap<(String, String), BTreeMap<i64, Figures>> = BTreeMap::new();
    let mut bound = Vec::with_capacity(rows.len());
    for row in rows {
        let (start, multiplier) = row.rsplit_once(':').expect("a member");
        let value: Value = serde_json::from_str(row).expect("a row");
        let (product, cell) =
            (value["product"].as_str().expect("an id"), value["cell"].as_str().expect("a cell"));
        let at = time::from_text(value["at"].as_str().expect("a time")).expect("a time");
        let zone = zones.zone(cell.parse().expect("a cell"));
        let multiplier: f64 = multiplier.trim_end_matches('}').parse().expect("a number");
        let mut hundredths = whole(100.0 * multiplier);
        let (mut floor, mut cap) = (0, u64::MAX);
        for law in policy["laws"].as_array().expect("laws") {
            let is_for = |name: &str, of: Option<&str>| law[name].is_null() || law[name].as_str() == of;
            let until = law["until"].as_str().map_or(i64::MAX, instant);
            let from = instant(law["from"].as_str().expect("a time"));
            if !is_for("product", Some(product))
                || !is_for("zone", zone.as_deref())
                || !(from..until).contains(&at)
            {
                continue;
            }
            let area = (product.to_owned(), law["zone"].as_str().unwrap_or_default().to_owned());
            let days = figures.get(&area).cloned().unwrap_or_default();
            let (low, high) = limits(&law["rule"], &days, at.div_euclid(DAY_MS));
            (floor, cap) = (floor.max(low.unwrap_or(0)), cap.min(high.unwrap_or(u64::MAX)));
        }
        hundredths = hundredths.max(floor).min(cap);
        let demand = value["demand"].as_u64().expect("a count");
        for area in zone.into_iter().chain([String::new()]) {
            let days = figures.entry((product.to_owned(), area)).or_default();
            let day = days.entry(at.div_euclid(DAY_MS)).or_default();
            day.max = day.max.max(hundredths);
            day.demand += demand;
            day.weighted += demand * hundredths;
        }
        bound.push(format!("{start}:{}}}", decimal(hundredths)));
    }
    bound
}

/// The lowest and the highest hundredths that a rule allows on a day.
fn limits(rule: &Value, days: &BTreeMap<i64, Figures>, today: i64) -> (Option<u64>, Option<u64>) {
    let hundredths = |value: &Value| whole(100.0 * value.as_f64().expect("a multiplier"));
    if let Some(range) = rule["range"].as_array() {
        return (Some(hundredths(&range[0])), Some(hundredths(&range[1])));
    }
    if !rule["max_multiplier"].is_null() {
        return (None, Some(hundredths(&rule["max_multiplier"])));
    }
    if let Some(percent) = rule["max_over_baseline_percent"].as_u64() {
        let [from, until] =
            ["baseline_from", "baseline_until"].map(|name| instant(rule[name].as_str().expect("a time")));
        let whole_days = days
            .iter()
            .filter(|(day, _)| **day < today && **day * DAY_MS >= from && (**day + 1) * DAY_MS <= until);
        let (demand, weighted) = whole_days
            .fold((0, 0), |(demand, weighted), (_, of)| (demand + of.demand, weighted + of.weighted));
        return (None, (weighted * (100 + percent)).checked_div(100 * demand));
    }
    let prior = &rule["max_of_prior_days"];
    let number = prior["days"].as_i64().expect("a number");
    let mut maxima: Vec<u64> = days.range(today - number..today).map(|(_, of)| of.max).collect();
    maxima.sort_unstable();
    maxima.reverse();
    let left_out = usize::try_from(prior["leaving_out"].as_u64().expect("a number")).expect("small");
    (None, maxima.get(left_out).copied())
}

/// A date is the first instant of its day.
fn instant(text: &str) -> i64 {
    time::from_text(text).or_else(|| time::from_text(&format!("{text}T00:00:00Z"))).expect("a date or a time")
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a multiplier in hundredths")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// As rows have multipliers: with one decimal, or with two.
fn decimal(hundredths: u64) -> String {
    let (units, rest) = (hundredths / 100, hundredths % 100);
    if rest % 10 == 0 { format!("{units}.{}", rest / 10) } else { format!("{units}.{rest:02}") }
}
