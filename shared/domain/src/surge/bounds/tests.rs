//! Tests of the bounds in force.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::Position;
use crate::geo::locate::cell_at;
use crate::policy::overrides::{Creation, OverrideRequest};

/// 2026-03-02T05:00:00Z.
const NOW: i64 = 1_772_427_600_000;

fn square(west: f64, south: f64, side: f64) -> Value {
    let (east, north) = (west + side, south + side);
    json!({"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]})
}

fn policy() -> Policy {
    let zones = json!([
        {"id": "a", "polygon": square(0.0, 0.0, 2.0), "limits": {"max_multiplier": 2.5}},
        {"id": "b", "polygon": square(1.0, 1.0, 2.0), "limits": {"min_multiplier": 1.5, "max_multiplier": 1.2}},
        {"id": "c", "polygon": square(10.0, 10.0, 1.0), "limits": {"min_multiplier": 0.5, "max_multiplier": 50}},
    ]);
    let document = json!({
        "city": "test", "currency": "USD", "boundary": square(0.0, 0.0, 60.0), "zones": zones,
        "products": [{"id": "standard"}, {"id": "xl"}],
    });
    Policy::from_json(&document).unwrap()
}

fn cell(lng: f64, lat: f64) -> Cell {
    cell_at(Position { lat, lng }, h3o::Resolution::Eight)
}

fn published(hundredths: u16) -> Published {
    Published::new(hundredths).unwrap()
}

/// An override in force from `from` to `until` seconds after `NOW`.
fn one(id: &str, of: Value, (from, until): (i64, i64)) -> Arc<Override> {
    let mut request = of;
    let time = |s: i64| crate::time::Timestamp::from_ms(NOW + s * 1_000).unwrap().to_string();
    request["starts_at"] = time(from).into();
    request["ends_at"] = time(until).into();
    request["reason"] = "test".into();
    let request = OverrideRequest::read(&request.to_string(), &policy(), NOW).unwrap();
    Arc::new(request.create(Creation { id, author: "local", now_ms: NOW }))
}

fn bounds(overrides: Vec<Arc<Override>>, laws: Vec<LawBound>, at_s: i64) -> Bounds {
    let set = OverrideSet { created: overrides.len() as u64, overrides };
    Bounds::new(&policy(), &set, laws, NOW + at_s * 1_000)
}

fn reported(bounds: &Bounds, place: Cell, hundredths: u16) -> (u16, Decided) {
    let (multiplier, decided) = bounds.at(0, place).report(published(hundredths));
    (multiplier.hundredths(), decided)
}

#[test]
fn limits_are_those_of_the_city_tightened_by_the_first_zone() {
    let bounds = bounds(vec![], vec![], 0);
    for (place, floor, cap) in [
        (cell(50.0, 50.0), 100, 500),
        (cell(0.5, 0.5), 100, 250),
        (cell(1.5, 1.5), 100, 250),
        (cell(2.5, 2.5), 120, 120),
        (cell(10.5, 10.5), 100, 500),
    ] {
        assert_eq!(reported(&bounds, place, 1).0, floor);
        assert_eq!(reported(&bounds, place, 12_100).0, cap);
    }
    assert_eq!(reported(&bounds, cell(50.0, 50.0), 170), (170, Decided::Published));
    assert_eq!(reported(&bounds, cell(0.5, 0.5), 260), (250, Decided::Limit));
}

#[test]
fn the_highest_floor_and_the_lowest_cap_of_all_overrides_bind_and_a_cap_wins() {
    let place = cell(50.0, 50.0);
    let cap = |id, value: f64| one(id, json!({"kind": "cap", "multiplier": value}), (0, 60));
    let floor = |id, value: f64| one(id, json!({"kind": "floor", "multiplier": value}), (0, 60));
    let bound = bounds(vec![cap("a", 3.0), cap("b", 2.0), floor("c", 1.2), floor("d", 1.4)], vec![], 0);
    assert_eq!(reported(&bound, place, 250), (200, Decided::Override));
    assert_eq!(reported(&bound, place, 100), (140, Decided::Override));
    assert_eq!(reported(&bound, place, 170), (170, Decided::Published));
    let crossed = bounds(vec![cap("a", 1.1), floor("b", 2.0)], vec![], 0);
    assert_eq!(reported(&crossed, place, 100).0, 110, "a floor above a cap yields");
    let looser = bounds(vec![cap("a", 9.0), floor("b", 0.5)], vec![], 0);
    assert_eq!(reported(&looser, place, 900), (500, Decided::Limit), "the policy's cap is lower");
}

#[test]
fn an_override_binds_its_product_place_and_time_alone() {
    let cap = json!({"kind": "cap", "multiplier": 1.5, "product": "xl", "polygon": square(40.0, 40.0, 5.0)});
    let overrides = vec![one("a", cap, (10, 20))];
    let at = |product, place, s| {
        bounds(overrides.clone(), vec![], s).at(product, place).report(published(200)).0.hundredths()
    };
    assert_eq!(at(1, cell(42.0, 42.0), 10), 150);
    for (product, place, s) in [
        (0, cell(42.0, 42.0), 10),
        (1, cell(50.0, 50.0), 10),
        (1, cell(42.0, 42.0), 9),
        (1, cell(42.0, 42.0), 20),
    ] {
        assert_eq!(at(product, place, s), 200);
    }
}

#[test]
fn the_earliest_freeze_counts_and_limits_apply_after_it() {
    let place = cell(50.0, 50.0);
    let freeze = |id, from| one(id, json!({"kind": "freeze"}), (from, 60));
    let cap = one("c", json!({"kind": "cap", "multiplier": 1.5}), (0, 60));
    let bound = bounds(vec![freeze("b", 5), freeze("a", 2), cap], vec![], 6);
    let cell_bounds = bound.at(0, place);
    assert_eq!(cell_bounds.freeze, Some(NOW + 2_000));
    assert_eq!(cell_bounds.report(published(190)), (Multiplier::new(150).unwrap(), Decided::Override));
    assert_eq!(bound.freezes().collect::<Vec<_>>(), [NOW + 2_000, NOW + 5_000]);
}

#[test]
fn a_kill_comes_after_limits_and_laws_come_last() {
    let place = cell(2.5, 2.5);
    let kill = one("k", json!({"kind": "kill"}), (0, 60));
    assert_eq!(reported(&bounds(vec![kill.clone()], vec![], 0), place, 300), (100, Decided::Override));
    let hundredths = |value| Multiplier::new(value);
    let law = |zone, floor, cap| LawBound { id: "law".into(), product: None, zone, floor, cap };
    let lawful = bounds(vec![kill], vec![law(None, hundredths(105), hundredths(200))], 0);
    assert_eq!(reported(&lawful, place, 300), (105, Decided::Limit));
    let of_zone = bounds(vec![], vec![law(Some(0), None, hundredths(110))], 0);
    assert_eq!(reported(&of_zone, cell(0.5, 0.5), 300).0, 110);
    assert_eq!(reported(&of_zone, cell(50.0, 50.0), 300).0, 300);
}

#[test]
fn the_list_has_every_bound_in_the_order_in_which_they_apply() {
    let place = cell(0.5, 0.5);
    let overrides = vec![
        one("f", json!({"kind": "freeze"}), (0, 60)),
        one("c", json!({"kind": "cap", "multiplier": 2.0}), (0, 60)),
        one("k", json!({"kind": "kill"}), (0, 60)),
    ];
    let laws = vec![LawBound {
        id: "l".into(),
        product: None,
        zone: None,
        floor: Multiplier::new(110),
        cap: Multiplier::new(300),
    }];
    let bound = bounds(overrides, laws, 0);
    let list: Vec<_> = bound
        .list(0, place, (published(150), published(240)))
        .into_iter()
        .map(|one| (one.source, one.kind, one.value.hundredths(), one.binds))
        .collect();
    let expected = [
        ("override f", "freeze", 240, true),
        ("policy", "floor", 100, false),
        ("policy", "cap", 500, false),
        ("zone a", "cap", 250, false),
        ("override c", "cap", 200, true),
        ("override k", "kill", 100, true),
        ("law l", "floor", 110, true),
        ("law l", "cap", 300, false),
    ];
    assert_eq!(list, expected.map(|(source, kind, value, binds)| (source.to_owned(), kind, value, binds)));
    assert_eq!(reported(&bound, place, 240).0, 110);
}

#[test]
fn every_start_and_end_is_a_change_once() {
    let overrides = vec![
        one("a", json!({"kind": "cap", "multiplier": 2.0}), (1, 9)),
        one("b", json!({"kind": "freeze"}), (5, 7)),
    ];
    let set = OverrideSet { created: 3, overrides };
    let changes: Vec<u64> = [0, 1, 5, 7, 9].map(|s| set.changes(NOW + s * 1_000)).into();
    assert_eq!(changes, [2, 3, 4, 5, 6], "one more has ended before");
    let next = |s: i64| set.next_change(NOW + s * 1_000).map(|at| (at - NOW) / 1_000);
    assert_eq!([0, 1, 5, 7, 9].map(next), [Some(1), Some(5), Some(7), Some(9), None]);
}

fn any_override() -> impl Strategy<Value = Value> {
    let place =
        prop_oneof![Just(None), Just(Some(square(0.0, 0.0, 1.2))), Just(Some(square(1.0, 1.0, 50.0)))];
    let kind = prop::sample::select(vec!["cap", "floor", "freeze", "kill"]);
    (kind, 1_u16..=1_000, place, prop::option::of(prop::sample::select(vec!["standard", "xl"]))).prop_map(
        |(kind, hundredths, polygon, product)| {
            let multiplier = matches!(kind, "cap" | "floor").then(|| f64::from(hundredths) / 100.0);
            json!({"kind": kind, "multiplier": multiplier, "polygon": polygon, "product": product})
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_reported_beyond_a_cap_or_law_in_force_and_the_list_explains_it(
        overrides in prop::collection::vec(any_override(), 0..6), law in prop::option::of((1_u16..=300, 1_u16..=500)),
        (lng, lat) in (0.1..20.0_f64, 0.1..20.0_f64), hundredths in 1_u16..=12_100, frozen in 1_u16..=12_100, product in 0_usize..2,
    ) {
        let overrides = overrides.into_iter().enumerate();
        let overrides = overrides.map(|(id, of)| one(&id.to_string(), of, (0, 60))).collect();
        let laws = law.map(|(floor, cap)| LawBound {
            id: "l".into(), product: None, zone: None, floor: Multiplier::new(floor), cap: Multiplier::new(cap),
        });
        let bound = bounds(overrides, laws.into_iter().collect(), 0);
        let place = cell(lng, lat);
        let cell_bounds = bound.at(product, place);
        let before = published(if cell_bounds.freeze.is_some() { frozen } else { hundredths });
        let (multiplier, decided) = cell_bounds.report(before);
        let list = bound.list(product, place, (published(hundredths), published(frozen)));
        // A kill may raise a multiplier above a cap, and a law's floor any.
        let is_raised = law.is_some() || list.iter().any(|one| one.kind == "kill");
        for one in list.iter().filter(|one| one.kind == "cap") {
            let is_law = one.source.starts_with("law");
            prop_assert!(is_raised && !is_law || multiplier.hundredths() <= one.value.hundredths(), "{one:?}");
        }
        // Applying the bounds that bind, in their order, gives the multiplier.
        let mut value = hundredths;
        for one in list.iter().filter(|one| one.binds) {
            value = one.value.hundredths();
        }
        prop_assert_eq!(value, multiplier.hundredths());
        if decided == Decided::Published {
            prop_assert_eq!(Published::from(multiplier), before);
        }
    }
}
