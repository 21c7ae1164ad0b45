//! When the guard goes on and off, and how it is stored.

use proptest::prelude::*;

use super::*;

const CONFIG: GuardConfig =
    GuardConfig { guard: Guard { min_lost: 50, hold_ms: 900_000 }, driver_ttl_ms: 60_000, tick_ms: 5_000 };

fn hold(hold_ms: i64) -> GuardConfig {
    GuardConfig { guard: Guard { min_lost: 50, hold_ms }, ..CONFIG }
}

/// The guard's decision at each of these ticks, given the drivers lost and in touch.
fn decide(guard: &mut FeedGuard, ticks: &[(i64, u32, u64)], config: &GuardConfig) -> Vec<Feed> {
    let decide = |(tick, lost, in_touch): &(i64, u32, u64)| {
        guard.add_lost(*tick, *lost);
        guard.close(*tick, *in_touch, config)
    };
    ticks.iter().map(decide).collect()
}

use Feed::{Ok as Fine, Suspect};

#[test]
fn the_guard_goes_on_when_more_drivers_are_lost_than_in_touch() {
    for (lost, in_touch, feed) in [(49, 0, Fine), (50, 49, Suspect), (50, 50, Fine), (51, 50, Suspect)] {
        let mut guard = FeedGuard::default();
        assert_eq!(decide(&mut guard, &[(5_000, lost, in_touch)], &CONFIG), [feed], "{lost} {in_touch}");
        assert_eq!(guard.feed(), feed);
    }
}

#[test]
fn losses_add_up_for_the_time_that_a_driver_is_in_touch() {
    let mut guard = FeedGuard::default();
    let ticks = [(5_000, 30, 20), (60_000, 20, 0), (65_000, 0, 0)];
    assert_eq!(decide(&mut guard, &ticks, &CONFIG), [Fine, Suspect, Suspect]);
    let mut guard = FeedGuard::default();
    assert_eq!(decide(&mut guard, &[(5_000, 30, 20), (65_000, 20, 0)], &CONFIG), [Fine, Fine]);
}

#[test]
fn the_guard_goes_off_when_half_of_the_drivers_are_back_and_their_losses_are_settled() {
    let mut guard = FeedGuard::default();
    let ticks = [(5_000, 70, 30), (10_000, 0, 49), (15_000, 60, 50), (20_000, 49, 0), (25_000, 1, 0)];
    assert_eq!(decide(&mut guard, &ticks, &CONFIG), [Suspect, Suspect, Fine, Fine, Suspect]);
    // A lane that lags reports losses at a tick before the guard went off.
    let mut guard = FeedGuard::default();
    decide(&mut guard, &ticks[..3], &CONFIG);
    guard.add_lost(15_000, 1_000);
    assert_eq!(guard.close(20_000, 0, &CONFIG), Fine);
}

#[test]
fn the_guard_goes_off_after_its_hold_and_not_on_in_the_same_tick() {
    let mut guard = FeedGuard::default();
    let ticks = [(5_000, 70, 0), (10_000, 0, 0), (15_000, 100, 0), (20_000, 0, 0)];
    assert_eq!(decide(&mut guard, &ticks, &hold(10_000)), [Suspect, Suspect, Fine, Fine]);
    assert_eq!(decide(&mut FeedGuard::default(), &ticks, &hold(0)), [Fine; 4]);
}

#[test]
fn losses_that_are_reported_late_count_at_their_own_tick() {
    let mut guard = FeedGuard::default();
    guard.add_lost(10_000, 20);
    guard.add_lost(5_000, 30);
    guard.add_lost(10_000, 0);
    assert_eq!(guard.close(60_000, 0, &CONFIG), Suspect);
    let mut guard = FeedGuard::default();
    guard.add_lost(10_000, 20);
    guard.add_lost(5_000, 30);
    assert_eq!(guard.close(65_000, 0, &CONFIG), Fine);
}

prop_compose! {
    fn any_guard()(ticks in prop::collection::vec((0..30_u32, 0..40_u64), 0..20)) -> (FeedGuard, i64) {
        let mut guard = FeedGuard::default();
        let mut tick = 0;
        for (lost, in_touch) in ticks {
            tick += 5_000;
            guard.add_lost(tick, lost);
            guard.close(tick, in_touch, &hold(50_000));
        }
        (guard, tick)
    }
}

proptest! {
    #[test]
    fn skipping_quiet_ticks_is_closing_each((mut guard, closed) in any_guard(), ticks in 1..30_i64, min_lost in 0..60_u64) {
        let config = GuardConfig { guard: Guard { min_lost, hold_ms: 50_000 }, ..CONFIG };
        let mut stepped = guard.clone();
        let (first, last) = (closed + 5_000, closed + ticks * 5_000);
        for tick in (first..=last).step_by(5_000) {
            stepped.close(tick, 0, &config);
        }
        prop_assert_eq!(guard.skip(first, last, &config), stepped.feed());
        // The losses that are too old are dropped at the next decision.
        guard.close(last + 5_000, 0, &config);
        stepped.close(last + 5_000, 0, &config);
        prop_assert_eq!(guard, stepped);
    }

    #[test]
    fn a_guard_reads_back((guard, _) in any_guard()) {
        let mut bytes = Vec::new();
        guard.write(&mut bytes);
        let mut input = Reader::new(&bytes);
        prop_assert_eq!(FeedGuard::read(&mut input), Ok(guard));
        prop_assert!(input.is_done());
        for cut in 0..bytes.len() {
            prop_assert!(FeedGuard::read(&mut Reader::new(&bytes[..cut])).is_err());
        }
    }
}

#[test]
fn the_feed_is_written_as_the_contract_names_it() {
    assert_eq!([Fine, Suspect].map(|feed| feed.to_string()), ["ok", "suspect"]);
}
