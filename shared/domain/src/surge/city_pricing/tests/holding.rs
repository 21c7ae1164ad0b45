//! How long a tick waits for its last lane, and what a missing one counts as (CONTRACT §3).

use super::*;

#[test]
fn a_tick_waits_for_every_lane_but_no_longer_than_it_may() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 1_000, 5_000, &[(HERE, 1)], &[]);
    assert_eq!(town.closed(), []);
    town.tell(0, 10_999, 10_000, &[(HERE, 2)], &[]);
    assert_eq!(town.closed(), []);
    town.tell(0, 11_000, 15_000, &[(HERE, 3)], &[]);
    assert_eq!(town.closed(), [(5_000, 1, 1)]);
    town.tell_empty(1, 11_500, 5_000, 10_000);
    assert_eq!(town.closed(), [(10_000, 2, 2)]);
}

#[test]
fn a_missing_lane_counts_as_it_last_reported_for_a_lifetime() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 1)], &[]);
    town.tell(1, 0, 5_000, &[(THERE, 7)], &[(THERE, 2)]);
    assert_eq!(town.closed(), [(5_000, 1, 2)]);
    let mut seen = Vec::new();
    for number in 2..16 {
        town.tell(0, number * 20_000, number * 5_000, &[(HERE, 1)], &[]);
        // Time passes in the log: the next record arrives ten seconds later.
        town.tell(0, number * 20_000 + 10_000, number * 5_000, &[(HERE, 1)], &[]);
        for tick in town.end().1 {
            assert_eq!(tick.heard, 1);
            assert_eq!(at(&tick, HERE).unwrap().0, 1);
            let (demand, supply, _) = at(&tick, THERE).unwrap();
            seen.push((tick.at, demand, supply));
        }
    }
    let alive = (10_000..65_000).step_by(5_000).map(|tick| (tick, 7, 2));
    let gone = (65_000..=75_000).step_by(5_000).map(|tick| (tick, 0, 0));
    assert_eq!(seen, alive.chain(gone).collect::<Vec<_>>());
}

#[test]
fn a_late_report_of_a_closed_tick_counts_from_the_next() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 1)], &[]);
    town.tell_empty(0, 10_000, 10_000, 10_000);
    assert_eq!(town.closed(), [(5_000, 1, 1)]);
    town.tell(1, 10_000, 5_000, &[(THERE, 3)], &[]);
    assert_eq!(town.closed(), []);
    town.tell(0, 20_000, 15_000, &[(HERE, 1)], &[]);
    let (_, ticks) = town.end();
    assert_eq!(ticks.iter().map(|tick| (tick.at, tick.heard)).collect::<Vec<_>>(), [(10_000, 1)]);
    assert_eq!(at(&ticks[0], THERE).unwrap().0, 3, "what the lane last reported");
    town.tell(1, 20_000, 10_000, &[(THERE, 4)], &[]);
    town.tell(1, 20_000, 15_000, &[(THERE, 5)], &[]);
    let (_, ticks) = town.end();
    assert_eq!(ticks.iter().map(|tick| (tick.at, tick.heard)).collect::<Vec<_>>(), [(15_000, 2)]);
    assert_eq!(at(&ticks[0], THERE).unwrap().0, 5);
}

#[test]
fn a_lane_within_a_run_of_empty_ticks_counts_nobody_and_is_heard() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell(0, 0, 5_000, &[(HERE, 4)], &[]);
    town.tell(1, 0, 5_000, &[(HERE, 1)], &[]);
    town.closed();
    town.tell_empty(0, 0, 10_000, 30_000);
    for tick in [10_000, 15_000] {
        town.tell(1, 0, tick, &[(HERE, 1)], &[]);
        let (_, ticks) = town.end();
        assert_eq!((ticks.len(), ticks[0].heard, at(&ticks[0], HERE).unwrap().0), (1, 2, 1));
    }
}

#[test]
fn the_hold_is_counted_from_a_ticks_first_report_of_any_lane() {
    let mut town = Town::new(4, terms(json!({})));
    town.tell_empty(0, 5_000, 5_000, 5_000);
    town.tell_empty(1, 9_000, 5_000, 5_000);
    town.tell_empty(2, 14_999, 5_000, 5_000);
    assert_eq!(town.closed(), []);
    // An older arrival does not turn the clock back.
    town.tell_empty(2, 3_000, 10_000, 10_000);
    assert_eq!(town.closed(), []);
    town.tell_empty(2, 15_000, 15_000, 15_000);
    // Of the tick after it the first report has waited since 3 s; and of the next since now.
    assert_eq!(town.closed(), [(5_000, 1, 3), (10_000, 2, 1)]);
}

#[test]
fn at_the_end_of_all_time_no_tick_is_held_too_long() {
    let mut town = Town::new(2, terms(json!({})));
    let end = crate::time::Timestamp::END_OF_TIME.ms();
    town.tell(0, end, 5_000, &[(HERE, 1)], &[]);
    town.tell(0, end, 500_000_000, &[(HERE, 1)], &[]);
    assert_eq!(town.closed(), []);
}

#[test]
fn the_first_tick_is_the_earliest_that_a_lane_speaks_of() {
    let mut town = Town::new(2, terms(json!({})));
    town.tell_empty(1, 0, 15_000, 20_000);
    town.tell(0, 0, 10_000, &[(HERE, 1)], &[]);
    town.tell(0, 0, 15_000, &[(HERE, 1)], &[]);
    // A lane's first report stands, empty, for earlier ticks.
    assert_eq!(town.closed(), [(10_000, 1, 2), (15_000, 2, 2)]);
}

#[test]
fn a_cell_comes_down_tick_by_tick_when_everybody_has_left() {
    let mut town = Town::new(1, terms(json!({})));
    for tick in 1..=12 {
        town.tell(0, 1, tick * 5_000, &[(HERE, 9)], &[]);
    }
    let peak = town.end().1.pop().unwrap().rows[0].multiplier;
    town.tell_empty(0, 1, 65_000, 600_000);
    let ticks = town.end().1;
    let shown: Vec<u16> = ticks
        .iter()
        .filter_map(|tick| tick.rows.iter().find(|row| row.cell == Cell(HERE)))
        .map(|row| row.multiplier.hundredths())
        .collect();
    assert!(peak.hundredths() > 100 && shown.len() > 5, "{peak:?}, then {shown:?}");
    assert!(shown.is_sorted_by(|now, next| now >= next), "{shown:?}");
    assert_eq!(ticks.last().map(|tick| (tick.at, tick.version, tick.rows.len())), Some((600_000, 120, 0)));
}
