//! A range of neighbouring lanes: the lanes that share a checkpoint log.

use std::fmt;

use crate::id::{LaneCount, LaneId};

/// Lanes of a range. One write holds what all of them received; a stream has at most a quarter as many shards as lanes,
/// so that seldom two shards write to one log.
pub const LANES_PER_RANGE: u32 = 4;

/// A range of neighbouring lanes of a stream: [`LANES_PER_RANGE`] of them, or all lanes where there are fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneRange {
    lanes: LaneCount,
    index: u16,
}

impl LaneRange {
    /// The range number `index` of a stream of `lanes`, if there is one.
    #[must_use]
    pub fn new(lanes: LaneCount, index: u16) -> Option<Self> {
        let range = Self { lanes, index };
        (u32::from(index) * range.len() < lanes.get()).then_some(range)
    }

    /// The range of a lane.
    #[must_use]
    pub fn of(lane: LaneId, lanes: LaneCount) -> Self {
        let len = LANES_PER_RANGE.min(lanes.get());
        #[expect(clippy::cast_possible_truncation)]
        let index = (u32::from(lane.0) / len) as u16;
        Self { lanes, index }
    }

    /// Every range of a stream of `lanes`, in order.
    pub fn all(lanes: LaneCount) -> impl Iterator<Item = Self> {
        (0..=u16::MAX).map_while(move |index| Self::new(lanes, index))
    }

    /// The number of lanes of the stream.
    #[must_use]
    pub fn lane_count(self) -> LaneCount {
        self.lanes
    }

    /// The range's number in the stream, counted from 0.
    #[must_use]
    pub fn index(self) -> u16 {
        self.index
    }

    /// The number of lanes of the range.
    fn len(self) -> u32 {
        LANES_PER_RANGE.min(self.lanes.get())
    }

    /// The range's lanes, in order.
    pub fn lanes(self) -> impl Iterator<Item = LaneId> {
        let first = u32::from(self.index) * self.len();
        #[expect(clippy::cast_possible_truncation)]
        let lane = |lane: u32| LaneId(lane as u16);
        (first..first + self.len()).map(lane)
    }

    /// The position of a lane within the range, if it is one of its lanes.
    #[must_use]
    pub fn position(self, lane: LaneId) -> Option<usize> {
        let first = u32::from(self.index) * self.len();
        let position = u32::from(lane.0).checked_sub(first)?;
        (position < self.len()).then_some(position as usize)
    }

    /// The range of half as many lanes whose lanes this range's were, before they doubled.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let lanes = self.lanes.halved()?;
        let first = self.lanes().next()?;
        Some(Self::of(LaneId(first.0 / 2), lanes))
    }

    /// A hash of the range, different for most.
    pub(crate) fn phase(self) -> u64 {
        crate::hash::spread(u64::from(self.lanes.get()) << 16 | u64::from(self.index))
    }
}

impl fmt::Display for LaneRange {
    /// `lanes-COUNT/INDEX`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lanes-{}/{}", self.lanes.get(), self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(count: u32) -> LaneCount {
        LaneCount::new(count).unwrap()
    }

    #[test]
    fn ranges_divide_the_lanes() {
        for (count, ranges) in [(1, 1), (2, 1), (4, 1), (8, 2), (64, 16), (65_536, 16_384)] {
            let all: Vec<LaneRange> = LaneRange::all(lanes(count)).collect();
            assert_eq!(all.len(), ranges, "{count}");
            let covered: Vec<LaneId> = all.iter().flat_map(|range| range.lanes()).collect();
            assert!(covered.iter().copied().eq(lanes(count).iter()), "{count}");
            for range in all {
                for (position, lane) in range.lanes().enumerate() {
                    assert_eq!(LaneRange::of(lane, lanes(count)), range);
                    assert_eq!(range.position(lane), Some(position));
                }
            }
        }
        assert_eq!(LaneRange::new(lanes(64), 16), None);
        assert_eq!(LaneRange::new(lanes(8), 1).unwrap().position(LaneId(3)), None);
    }

    #[test]
    fn the_lanes_of_a_range_come_from_its_parent() {
        for count in [2, 4, 8, 64, 65_536] {
            for range in LaneRange::all(lanes(count)) {
                let parent = range.parent().unwrap();
                assert!(range.lanes().all(|lane| parent.position(LaneId(lane.0 / 2)).is_some()), "{range}");
            }
        }
        assert_eq!(LaneRange::all(lanes(1)).next().unwrap().parent(), None);
        assert_eq!(LaneRange::new(lanes(128), 9).unwrap().to_string(), "lanes-128/9");
    }
}
