//! The pace of announcements: when the next one is made, and by which producer.

use crate::ingest::ports::{Turn, Versioned};

/// How often watermarks are announced. Times are those of the producers' clock, which a fast process clock scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long the first city that is due waits for others, in milliseconds.
    pub gather_ms: i64,
    /// The least time from one announcement to the next, in milliseconds.
    pub interval_ms: i64,
}

/// How long after its time another producer takes the turn of one that has not, in milliseconds.
const GRACE_MS: i64 = 250;

/// What a producer does about cities that are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Undertake to announce at this time.
    Undertake(i64),
    /// Take the turn and announce now.
    Take,
    /// Leave it to the producer that has undertaken it, or wait for one's own time.
    Leave,
}

impl Pace {
    /// Many producers over one board: an announcement a second at most, whatever their number, and one for all cities of
    /// a tick as a rule. An event takes some 0.3 s from its time to its record, so half a second after the first city
    /// nearly all that have frequent events are due; where no other city has events, nothing is waited for.
    pub const FLEET: Self = Self { gather_ms: 500, interval_ms: 1_000 };

    /// One producer with a board of its own, which announces what is due at once.
    pub const ALONE: Self = Self { gather_ms: 0, interval_ms: 250 };

    /// The next step at `now_ms`. `held` is the version of the turn that this producer has undertaken; `is_complete`,
    /// whether waiting would bring no further city.
    pub(super) fn step(
        self,
        turn: &Versioned<Turn>,
        held: Option<u64>,
        is_complete: bool,
        now_ms: i64,
    ) -> Step {
        let Turn { taken_ms, due_ms } = turn.value;
        // A time that no pace explains comes from a clock that is far ahead: it must not silence the others.
        let latest_ms = now_ms.saturating_add(self.gather_ms + self.interval_ms + GRACE_MS);
        let due_ms = due_ms.filter(|due_ms| *due_ms <= latest_ms);
        let at_ms = match due_ms {
            Some(due_ms) if held == Some(turn.version) => due_ms,
            Some(due_ms) => due_ms + GRACE_MS,
            None => {
                let earliest_ms = taken_ms.min(now_ms).saturating_add(self.interval_ms);
                let gathered_ms = if is_complete { now_ms } else { now_ms + self.gather_ms };
                let at_ms = gathered_ms.max(earliest_ms);
                return if at_ms <= now_ms { Step::Take } else { Step::Undertake(at_ms) };
            }
        };
        if now_ms >= at_ms { Step::Take } else { Step::Leave }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(taken_ms: i64, due_ms: Option<i64>) -> Versioned<Turn> {
        Versioned { version: 7, value: Turn { taken_ms, due_ms } }
    }

    #[test]
    fn an_announcement_gathers_and_keeps_its_distance_from_the_last() {
        let step = |taken_ms, is_complete| Pace::FLEET.step(&turn(taken_ms, None), None, is_complete, 10_000);
        assert_eq!(step(0, false), Step::Undertake(10_500));
        assert_eq!(step(0, true), Step::Take, "nothing to gather");
        assert_eq!(step(9_100, true), Step::Undertake(10_100));
        assert_eq!(step(9_900, false), Step::Undertake(10_900));
        assert_eq!(step(9_000, true), Step::Take);
        assert_eq!(Pace::ALONE.step(&turn(9_750, None), None, false, 10_000), Step::Take);
        assert_eq!(Pace::ALONE.step(&turn(9_751, None), None, false, 10_000), Step::Undertake(10_001));
    }

    #[test]
    fn the_producer_that_undertook_it_announces_and_another_if_it_does_not() {
        let at = |held, now_ms| Pace::FLEET.step(&turn(0, Some(10_250)), held, true, now_ms);
        assert_eq!(at(Some(7), 10_249), Step::Leave);
        assert_eq!(at(Some(7), 10_250), Step::Take);
        assert_eq!(at(Some(6), 10_250), Step::Leave, "an older turn");
        assert_eq!(at(None, 10_499), Step::Leave);
        assert_eq!(at(None, 10_500), Step::Take, "the other producer may have ended");
    }

    #[test]
    fn a_clock_that_is_far_ahead_silences_no_other() {
        let hour = 3_600_000;
        assert_eq!(Pace::FLEET.step(&turn(hour, None), None, true, 0), Step::Undertake(1_000));
        assert_eq!(Pace::FLEET.step(&turn(hour, Some(hour)), None, true, 0), Step::Undertake(1_000));
    }
}
