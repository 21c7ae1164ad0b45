//! Products have a bit each, whatever becomes of the policy.

use super::*;

#[test]
fn a_driver_serves_what_they_name_or_all_there_is() {
    let mut fed = Fed::new(rules(&["standard", "xl", "boat"]));
    fed.absorb(&driver("a", 0, ""), 1_000);
    fed.absorb(&driver("b", 0, r#","products":["boat","standard"]"#), 1_000);
    fed.absorb(&driver("c", 0, r#","products":["xl","xl"]"#), 1_000);
    fed.absorb(&request("d", 0, ""), 1_000);
    fed.absorb(&request("d", 0, r#","product":"boat""#), 1_000);
    fed.hear(5_000, 5_000);
    let supply = vec![at(0, 0b010, 1), at(0, 0b101, 1), at(0, 0b111, 1)];
    assert_eq!(fed.reports(), [tick(5_000, supply, vec![at(0, 0b001, 1), at(0, 0b100, 1)])]);
}

#[test]
fn an_event_that_names_an_unknown_product_changes_nothing() {
    let mut fed = Fed::new(rules(&["standard"]));
    let lines = [
        driver("a", 0, r#","products":["standard","boat","ship"]"#),
        request("q", 0, r#","product":"boat""#),
    ];
    let before = Fed::new(rules(&["standard"])).entry();
    for line in lines {
        let refusal = fed.try_absorb(&line, 100_000).unwrap_err();
        assert_eq!(refusal, Refusal::UnknownProduct { product: "boat".into() });
    }
    assert_eq!(fed.lane.entities(), 0);
    assert_eq!(fed.entry(), before);
}

#[test]
fn a_product_that_comes_has_the_next_bit_and_one_that_goes_keeps_its_own() {
    let mut fed = Fed::new(rules(&["standard", "xl"]));
    fed.absorb(&driver("a", 0, ""), 1_000);
    fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&["boat", "xl"])));
    fed.absorb(&driver("b", 0, ""), 1_000);
    fed.absorb(&request("q", 0, ""), 1_000);
    assert!(fed.try_absorb(&request("q", 0, r#","product":"standard""#), 1_000).is_err());
    fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&["standard"])));
    fed.absorb(&driver("c", 0, ""), 1_000);
    fed.hear(5_000, 5_000);
    let supply = vec![at(0, 0b001, 1), at(0, 0b011, 1), at(0, 0b110, 1)];
    assert_eq!(
        told(&mut fed.lane),
        [(city("nyc"), names(&["standard", "xl", "boat"]), vec![tick(5_000, supply, vec![at(0, 0b100, 1)])])]
    );
}

#[test]
fn with_more_products_over_time_than_bits_counting_begins_anew() {
    let all: Vec<String> = (0..64).map(|number| format!("p{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut fed = Fed::new(rules(&all[..63]));
    fed.absorb(&driver("a", 0, ""), 1_000);
    fed.absorb(&request("a", 0, ""), 1_000);
    fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&all)));
    fed.absorb(&driver("b", 0, r#","products":["p63"]"#), 1_000);
    assert_eq!(fed.lane.entities(), 3, "64 fit");
    fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&["p1", "boat"])));
    assert_eq!(fed.lane.entities(), 0);
    fed.absorb(&driver("c", 0, r#","products":["boat"]"#), 1_000);
    fed.hear(5_000, 5_000);
    assert_eq!(
        told(&mut fed.lane),
        [(city("nyc"), names(&["p1", "boat"]), vec![tick(5_000, vec![at(0, 0b10, 1)], vec![])])]
    );
}

#[test]
fn ticks_go_on_where_another_length_puts_the_next() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(5_000, 15_000);
    fed.lane.city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 4_000, ..rules(&["standard"]) }));
    fed.hear(5_000, 20_000);
    fed.hear(5_000, 27_000);
    let reports = fed.reports();
    assert_eq!(
        reports,
        [TickCounts::Empty { from: 5_000, to: 15_000 }, TickCounts::Empty { from: 16_000, to: 24_000 }]
    );
}

#[test]
fn what_waits_for_its_tick_counts_at_the_first_of_other_ticks() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("a", 0, ""), 3_000);
    fed.absorb(&request("a", 0, ""), 3_000);
    fed.lane.city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 2_000, ..rules(&["standard"]) }));
    fed.hear(2_000, 4_000);
    let both = tick(4_000, vec![at(0, 1, 1)], vec![at(0, 1, 1)]);
    assert_eq!(fed.reports(), [TickCounts::Empty { from: 2_000, to: 2_000 }, both]);
}

#[test]
fn what_counts_goes_when_its_time_is_over_whatever_the_ticks() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.absorb(&driver("a", 0, ""), 1_000);
    fed.absorb(&driver("b", 0, ""), 1_000);
    fed.hear(5_000, 5_000);
    fed.lane.city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 2_000, ..rules(&["standard"]) }));
    fed.hear(5_000, 62_000);
    let reports = fed.reports();
    let [first, .., last, gone] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(first, &tick(5_000, vec![at(0, 1, 2)], vec![]));
    assert_eq!(last, &tick(60_000, vec![at(0, 1, 2)], vec![]));
    assert_eq!(gone, &TickCounts::Empty { from: 62_000, to: 62_000 });
    assert_eq!(fed.lane.entities(), 0);
}

/// Found by doing batches again: the lane that was loaded had closed a tick that the other had not.
#[test]
fn a_tick_that_shorter_ticks_put_behind_the_watermark_closes_at_once() {
    let mut fed = Fed::new(rules(&["standard"]));
    fed.hear(5_000, 9_000);
    let first = fed.entry();
    fed.reports();
    fed.lane.city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 4_000, ..rules(&["standard"]) }));
    let second = fed.entry();
    let reports = fed.reports();
    assert_eq!(reports, [TickCounts::Empty { from: 8_000, to: 8_000 }]);
    let mut again = LaneState::load(&identity(), [&first[..], &second]).unwrap().unwrap();
    assert_eq!(told(&mut again), [(city("nyc"), names(&["standard"]), reports)]);
}

#[test]
fn the_same_rules_again_are_not_written_down_again() {
    let mut fed = Fed::new(rules(&["standard"]));
    let first = fed.entry();
    fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&["standard"])));
    let idle = fed.entry();
    assert!(idle.len() < 30 && first.len() > idle.len() + 20, "{} {}", first.len(), idle.len());
    fed.lane.city_mut(&city("nyc"), &Arc::new(rules(&["xl"])));
    assert!(fed.entry().len() > idle.len() + 20);
}
