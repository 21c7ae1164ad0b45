//! How long a tick waits for its last lane, and the counts of a missing lane (CONTRACT §3).

use super::*;
use crate::surge::feed_guard::Feed;

#[test]
fn a_tick_waits_for_every_lane_up_to_the_hold() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 1_000, 5_000, &[(HERE, 1)], &[]);
    assert_eq!(fixture.closed(), []);
    fixture.report(0, 10_999, 10_000, &[(HERE, 2)], &[]);
    assert_eq!(fixture.closed(), []);
    fixture.report(0, 11_000, 15_000, &[(HERE, 3)], &[]);
    assert_eq!(fixture.closed(), [(5_000, 1, 1)]);
    fixture.report_empty(1, 11_500, 5_000, 10_000);
    assert_eq!(fixture.closed(), [(10_000, 2, 2)]);
}

#[test]
fn a_missing_lane_counts_as_it_last_reported_for_a_lifetime() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 1)], &[]);
    fixture.report(1, 0, 5_000, &[(THERE, 7)], &[(THERE, 2)]);
    assert_eq!(fixture.closed(), [(5_000, 1, 2)]);
    let mut seen = Vec::new();
    for number in 2..16 {
        fixture.report(0, number * 20_000, number * 5_000, &[(HERE, 1)], &[]);
        // The arrival time advances: the next record arrives ten seconds later.
        fixture.report(0, number * 20_000 + 10_000, number * 5_000, &[(HERE, 1)], &[]);
        for tick in fixture.end().1 {
            assert_eq!(tick.lanes_reported, 1);
            assert_eq!(at(&tick, HERE).unwrap().0, 1);
            let (demand, supply, _) = at(&tick, THERE).unwrap();
            seen.push((tick.at, demand, supply));
        }
    }
    let in_effect = (10_000..65_000).step_by(5_000).map(|tick| (tick, 7, 2));
    let expired = (65_000..=75_000).step_by(5_000).map(|tick| (tick, 0, 0));
    assert_eq!(seen, in_effect.chain(expired).collect::<Vec<_>>());
}

#[test]
fn late_counts_of_a_closed_tick_apply_from_the_next() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 1)], &[]);
    fixture.report_empty(0, 10_000, 10_000, 10_000);
    assert_eq!(fixture.closed(), [(5_000, 1, 1)]);
    fixture.report(1, 10_000, 5_000, &[(THERE, 3)], &[]);
    assert_eq!(fixture.closed(), []);
    fixture.report(0, 20_000, 15_000, &[(HERE, 1)], &[]);
    let (_, ticks) = fixture.end();
    assert_eq!(ticks.iter().map(|tick| (tick.at, tick.lanes_reported)).collect::<Vec<_>>(), [(10_000, 1)]);
    assert_eq!(at(&ticks[0], THERE).unwrap().0, 3, "the counts that the lane last reported");
    fixture.report(1, 20_000, 10_000, &[(THERE, 4)], &[]);
    fixture.report(1, 20_000, 15_000, &[(THERE, 5)], &[]);
    let (_, ticks) = fixture.end();
    assert_eq!(ticks.iter().map(|tick| (tick.at, tick.lanes_reported)).collect::<Vec<_>>(), [(15_000, 2)]);
    assert_eq!(at(&ticks[0], THERE).unwrap().0, 5);
}

#[test]
fn a_lane_in_a_run_of_empty_ticks_has_reported_and_counts_as_empty() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, 0, 5_000, &[(HERE, 4)], &[]);
    fixture.report(1, 0, 5_000, &[(HERE, 1)], &[]);
    fixture.closed();
    fixture.report_empty(0, 0, 10_000, 30_000);
    for tick in [10_000, 15_000] {
        fixture.report(1, 0, tick, &[(HERE, 1)], &[]);
        let (_, ticks) = fixture.end();
        assert_eq!((ticks.len(), ticks[0].lanes_reported, at(&ticks[0], HERE).unwrap().0), (1, 2, 1));
    }
}

#[test]
fn the_hold_begins_with_the_first_report_of_a_tick_by_any_lane() {
    let mut fixture = Fixture::new(4, config(json!({})));
    fixture.report_empty(0, 5_000, 5_000, 5_000);
    fixture.report_empty(1, 9_000, 5_000, 5_000);
    fixture.report_empty(2, 14_999, 5_000, 5_000);
    assert_eq!(fixture.closed(), []);
    // An older arrival time has no effect.
    fixture.report_empty(2, 5_000, 10_000, 10_000);
    assert_eq!(fixture.closed(), []);
    fixture.report_empty(2, 15_000, 15_000, 15_000);
    // The first report of the second tick arrived at 5 s, and that of the third arrives now.
    assert_eq!(fixture.closed(), [(5_000, 1, 3), (10_000, 2, 1)]);
}

#[test]
fn after_a_clock_was_set_back_a_tick_waits_neither_longer_nor_less() {
    const DAY_MS: i64 = 86_400_000;
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report(0, DAY_MS, 5_000, &[(HERE, 1)], &[]);
    fixture.report(1, DAY_MS, 5_000, &[(HERE, 1)], &[]);
    assert_eq!(fixture.closed(), [(5_000, 1, 2)]);
    fixture.report_empty(0, DAY_MS + 5_000, 10_000, 10_000);
    // The clock is set right. Both ticks wait for the second lane, up to the hold from now on.
    fixture.report_empty(0, 1_000, 15_000, 15_000);
    fixture.report_empty(0, 10_999, 20_000, 20_000);
    assert_eq!(fixture.closed(), []);
    fixture.report_empty(1, 10_999, 10_000, 10_000);
    assert_eq!(fixture.closed(), [(10_000, 2, 2)]);
    fixture.report_empty(0, 11_000, 25_000, 25_000);
    assert_eq!(fixture.closed(), [(15_000, 3, 1)]);
}

#[test]
fn records_of_a_replay_never_exceed_the_hold() {
    let mut fixture = Fixture::new(2, config(json!({})));
    let end = crate::time::Timestamp::END_OF_TIME.ms();
    fixture.report(0, end, 5_000, &[(HERE, 1)], &[]);
    fixture.report(0, end, 500_000_000, &[(HERE, 1)], &[]);
    assert_eq!(fixture.closed(), []);
}

#[test]
fn the_first_tick_is_the_earliest_that_a_lane_reports() {
    let mut fixture = Fixture::new(2, config(json!({})));
    fixture.report_empty(1, 0, 15_000, 20_000);
    fixture.report(0, 0, 10_000, &[(HERE, 1)], &[]);
    fixture.report(0, 0, 15_000, &[(HERE, 1)], &[]);
    // A lane counts as empty at the ticks before its first report.
    assert_eq!(fixture.closed(), [(10_000, 1, 2), (15_000, 2, 2)]);
}

#[test]
fn an_empty_cell_falls_tick_by_tick() {
    let mut fixture = Fixture::new(1, config(json!({})));
    for tick in 1..=12 {
        fixture.report(0, 1, tick * 5_000, &[(HERE, 9)], &[]);
    }
    let peak = fixture.end().1.pop().unwrap().rows[0].published;
    fixture.report_empty(0, 1, 65_000, 600_000);
    let ticks = fixture.end().1;
    let published: Vec<u16> = ticks
        .iter()
        .filter_map(|tick| tick.rows.iter().find(|row| row.cell == Cell(HERE)))
        .map(|row| row.published.hundredths())
        .collect();
    assert!(peak.hundredths() > 100 && published.len() > 5, "{peak:?}, then {published:?}");
    assert!(published.is_sorted_by(|now, next| now >= next), "{published:?}");
    assert_eq!(ticks.last().map(|tick| (tick.at, tick.version, tick.rows.len())), Some((600_000, 120, 0)));
}

#[test]
fn years_of_ticks_at_which_no_price_moves_are_one_run_with_the_same_rows() {
    let surge = json!({"curve": "table", "table": [[1.0, 1.25]], "half_life_ms": 1_000, "step": 0.01});
    let mut fixture = Fixture::new(2, config(json!({"surge": surge})));
    fixture.report(0, 0, 5_000, &[(HERE, 1)], &[]);
    fixture.report_empty(0, 0, 10_000, 1_000_000_000_000);
    fixture.report_empty(1, 0, 5_000, 1_000_000_000_000);
    let (_, ticks) = fixture.end();
    assert!(ticks.len() < 100, "{}", ticks.len());
    let last = ticks.last().unwrap();
    assert_eq!((last.at, last.version), (1_000_000_000_000, 200_000_000));
    assert_eq!(at(last, HERE), Some((0, 0, 125)), "the curve keeps an empty cell above 1.00");
    assert_eq!(last.instants().next(), Some(last.from));
    let closed: i64 = ticks.iter().map(|tick| (tick.at - tick.from) / 5_000 + 1).sum();
    assert_eq!(closed, 200_000_000, "every tick is in one run");
    assert!(ticks.windows(2).all(|pair| pair[1].from == pair[0].at + 5_000));
}

#[test]
fn a_suspect_feed_is_followed_tick_by_tick() {
    let guard = json!({"min_lost": 1, "hold_ms": 60_000});
    let surge = json!({"curve": "table", "table": [[1.0, 1.25]], "half_life_ms": 1_000, "step": 0.01});
    let mut fixture = Fixture::new(1, config(json!({"surge": surge, "guard": guard})));
    let mut reports = TickCountsWriter::default();
    let in_touch = Contact { in_touch: 1, lost: 0 };
    for tick in (5_000..=300_000).step_by(5_000) {
        reports.add_tick(tick, 5_000, in_touch, [count(HERE, 1, 1)].into_iter(), std::iter::empty());
    }
    reports.add_tick(
        305_000,
        5_000,
        Contact { in_touch: 0, lost: 1 },
        std::iter::empty(),
        std::iter::empty(),
    );
    reports.add_empty(310_000, 5_000_000, 5_000);
    fixture.report_of(&["standard"], 0, 0, reports);
    let (_, ticks) = fixture.end();
    let feed = |at: i64| ticks.iter().find(|tick| (tick.from..=tick.at).contains(&at)).unwrap();
    let feeds = [300_000, 305_000, 360_000, 365_000, 5_000_000].map(|tick| feed(tick).feed);
    assert_eq!(feeds, [Feed::Ok, Feed::Suspect, Feed::Suspect, Feed::Ok, Feed::Ok]);
    assert!(ticks.len() < 100, "{}", ticks.len());
}
