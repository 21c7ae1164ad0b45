//! What other terms change, and what they leave.

use super::*;

fn town() -> Town {
    let mut town = Town::new(1, terms(json!({"surge": {"half_life_ms": 5_000}})));
    town.tell(0, 0, 5_000, &[(HERE, 10)], &[(THERE, 1)]);
    // D = 10, S = 0.35, so r = 5.1 and the raw multiplier is 2.47: half the way to it is 1.74.
    assert_eq!(at(&town.end().1[0], HERE), Some((10, 0, 170)));
    town
}

#[test]
fn another_policy_goes_on_with_the_memory_of_every_cell() {
    let mut town = town();
    town.market.apply_config(&terms(
        json!({"surge": {"half_life_ms": 5_000, "curve": "table", "table": [[1.0, 1.0]]}}),
    ));
    assert!(town.end().1.is_empty());
    town.tell(0, 0, 10_000, &[(HERE, 10)], &[(THERE, 1)]);
    // Half the way back to 1 from 1.74.
    let (_, ticks) = town.end();
    assert_eq!((ticks[0].version, at(&ticks[0], HERE)), (2, Some((10, 0, 140))));
    assert_eq!(at(&ticks[0], THERE).map(|(_, supply, _)| supply), Some(1));
}

#[test]
fn what_lanes_count_counts_on_under_other_terms() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 10)], &[]);
    town.tell(1, 0, 5_000, &[(HERE, 1)], &[(HERE, 2)]);
    town.end();
    town.market.apply_config(&terms(json!({"surge": {"curve": "linear"}})));
    town.tell(0, 0, 10_000, &[(HERE, 10)], &[]);
    town.tell(1, 0, 10_000, &[(HERE, 1)], &[(HERE, 2)]);
    let (_, ticks) = town.end();
    assert_eq!(at(&ticks[0], HERE).map(|(demand, supply, _)| (demand, supply)), Some((11, 2)));
}

#[test]
fn other_limits_hold_from_the_next_tick_and_are_a_change() {
    let mut town = town();
    let surge = json!({"half_life_ms": 1_000_000_000});
    town.market.apply_config(&terms(json!({"surge": surge, "limits": {"max_multiplier": 1.25}})));
    town.tell(0, 0, 10_000, &[(HERE, 10)], &[(THERE, 1)]);
    let (_, ticks) = town.end();
    assert_eq!(at(&ticks[0], HERE), Some((10, 0, 125)));
    let change = ticks[0].changes.iter().find(|change| change.row.cell == Cell(HERE)).unwrap();
    assert_eq!((change.before, change.row.multiplier.hundredths()), (170, 125));
}

#[test]
fn cells_of_another_size_begin_anew() {
    let mut town = town();
    town.shown.clear();
    town.market.apply_config(&terms(json!({"resolution": 7})));
    let parent = u64::from(Cell(HERE).h3().unwrap().parent(h3o::Resolution::Seven).unwrap());
    town.tell(0, 0, 10_000, &[(parent, 10)], &[]);
    let (_, ticks) = town.end();
    assert_eq!(at(&ticks[0], parent), Some((10, 0, 120)));
    assert!(ticks[0].rows.iter().all(|row| row.cell.h3().unwrap().resolution() == h3o::Resolution::Seven));
}

#[test]
fn a_products_memory_goes_with_its_name() {
    let mut town = town();
    let surge = json!({"half_life_ms": 1_000_000_000});
    town.market.apply_config(&terms(json!({"surge": surge, "products": [{"id": "xl"}, {"id": "standard"}]})));
    let mut reports = TickCountsWriter::default();
    // A lane that has not heard of the change numbers the products as before.
    reports.add_tick(10_000, 5_000, std::iter::empty(), [count(HERE, 1, 10)].into_iter());
    town.tell_of(&["standard"], 0, 0, reports);
    let (_, ticks) = town.end();
    let rows: Vec<_> = ticks[0].rows.iter().filter(|row| row.cell == Cell(HERE)).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].product, rows[0].demand, rows[0].multiplier.hundredths()), (1, 10, 170));
}

#[test]
fn counts_are_told_apart_by_the_lanes_own_products() {
    let mut town = Town::new(2, terms(json!({"products": [{"id": "xl"}, {"id": "boat"}]})));
    let mut reports = TickCountsWriter::default();
    // 1 is gone, 2 is the boat, 4 is xl: 5 and 4 serve the same here, and 1 nothing.
    let supply =
        [count(HERE, 1, 9), count(HERE, 2, 1), count(HERE, 4, 2), count(HERE, 5, 4), count(HERE, 7, 8)];
    reports.add_tick(5_000, 5_000, supply.into_iter(), [count(HERE, 1, 5), count(HERE, 4, 3)].into_iter());
    town.tell_of(&["gone", "boat", "xl"], 0, 0, reports);
    town.tell_empty(1, 0, 5_000, 5_000);
    let (_, ticks) = town.end();
    let of = |product: u8| {
        let row = ticks[0].rows.iter().find(|row| row.cell == Cell(HERE) && row.product == product);
        row.map(|row| (row.demand, row.supply))
    };
    assert_eq!((of(0), of(1)), (Some((3, 14)), Some((0, 9))));
    assert_eq!(ticks[0].rows.iter().filter(|row| row.cell == Cell(HERE)).count(), 2);
}

#[test]
fn what_waits_for_its_tick_is_renumbered_with_the_rest() {
    let mut town = Town::new(2, terms(json!({"products": [{"id": "xl"}, {"id": "boat"}]})));
    let mut reports = TickCountsWriter::default();
    reports.add_tick(5_000, 5_000, [count(HERE, 2, 1)].into_iter(), [count(HERE, 1, 5)].into_iter());
    town.tell_of(&["xl", "boat"], 0, 0, reports);
    town.end();
    town.market.apply_config(&terms(json!({"products": [{"id": "boat"}]})));
    town.tell_empty(1, 0, 5_000, 5_000);
    let (_, ticks) = town.end();
    let rows: Vec<_> = ticks[0].rows.iter().filter(|row| row.cell == Cell(HERE)).collect();
    assert_eq!(rows.iter().map(|row| (row.product, row.demand, row.supply)).collect::<Vec<_>>(), [(0, 0, 1)]);
}

#[test]
fn the_same_terms_again_are_not_written_down_again() {
    let mut town = Town::new(1, terms(json!({})));
    let first = town.end().0;
    town.market.apply_config(&terms(json!({})));
    let idle = town.end().0;
    assert!(idle.len() < 40 && first.len() > 200, "{} {}", first.len(), idle.len());
    town.market.apply_config(&Arc::new(PricingConfig { max_hold_ms: 1, ..(*terms(json!({}))).clone() }));
    assert!(town.end().0.len() > 200);
}

#[test]
fn another_hold_is_waited_from_then_on() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 1)], &[]);
    town.market.apply_config(&Arc::new(PricingConfig { max_hold_ms: 1, ..(*terms(json!({}))).clone() }));
    town.tell(0, 1, 10_000, &[(HERE, 1)], &[]);
    assert_eq!(town.closed(), [(5_000, 1, 1)]);
}

#[test]
fn terms_that_price_alike_change_no_price_of_any_cell_and_product() {
    let two = json!([{"id": "standard"}, {"id": "xl"}]);
    let before = terms(json!({"products": two}));
    let after = terms(json!({"products": two, "quote": {"ttl_ms": 60_000}}));
    let rows = |adopts: bool| {
        let mut town = Town::new(1, Arc::clone(&before));
        let mut seen = Vec::new();
        for tick in 1..=12 {
            if adopts && tick == 7 {
                town.market.apply_config(&after);
            }
            let mut reports = TickCountsWriter::default();
            let demand = [count(HERE, 1, 2), count(THERE, 2, 9)];
            reports.add_tick(tick * 5_000, 5_000, [count(HERE, 3, 1)].into_iter(), demand.into_iter());
            town.tell_of(&["standard", "xl"], 0, 1, reports);
            seen.push(town.end().1.pop().unwrap().rows);
        }
        seen
    };
    let calm = rows(false);
    assert!(calm[11].iter().any(|row| row.multiplier.hundredths() > 100));
    assert_eq!(rows(true), calm);
}
