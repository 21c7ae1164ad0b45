//! The effects of a new pricing config.

use super::*;

fn fixture() -> Fixture {
    let mut fixture = Fixture::new(1, config(json!({"surge": {"half_life_ms": 5_000}})));
    fixture.report(0, 0, 5_000, &[(HERE, 10)], &[(THERE, 1)]);
    // D = 10, S = 0.35, so r = 5.1 and the raw multiplier is 2.47: half the way to it is 1.74.
    assert_eq!(at(&fixture.end().1[0], HERE), Some((10, 0, 170)));
    fixture
}

#[test]
fn a_new_policy_keeps_the_multiplier_of_every_cell() {
    let mut fixture = fixture();
    fixture.city.apply_config(&config(
        json!({"surge": {"half_life_ms": 5_000, "curve": "table", "table": [[1.0, 1.0]]}}),
    ));
    assert!(fixture.end().1.is_empty());
    fixture.report(0, 0, 10_000, &[(HERE, 10)], &[(THERE, 1)]);
    // Half the way back to 1 from 1.74.
    let (_, ticks) = fixture.end();
    assert_eq!((ticks[0].version, at(&ticks[0], HERE)), (2, Some((10, 0, 140))));
    assert_eq!(at(&ticks[0], THERE).map(|(_, supply, _)| supply), Some(1));
}

#[test]
fn counts_stay_in_effect_under_a_new_config() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 10)], &[]);
    fixture.report(1, 0, 5_000, &[(HERE, 1)], &[(HERE, 2)]);
    fixture.end();
    fixture.city.apply_config(&config(json!({"surge": {"curve": "linear"}})));
    fixture.report(0, 0, 10_000, &[(HERE, 10)], &[]);
    fixture.report(1, 0, 10_000, &[(HERE, 1)], &[(HERE, 2)]);
    let (_, ticks) = fixture.end();
    assert_eq!(at(&ticks[0], HERE).map(|(demand, supply, _)| (demand, supply)), Some((11, 2)));
}

#[test]
fn a_lower_cap_lowers_what_may_be_published_from_the_next_tick() {
    let mut fixture = fixture();
    let surge = json!({"half_life_ms": 1_000_000_000});
    fixture.city.apply_config(&config(json!({"surge": surge, "limits": {"max_multiplier": 1.25}})));
    fixture.report(0, 0, 10_000, &[(HERE, 10)], &[(THERE, 1)]);
    let (_, ticks) = fixture.end();
    assert_eq!(at(&ticks[0], HERE), Some((10, 0, 150)));
    let change = ticks[0].changes.iter().find(|change| change.row.cell == Cell(HERE)).unwrap();
    assert_eq!((change.before, change.row.published.hundredths()), (170, 150));
}

#[test]
fn cells_of_another_resolution_start_over() {
    let mut fixture = fixture();
    fixture.published.clear();
    fixture.city.apply_config(&config(json!({"resolution": 7})));
    let parent = u64::from(Cell(HERE).h3().unwrap().parent(h3o::Resolution::Seven).unwrap());
    fixture.report(0, 0, 10_000, &[(parent, 10)], &[]);
    let (_, ticks) = fixture.end();
    assert_eq!(at(&ticks[0], parent), Some((10, 0, 120)));
    assert!(ticks[0].rows.iter().all(|row| row.cell.h3().unwrap().resolution() == h3o::Resolution::Seven));
}

#[test]
fn a_product_keeps_its_multipliers_by_name() {
    let mut fixture = fixture();
    let surge = json!({"half_life_ms": 1_000_000_000});
    fixture
        .city
        .apply_config(&config(json!({"surge": surge, "products": [{"id": "xl"}, {"id": "standard"}]})));
    let mut reports = TickCountsWriter::default();
    // The lane does not have the new policy yet, so its product table is the old one.
    reports.add_tick(10_000, 5_000, Contact::default(), std::iter::empty(), [count(HERE, 1, 10)].into_iter());
    fixture.report_of(&["standard"], 0, 0, reports);
    let (_, ticks) = fixture.end();
    let rows: Vec<_> = ticks[0].rows.iter().filter(|row| row.cell == Cell(HERE)).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].product, rows[0].demand, rows[0].published.hundredths()), (1, 10, 170));
}

#[test]
fn counts_are_mapped_from_the_lanes_product_table() {
    let mut fixture = Fixture::new(2, config(json!({"products": [{"id": "xl"}, {"id": "boat"}]})));
    let mut reports = TickCountsWriter::default();
    // Bit 1 is gone, 2 is boat, 4 is xl, so 5 and 4 are the same set here, and 1 is empty.
    let supply =
        [count(HERE, 1, 9), count(HERE, 2, 1), count(HERE, 4, 2), count(HERE, 5, 4), count(HERE, 7, 8)];
    reports.add_tick(
        5_000,
        5_000,
        Contact::default(),
        supply.into_iter(),
        [count(HERE, 1, 5), count(HERE, 4, 3)].into_iter(),
    );
    fixture.report_of(&["gone", "boat", "xl"], 0, 0, reports);
    fixture.report_empty(1, 0, 5_000, 5_000);
    let (_, ticks) = fixture.end();
    let of = |product: u8| {
        let row = ticks[0].rows.iter().find(|row| row.cell == Cell(HERE) && row.product == product);
        row.map(|row| (row.demand, row.supply))
    };
    assert_eq!((of(0), of(1)), (Some((3, 14)), Some((0, 9))));
    assert_eq!(ticks[0].rows.iter().filter(|row| row.cell == Cell(HERE)).count(), 2);
}

#[test]
fn pending_ticks_are_mapped_to_a_new_product_table() {
    let mut fixture = Fixture::new(2, config(json!({"products": [{"id": "xl"}, {"id": "boat"}]})));
    let mut reports = TickCountsWriter::default();
    reports.add_tick(
        5_000,
        5_000,
        Contact::default(),
        [count(HERE, 2, 1)].into_iter(),
        [count(HERE, 1, 5)].into_iter(),
    );
    fixture.report_of(&["xl", "boat"], 0, 0, reports);
    fixture.end();
    fixture.city.apply_config(&config(json!({"products": [{"id": "boat"}]})));
    fixture.report_empty(1, 0, 5_000, 5_000);
    let (_, ticks) = fixture.end();
    let rows: Vec<_> = ticks[0].rows.iter().filter(|row| row.cell == Cell(HERE)).collect();
    assert_eq!(rows.iter().map(|row| (row.product, row.demand, row.supply)).collect::<Vec<_>>(), [(0, 0, 1)]);
}

#[test]
fn an_equal_config_is_not_logged() {
    let mut fixture = Fixture::new(1, config(json!({})));
    let first = fixture.end().0;
    fixture.city.apply_config(&config(json!({})));
    let idle = fixture.end().0;
    assert!(idle.len() < 40 && first.len() > 200, "{} {}", first.len(), idle.len());
    fixture.city.apply_config(&Arc::new(PricingConfig { max_hold_ms: 1, ..(*config(json!({}))).clone() }));
    assert!(fixture.end().0.len() > 200);
}

#[test]
fn a_new_hold_applies_at_once() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 1)], &[]);
    fixture.city.apply_config(&Arc::new(PricingConfig { max_hold_ms: 1, ..(*config(json!({}))).clone() }));
    fixture.report(0, 1, 10_000, &[(HERE, 1)], &[]);
    assert_eq!(fixture.closed(), [(5_000, 1, 1)]);
}

#[test]
fn a_config_that_prices_alike_changes_no_multiplier() {
    let two = json!([{"id": "standard"}, {"id": "xl"}]);
    let before = config(json!({"products": two}));
    let after = config(json!({"products": two, "quote": {"ttl_ms": 60_000}}));
    let rows = |changes_config: bool| {
        let mut fixture = Fixture::new(1, Arc::clone(&before));
        let mut seen = Vec::new();
        for tick in 1..=12 {
            if changes_config && tick == 7 {
                fixture.city.apply_config(&after);
            }
            let mut reports = TickCountsWriter::default();
            let demand = [count(HERE, 1, 2), count(THERE, 2, 9)];
            reports.add_tick(
                tick * 5_000,
                5_000,
                Contact::default(),
                [count(HERE, 3, 1)].into_iter(),
                demand.into_iter(),
            );
            fixture.report_of(&["standard", "xl"], 0, 1, reports);
            seen.push(fixture.end().1.pop().unwrap().rows);
        }
        seen
    };
    let unchanged = rows(false);
    assert!(unchanged[11].iter().any(|row| row.published.hundredths() > 100));
    assert_eq!(rows(true), unchanged);
}
