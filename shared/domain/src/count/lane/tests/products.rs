//! Each product has one bit, however the policy changes.

use super::*;
use crate::event_sourced::load;

#[test]
fn a_driver_serves_the_listed_products_or_all() {
    let mut fixture = Fixture::new(config(&["standard", "xl", "boat"]));
    fixture.absorb(&driver("a", 0, ""), 1_000);
    fixture.absorb(&driver("b", 0, r#","products":["boat","standard"]"#), 1_000);
    fixture.absorb(&driver("c", 0, r#","products":["xl","xl"]"#), 1_000);
    fixture.absorb(&request("d", 0, ""), 1_000);
    fixture.absorb(&request("d", 0, r#","product":"boat""#), 1_000);
    fixture.advance_watermark(5_000, 5_000);
    let supply = vec![at(0, 0b010, 1), at(0, 0b101, 1), at(0, 0b111, 1)];
    assert_eq!(fixture.counts(), [tick(5_000, supply, vec![at(0, 0b001, 1), at(0, 0b100, 1)])]);
}

#[test]
fn an_event_that_names_an_unknown_product_changes_nothing() {
    let mut fixture = Fixture::new(config(&["standard"]));
    let lines = [
        driver("a", 0, r#","products":["standard","boat","ship"]"#),
        request("q", 0, r#","product":"boat""#),
    ];
    let before = Fixture::new(config(&["standard"])).entry();
    for line in lines {
        let refusal = fixture.try_absorb(&line, 100_000).unwrap_err();
        assert_eq!(refusal, Refusal::UnknownProduct { product: "boat".into() });
    }
    assert_eq!(fixture.lane().entities(), 0);
    assert_eq!(fixture.entry(), before);
}

#[test]
fn a_new_product_has_the_next_bit_and_a_dropped_one_keeps_its_own() {
    let mut fixture = Fixture::new(config(&["standard", "xl"]));
    fixture.absorb(&driver("a", 0, ""), 1_000);
    fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&["boat", "xl"])));
    fixture.absorb(&driver("b", 0, ""), 1_000);
    fixture.absorb(&request("q", 0, ""), 1_000);
    assert!(fixture.try_absorb(&request("q", 0, r#","product":"standard""#), 1_000).is_err());
    fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&["standard"])));
    fixture.absorb(&driver("c", 0, ""), 1_000);
    fixture.advance_watermark(5_000, 5_000);
    let supply = vec![at(0, 0b001, 1), at(0, 0b011, 1), at(0, 0b110, 1)];
    assert_eq!(
        counts_of(&mut fixture.range),
        [(city("nyc"), names(&["standard", "xl", "boat"]), vec![tick(5_000, supply, vec![at(0, 0b100, 1)])])]
    );
}

#[test]
fn counting_starts_over_with_more_products_over_time_than_bits() {
    let all: Vec<String> = (0..64).map(|number| format!("p{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut fixture = Fixture::new(config(&all[..63]));
    fixture.absorb(&driver("a", 0, ""), 1_000);
    fixture.absorb(&request("a", 0, ""), 1_000);
    fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&all)));
    fixture.absorb(&driver("b", 0, r#","products":["p63"]"#), 1_000);
    assert_eq!(fixture.lane().entities(), 3, "64 fit");
    fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&["p1", "boat"])));
    assert_eq!(fixture.lane().entities(), 0);
    fixture.absorb(&driver("c", 0, r#","products":["boat"]"#), 1_000);
    fixture.advance_watermark(5_000, 5_000);
    assert_eq!(
        counts_of(&mut fixture.range),
        [(city("nyc"), names(&["p1", "boat"]), vec![tick(5_000, vec![at(0, 0b10, 1)], vec![])])]
    );
}

#[test]
fn after_a_change_of_tick_ms_the_next_tick_is_a_multiple_of_the_new_one() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(5_000, 15_000);
    fixture
        .lane()
        .city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 4_000, ..config(&["standard"]) }));
    fixture.advance_watermark(5_000, 20_000);
    fixture.advance_watermark(5_000, 27_000);
    let counts = fixture.counts();
    assert_eq!(
        counts,
        [TickCounts::Empty { from: 5_000, to: 15_000 }, TickCounts::Empty { from: 16_000, to: 24_000 }]
    );
}

#[test]
fn a_pending_sighting_counts_at_its_own_tick_of_the_new_length() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("a", 0, ""), 3_000);
    fixture.absorb(&request("a", 0, ""), 3_000);
    fixture
        .lane()
        .city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 2_000, ..config(&["standard"]) }));
    fixture.advance_watermark(2_000, 4_000);
    let both = tick(4_000, vec![at(0, 1, 1)], vec![at(0, 1, 1)]);
    assert_eq!(fixture.counts(), [TickCounts::Empty { from: 2_000, to: 2_000 }, both]);
}

#[test]
fn a_sighting_ends_with_its_lifetime_after_a_change_of_tick_ms() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.absorb(&driver("a", 0, ""), 1_000);
    fixture.absorb(&driver("b", 0, ""), 1_000);
    fixture.advance_watermark(5_000, 5_000);
    fixture
        .lane()
        .city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 2_000, ..config(&["standard"]) }));
    fixture.advance_watermark(5_000, 62_000);
    let counts = fixture.counts();
    let [first, .., last, lost] = &counts[..] else { panic!("{counts:?}") };
    assert_eq!(first, &tick(5_000, vec![at(0, 1, 2)], vec![]));
    assert_eq!(last, &tick(60_000, vec![at(0, 1, 2)], vec![]));
    assert_eq!(lost, &tick(62_000, vec![], vec![]));
    assert_eq!(fixture.lane().entities(), 0);
}

/// A regression found by replaying batches: the loaded lane had closed a tick that the other had not.
#[test]
fn a_shorter_tick_that_the_watermark_has_passed_closes_at_once() {
    let mut fixture = Fixture::new(config(&["standard"]));
    fixture.advance_watermark(5_000, 9_000);
    let first = fixture.entry();
    fixture.counts();
    fixture
        .lane()
        .city_mut(&city("nyc"), &Arc::new(CountingConfig { tick_ms: 4_000, ..config(&["standard"]) }));
    let second = fixture.entry();
    let counts = fixture.counts();
    assert_eq!(counts, [TickCounts::Empty { from: 8_000, to: 8_000 }]);
    let mut loaded: LaneRangeState = load(&identity(), None, &[&first, &second]).unwrap().unwrap();
    assert_eq!(counts_of(&mut loaded), [(city("nyc"), names(&["standard"]), counts)]);
}

#[test]
fn an_equal_config_is_not_logged() {
    let mut fixture = Fixture::new(config(&["standard"]));
    let first = fixture.entry();
    fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&["standard"])));
    let idle = fixture.entry();
    assert!(idle.len() < 30 && first.len() > idle.len() + 20, "{} {}", first.len(), idle.len());
    fixture.lane().city_mut(&city("nyc"), &Arc::new(config(&["xl"])));
    assert!(fixture.entry().len() > idle.len() + 20);
}
