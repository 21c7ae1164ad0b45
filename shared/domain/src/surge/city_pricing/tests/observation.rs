//! A cell is observed while the log is replayed: its explanation is the price that the map reported.

use super::*;
use crate::policy::Multiplier;
use crate::surge::bounds::{Bounds, OverrideSet};
use crate::surge::explain::Explanation;
use crate::surge::history::limits_of;

const MINUTE: i64 = 60_000;

/// The entries of two minutes of a city, one a tick, in which riders come and go, and its ticks.
fn log(config: Arc<PricingConfig>) -> (Vec<Vec<u8>>, Vec<ClosedTick>) {
    let mut fixture = Fixture::new(1, config);
    let (mut entries, mut ticks) = (Vec::new(), Vec::new());
    for at in (MINUTE..3 * MINUTE).step_by(5_000) {
        let riders = u32::try_from(at / 5_000 % 7).unwrap() * 20 + 1;
        if at == 2 * MINUTE {
            fixture.report_empty(0, at, at, at + 20_000);
        } else {
            fixture.report(0, at, at, &[(HERE, riders)], &[(THERE, 3)]);
        }
        let (entry, closed) = fixture.end();
        entries.push(entry);
        ticks.extend(closed);
    }
    (entries, ticks)
}

/// The explanation of the cell's price at the newest tick at or before `until`.
fn explained(entries: &[Vec<u8>], until: i64) -> Option<Explanation> {
    let watch = Watch { cell: Cell(HERE), product: None, until };
    let mut city = None;
    for (number, entry) in (0..).zip(entries) {
        city = Some(CityPricing::replay_observed(city, &nyc(), (number, entry), Some(&watch)).unwrap());
    }
    let city = city?;
    let observed = city.observed()?;
    let bounds = Bounds::new(&observed.config.policy, &OverrideSet::default(), Vec::new(), observed.at);
    Some(Explanation::of(observed, &bounds, None))
}

#[test]
fn the_explanation_of_every_tick_is_the_price_that_was_reported() {
    let zones = json!([{"id": "stadium", "limits": {"max_multiplier": 1.5},
        "polygon": {"type": "Polygon", "coordinates": [[[-75, 40], [-73, 40], [-73, 42], [-75, 42], [-75, 40]]]}}]);
    let config = config(json!({"zones": zones}));
    let limits = limits_of(&config.policy, Cell(HERE));
    let (entries, ticks) = log(config);
    assert_eq!(explained(&entries, MINUTE - 1), None, "no tick has closed yet");
    let (mut before, mut binding) = (None, 0);
    for tick in &ticks {
        for at in tick.instants() {
            let row = tick.rows.iter().find(|row| row.cell == Cell(HERE));
            let explanation = explained(&entries, at + 4_999).unwrap();
            assert_eq!(explanation.at.ms(), at);
            assert_eq!(explanation.version, tick.version - ((tick.at - at) / 5_000).unsigned_abs());
            assert_eq!(explanation.is_reported(), row.is_some());
            let reported = row
                .map_or((0, 0, Multiplier::ONE), |row| (row.demand, row.supply, limits.apply(row.published)));
            let (demand, supply) = explanation.own_counts();
            assert_eq!((demand, supply, explanation.multiplier), reported, "{at}: {}", explanation.text);
            if let Some((m, published)) = before {
                assert_eq!((explanation.m_before, explanation.published_before), (m, published), "{at}");
            }
            before = explanation.is_reported().then_some((explanation.m, explanation.published));
            before.get_or_insert((1.0, 100.0));
            let bound = explanation.bounds.iter().find(|bound| bound.binds);
            assert!(bound.is_none_or(|bound| bound.source == "zone stadium" && bound.kind == "cap"));
            binding += u32::from(bound.is_some());
        }
    }
    assert!(binding > 3, "the cap of the zone binds: {binding}");
}

#[test]
fn a_segment_of_a_log_is_read_back_byte_for_byte() {
    let (mut entries, _) = log(config(json!({})));
    entries.insert(3, b"a mark".to_vec());
    for (first, snapshot) in [(0, None), (7, Some(b"before".to_vec()))] {
        let segment = Segment { first, snapshot, entries: entries.clone() };
        let encoded = segment.encode();
        assert_eq!(Segment::decode(&encoded), Ok(segment));
        for cut in 0..encoded.len() {
            assert!(Segment::decode(&encoded[..cut]).is_err());
        }
    }
}

#[test]
fn a_snapshot_has_the_newest_tick_that_had_closed() {
    let mut city = CityPricing::new(nyc(), config(json!({})));
    assert_eq!(snapshot_as_of(&city.compact().unwrap()), Ok(None));
    let (entries, ticks) = log(config(json!({})));
    let mut state = None;
    for (number, entry) in (0..).zip(&entries) {
        state = Some(CityPricing::replay(state, &nyc(), number, entry).unwrap());
    }
    assert_eq!(snapshot_as_of(&state.unwrap().compact().unwrap()), Ok(Some(ticks.last().unwrap().at)));
    assert!(snapshot_as_of(&entries[0]).is_err());
}
