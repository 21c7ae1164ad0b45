//! Entries and snapshots of the checkpoint logs of a range of lanes and of a city.

use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::event_sourced::{Entry, EventSourced};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::city_pricing::CityPricing;
use equilibrium_domain::wire::Kind;

use crate::frames::frame;
use crate::select;

/// An arrival so late that the next entry begins with a snapshot.
const LATE_MS: i64 = 1 << 59;

/// A state that is read has a snapshot that reads back to it.
pub fn target(input: &[u8]) {
    let (selected, content) = select(input);
    let lanes = LaneCount::new(4).expect("a power of two");
    let range = LaneRange::of(LaneId(0), lanes);
    let city = CityId::new("nyc").expect("a valid id");
    match selected % 4 {
        0 => check(LaneRangeState::restore(&range, &frame(Kind::LaneSnapshot, content)).ok(), &range),
        1 => check(replay::<LaneRangeState>(&range, Kind::LaneEntry, content), &range),
        2 => check(CityPricing::restore(&city, &frame(Kind::CitySnapshot, content)).ok(), &city),
        _ => check(replay::<CityPricing>(&city, Kind::CityEntry, content), &city),
    }
}

/// The state after the entries in `content`, each after its length in two bytes; `None` if one is refused.
fn replay<S: EventSourced>(identity: &S::Identity, kind: Kind, mut content: &[u8]) -> Option<S> {
    let (mut state, mut number) = (None, 0);
    while let Some((length, rest)) = content.split_first_chunk() {
        let (entry, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
        state = Some(S::replay(state, identity, number, &frame(kind, entry)).ok()?);
        (number, content) = (number + 1, rest);
    }
    state
}

/// An instance that loads the snapshot goes on as the one that wrote it.
fn check<S: EventSourced>(state: Option<S>, identity: &S::Identity) {
    let Some(mut state) = state else { return };
    drop(state.take_output());
    let entry = next(&mut state, LATE_MS);
    let snapshot = entry.snapshot.expect("an arrival this late begins with a snapshot");
    let mut restored = S::restore(identity, &snapshot).expect("a snapshot that was just written can be read");
    // This entry differs from its like: it does not begin with a snapshot.
    drop(next(&mut restored, LATE_MS));
    assert_eq!(next(&mut restored, 2 * LATE_MS), next(&mut state, 2 * LATE_MS));
}

fn next<S: EventSourced>(state: &mut S, arrival_ms: i64) -> Entry {
    state.begin_batch(arrival_ms);
    state.seal_entry(Sequence::from(u64::MAX).borrowed())
}
