//! Golden cases of each form of rule, with the laws that they are taken from, and properties over random days.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::geo::locate::Cell;
use crate::policy::Published;
use crate::surge::bounds::{Bounds, OverrideSet};
use crate::surge::daily::{DayFigures, Sample};

/// A city of a time zone with two products, a zone, and these laws.
fn policy(timezone: &str, laws: &Value) -> Policy {
    let square = |from: f64, to: f64| json!({"type": "Polygon", "coordinates": [[[from, from], [to, from], [to, to], [from, to], [from, from]]]});
    let document = json!({
        "city": "city", "timezone": timezone, "currency": "USD", "boundary": square(0.0, 1.0),
        "products": [{"id": "standard"}, {"id": "xl"}],
        "zones": [{"id": "port", "name": "Port", "polygon": square(0.0, 0.1)}],
        "limits": {"max_multiplier": 10.0},
        "laws": laws,
    });
    Policy::from_json(&document).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn law(from: &str, rule: &Value) -> Value {
    json!({"id": "law", "source": "a law", "from": from, "rule": rule})
}

fn at(text: &str) -> i64 {
    crate::time::Timestamp::parse(text.as_bytes()).unwrap().ms()
}

fn day(text: &str) -> LocalDay {
    LocalDay::parse(text).unwrap()
}

/// The days with these samples of the product with this index: zone, hundredths and demand.
fn days(policy: &Policy, product: usize, samples: &[(LocalDay, Option<usize>, u16, u32)]) -> Days {
    let mut days = Days::default();
    for (number, (day, zone, hundredths, demand)) in (1..).zip(samples) {
        let (zone, demand, multiplier) = (*zone, *demand, Multiplier::new(*hundredths).unwrap());
        let sample = Sample { product, zone, multiplier, demand };
        let figures: &mut Arc<DayFigures> = days.entry(*day).or_default();
        Arc::make_mut(figures).add(policy, std::iter::once(sample), 1, (0, number));
    }
    days
}

/// The floor and the cap of a product by the laws, in the port or elsewhere.
fn limits(policy: &Policy, days: &Days, at_ms: i64, product: usize, zone: Option<usize>) -> (u16, u16) {
    let bounds = law_bounds(policy, days, at_ms).into_iter();
    let applicable = bounds.filter(|law| {
        law.product.is_none_or(|of| of == product) && law.zone.is_none_or(|of| zone == Some(of))
    });
    applicable.fold((1, 10_000), |(floor, cap), law| {
        let [floor_of, cap_of] = [law.floor, law.cap].map(|limit| limit.map(Multiplier::hundredths));
        (floor.max(floor_of.unwrap_or(1)), cap.min(cap_of.unwrap_or(10_000)))
    })
}

const NO_LIMIT: (u16, u16) = (1, 10_000);

/// Massachusetts, M.G.L. c. 159A½: in a declared state of emergency no fare is raised above its base.
#[test]
fn a_highest_multiplier_binds_from_its_first_instant_to_its_end() {
    let law = json!({"id": "ma", "source": "M.G.L. c. 159A½", "from": "2026-02-10", "until": "2026-02-12T06:00:00Z",
        "rule": {"max_multiplier": 1.0}});
    let policy = policy("America/New_York", &json!([law]));
    let cap = |time| limits(&policy, &Days::default(), at(time), 0, None);
    // Local midnight is 05:00 UTC.
    for (time, expected) in [
        ("2026-02-10T04:59:59.999Z", NO_LIMIT),
        ("2026-02-10T05:00:00Z", (1, 100)),
        ("2026-02-12T05:59:59.999Z", (1, 100)),
        ("2026-02-12T06:00:00Z", NO_LIMIT),
    ] {
        assert_eq!(cap(time), expected, "{time}");
    }
    let changes = |time| next_law_change(&policy, at(time));
    assert_eq!(changes("2026-02-01T00:00:00Z"), Some(at("2026-02-10T05:00:00Z")));
    assert_eq!(changes("2026-02-10T05:00:00Z"), Some(at("2026-02-12T06:00:00Z")));
    assert_eq!(changes("2026-02-12T06:00:00Z"), None);
}

/// India, Motor Vehicle Aggregator Guidelines 2025: from half to twice the base fare.
#[test]
fn a_range_has_a_floor_and_a_cap() {
    let rule = json!({"range": [0.5, 2.0]});
    let policy = policy("Asia/Kolkata", &json!([law("2025-07-01", &rule)]));
    assert_eq!(limits(&policy, &Days::default(), at("2026-01-01T00:00:00Z"), 1, Some(0)), (50, 200));
    let bounds = law_bounds(&policy, &Days::default(), at("2026-01-01T00:00:00Z"));
    let bounds = Bounds::new(&policy, &OverrideSet::default(), bounds, at("2026-01-01T00:00:00Z"));
    let cell = Cell::parse("887541ada9fffff").unwrap();
    for (published, reported) in [(20, 100), (100, 100), (130, 130), (400, 200)] {
        // The city's own floor is 1.0.
        let published = Published::new(published).unwrap();
        assert_eq!(bounds.at(0, cell).report(published).0.hundredths(), reported);
    }
}

/// New York, agreement of the Attorney General with Uber of July 2014 on General Business Law § 396-r: no more than the
/// highest price of the 60 days before, the three days with the highest prices left out.
#[test]
fn the_highest_of_prior_days_leaves_out_the_highest() {
    let rule = json!({"max_of_prior_days": {"days": 60, "leaving_out": 3}});
    let policy = policy("America/New_York", &json!([law("2026-03-01", &rule)]));
    let before = |number: i32| day("2026-03-10").plus(-number);
    let maxima: Vec<_> = [(61, 900), (60, 300), (9, 250), (8, 800), (2, 210), (1, 180)]
        .map(|(n, max)| (before(n), None, max, 5))
        .into();
    let known = days(&policy, 0, &maxima);
    // The 10th begins at 04:00 UTC, after clocks went forward on the 8th.
    let morning = at("2026-03-10T04:00:00Z");
    assert_eq!(limits(&policy, &known, morning, 0, None), (1, 210), "800, 300 and 250 are left out");
    assert_eq!(
        limits(&policy, &known, morning, 0, Some(0)),
        (1, 210),
        "the city's figure binds in a zone, too"
    );
    assert_eq!(
        limits(&policy, &known, morning - 1, 0, None),
        (1, 250),
        "the day before has other prior days"
    );
    assert_eq!(next_law_change(&policy, morning - 1), Some(morning));
    assert_eq!(limits(&policy, &known, morning, 1, None), NO_LIMIT, "another product has no figures");
    let few = days(&policy, 0, &maxima[1..4]);
    assert_eq!(
        limits(&policy, &few, morning, 0, None),
        NO_LIMIT,
        "three days are not more than are left out"
    );
    assert_eq!(first_day_needed(&policy, morning), Some(before(60)));
}

/// California, Penal Code § 396: not more than 10 % above the price before the emergency.
#[test]
fn a_share_over_a_baseline_is_cut_down_to_hundredths() {
    let rule = json!({"max_over_baseline_percent": 10, "baseline_from": "2025-12-01", "baseline_until": "2025-12-04"});
    let policy = policy("America/Los_Angeles", &json!([law("2026-01-07", &rule)]));
    let known = days(
        &policy,
        0,
        &[
            (day("2025-11-30"), None, 900, 100),
            (day("2025-12-01"), None, 100, 6),
            (day("2025-12-02"), None, 200, 0),
            (day("2025-12-03"), None, 137, 1),
            (day("2025-12-04"), None, 900, 100),
        ],
    );
    let now = at("2026-01-08T00:00:00Z");
    // (600 + 137) / 7 = 105.28…, and 10 % more 115.81…
    assert_eq!(limits(&policy, &known, now, 0, None), (1, 115));
    assert_eq!(
        limits(&policy, &known, at("2026-01-07T07:59:59Z"), 0, None),
        NO_LIMIT,
        "it is not in force yet"
    );
    let no_demand = days(&policy, 0, &[(day("2025-12-02"), None, 200, 0)]);
    assert_eq!(limits(&policy, &no_demand, now, 0, None), NO_LIMIT, "without demand there is no baseline");
    assert_eq!(first_day_needed(&policy, now), Some(day("2025-12-01")));
}

#[test]
fn a_baseline_has_the_whole_days_of_its_time_that_are_over() {
    let rule = json!({"max_over_baseline_percent": 0, "baseline_from": "2026-01-01T12:00:00Z",
        "baseline_until": "2026-01-05T12:00:00Z"});
    let policy = policy("UTC", &json!([law("2026-01-01", &rule)]));
    let samples: Vec<_> =
        (1..=6).map(|n| (day("2026-01-01").plus(n - 1), None, 100 * u16::try_from(n).unwrap(), 1)).collect();
    let known = days(&policy, 0, &samples);
    let cap = |time| limits(&policy, &known, at(time), 0, None).1;
    assert_eq!(cap("2026-01-02T23:00:00Z"), 10_000, "the second is not over");
    assert_eq!(cap("2026-01-03T00:00:00Z"), 200);
    assert_eq!(cap("2026-01-04T00:00:00Z"), 250);
    assert_eq!(cap("2026-02-01T00:00:00Z"), 300, "the 2nd to the 4th");
}

#[test]
fn a_law_of_a_zone_and_product_has_their_figures_alone() {
    let rule = json!({"max_of_prior_days": {"days": 5, "leaving_out": 0}});
    let mut one = law("2026-01-01", &rule);
    one["zone"] = "port".into();
    one["product"] = "xl".into();
    let policy = policy("UTC", &json!([one]));
    let yesterday = day("2026-01-09");
    let known = days(&policy, 1, &[(yesterday, Some(0), 150, 1), (yesterday, None, 300, 1)]);
    let now = at("2026-01-10T00:00:00Z");
    assert_eq!(limits(&policy, &known, now, 1, Some(0)), (1, 150));
    assert_eq!(limits(&policy, &known, now, 1, None), NO_LIMIT);
    assert_eq!(limits(&policy, &known, now, 0, Some(0)), NO_LIMIT);
    let city = known[&yesterday].of(&policy.products[1].id, None).unwrap();
    assert_eq!((city.max.hundredths(), city.demand, city.weighted), (300, 2, 450), "the city has all cells");
}

#[test]
fn figures_are_read_back_as_they_were_written() {
    let policy = policy("UTC", &json!([]));
    let mut figures = DayFigures::default();
    let sample = |product, zone, hundredths, demand| {
        let multiplier = Multiplier::new(hundredths).unwrap();
        Sample { product, zone, multiplier, demand }
    };
    figures.add(
        &policy,
        [sample(0, None, 100, 0), sample(1, Some(0), 10_000, u32::MAX)].into_iter(),
        u64::from(u32::MAX),
        (-7, 9),
    );
    assert_eq!(DayFigures::decode(&figures.encode()), Ok(figures.clone()));
    let mut bytes = figures.encode();
    bytes[9] ^= 1;
    assert!(DayFigures::decode(&bytes).is_err());
    assert!(figures.includes(-7, 9) && !figures.includes(-7, 10) && !figures.includes(-8, 9));
}

#[test]
fn local_days_have_numbers_dates_and_first_instants() {
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    for (date, number, start) in [
        ("1970-01-01", 0, "1970-01-01T05:00:00Z"),
        ("2026-03-08", 20_520, "2026-03-08T05:00:00Z"),
        ("2026-03-09", 20_521, "2026-03-09T04:00:00Z"),
    ] {
        let of = day(date);
        assert_eq!((of.number(), of.to_string().as_str()), (number, date));
        assert_eq!(of.start_ms(&zone), at(start));
        assert_eq!(LocalDay::of(at(start), &zone), of);
        assert_eq!(LocalDay::of(at(start) - 1, &zone), of.plus(-1));
        assert_eq!(LocalDay::new(number), Some(of));
    }
    // Midnight did not exist in Sao Paulo on this day.
    let zone = jiff::tz::TimeZone::get("America/Sao_Paulo").unwrap();
    assert_eq!(day("2018-11-04").start_ms(&zone), at("2018-11-04T03:00:00Z"));
    assert_eq!(LocalDay::parse("20260308"), None);
    let far = LocalDay::of(i64::MAX, &zone);
    assert!(far.plus(i32::MAX).number() >= far.number() && LocalDay::new(i32::MAX).is_none());
    assert!(LocalDay::of(i64::MIN, &zone).plus(i32::MIN).number() < 0);
}

fn any_rule() -> impl Strategy<Value = Value> {
    prop_oneof![
        (1_u16..=500).prop_map(|max| json!({"max_multiplier": f64::from(max) / 100.0})),
        (1_u16..=200, 0_u16..=300).prop_map(|(min, more)| {
            json!({"range": [f64::from(min) / 100.0, f64::from(min + more) / 100.0]})
        }),
        (0_u16..=100).prop_map(|percent| json!({"max_over_baseline_percent": percent,
            "baseline_from": "2026-01-02", "baseline_until": "2026-01-20"})),
        (1_u16..=30, 0_u16..=29).prop_map(|(days, out)| {
            json!({"max_of_prior_days": {"days": days, "leaving_out": out.min(days - 1)}})
        }),
    ]
}

proptest! {
    /// No state reports a multiplier above the cap of a law in force, and none below a floor of one unless a cap demands it.
    #[test]
    fn no_reported_multiplier_is_beyond_a_law_in_force(
        rules in prop::collection::vec((any_rule(), prop::option::of(0..2_usize), any::<bool>()), 1..5),
        samples in prop::collection::vec((0..40_i32, prop::option::of(Just(0_usize)), 1_u16..=10_000, 0..9_u32), 0..60),
        of_product in 0..2_usize,
        published in 1_u16..=12_100,
        (today, product) in (0..50_i32, 0..2_usize),
    ) {
        let laws: Vec<Value> = (0..).zip(&rules).map(|(number, (rule, product, in_zone))| {
            let mut law = json!({"id": format!("law{number}"), "source": "a law", "from": "2026-01-01", "rule": rule});
            if let Some(product) = product {
                law["product"] = ["standard", "xl"][*product].into();
            }
            if *in_zone {
                law["zone"] = "port".into();
            }
            law
        }).collect();
        let policy = policy("Pacific/Auckland", &laws.into());
        let first = day("2026-01-01");
        let samples: Vec<_> = samples.iter().map(|&(n, zone, max, demand)| (first.plus(n), zone, max, demand)).collect();
        let known = days(&policy, of_product, &samples);
        let now = first.plus(today).start_ms(&policy.timezone) + 3_600_000;
        let bounds = law_bounds(&policy, &known, now);
        let in_force = Bounds::new(&policy, &OverrideSet::default(), bounds.clone(), now);
        let published = Published::new(published).unwrap();
        for place in [[0.05, 0.05], [0.5, 0.5]] {
            let cell = policy.cell_at(crate::event::Position { lng: place[0], lat: place[1] });
            let zone = in_force.zone(cell);
            let reported = in_force.at(product, cell).report(published).0;
            let (floor, cap) = limits(&policy, &known, now, product, zone);
            prop_assert!(reported.hundredths() <= cap, "{reported:?} above {cap}: {bounds:?}");
            prop_assert!(reported.hundredths() >= floor.min(cap), "{reported:?} below {floor}: {bounds:?}");
        }
    }
}
