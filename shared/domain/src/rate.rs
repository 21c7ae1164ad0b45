//! How often a client may call: the generic cell rate algorithm (ITU-T I.371, Annex A), in whole microseconds.
//!
//! A client's state is one number, the *theoretical arrival time*: when it has used up all that it was admitted. Each call
//! moves it on by one interval, and a call is refused that would move it more than a burst ahead of now.

/// The shortest and the longest time of a rate: one call a minute, and a million.
const MAX_PER_MINUTE: u32 = 1_000_000;

const MINUTE_US: u32 = 60_000_000;

/// So many calls a minute, all of which may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval_us: i64,
    burst_us: i64,
}

/// For how long a client that was refused is refused, in microseconds; more than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Microseconds.
    pub us: i64,
}

impl Rate {
    /// The rate of `count` calls a minute; `None` unless `count` is 1 to 1 000 000.
    #[must_use]
    pub const fn per_minute(count: u32) -> Option<Self> {
        if count == 0 || count > MAX_PER_MINUTE {
            return None;
        }
        // Rounded up: the rate is never above what was asked for.
        let interval_us = MINUTE_US.div_ceil(count) as i64;
        Some(Self { interval_us, burst_us: interval_us * count as i64 })
    }

    /// The time of one call, in microseconds.
    #[must_use]
    pub const fn interval_us(self) -> i64 {
        self.interval_us
    }

    /// The time of all calls that may come at once, in microseconds: after it, an idle client's state says nothing.
    #[must_use]
    pub const fn burst_us(self) -> i64 {
        self.burst_us
    }

    /// Admits a call at `now_us` of a client with this theoretical arrival time, and returns the next; a client without one
    /// has not called within a burst. A time further ahead than any admission leaves it is of a clock that was set back.
    ///
    /// # Errors
    /// [`Wait`], when the call is refused, which changes nothing.
    pub fn admit(self, arrival_us: Option<i64>, now_us: i64) -> Result<i64, Wait> {
        let limit_us = now_us.saturating_add(self.burst_us);
        let arrival_us = arrival_us.map_or(now_us, |arrival_us| arrival_us.clamp(now_us, limit_us));
        let next_us = arrival_us.saturating_add(self.interval_us);
        if next_us > limit_us { Err(Wait { us: next_us - limit_us }) } else { Ok(next_us) }
    }
}

impl Wait {
    /// The time in seconds, rounded up: the value of `Retry-After`.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.us.unsigned_abs().div_ceil(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(count: u32) -> Rate {
        Rate::per_minute(count).unwrap()
    }

    /// The moments at which calls were admitted.
    fn admitted(rate: Rate, calls: &[i64]) -> Vec<i64> {
        let mut arrival = None;
        let mut admitted = Vec::new();
        for now in calls {
            if let Ok(next) = rate.admit(arrival, *now) {
                arrival = Some(next);
                admitted.push(*now);
            }
        }
        admitted
    }

    #[test]
    fn a_minute_of_calls_may_come_at_once_and_the_next_waits_for_one_interval() {
        for count in [1, 60, 100, 600, 700, 1_200, MAX_PER_MINUTE] {
            let rate = rate(count);
            let mut arrival = None;
            for _ in 0..count {
                arrival = Some(rate.admit(arrival, 7).unwrap());
            }
            let wait = rate.admit(arrival, 7).unwrap_err();
            assert_eq!(wait.us, rate.interval_us(), "{count}");
            assert!(rate.admit(arrival, 7 + wait.us).is_ok());
            assert!(rate.admit(arrival, 6 + wait.us).is_err());
        }
    }

    #[test]
    fn a_rate_is_one_call_a_minute_at_least() {
        assert_eq!(Rate::per_minute(0), None);
        assert_eq!(Rate::per_minute(MAX_PER_MINUTE + 1), None);
        assert_eq!(rate(1).interval_us(), 60_000_000);
        assert_eq!((rate(7).interval_us(), rate(7).burst_us()), (8_571_429, 60_000_003));
    }

    #[test]
    fn a_wait_is_rounded_up_to_seconds() {
        for (us, seconds) in [(1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (60_000_000, 60)] {
            assert_eq!(Wait { us }.seconds(), seconds, "{us}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_locks_no_client_out() {
        let rate = rate(60);
        let hour = 3_600_000_000;
        let wait = rate.admit(Some(hour), 0).unwrap_err();
        assert_eq!(wait.us, rate.interval_us());
        assert!(rate.admit(Some(i64::MAX), i64::MAX).is_ok());
    }

    proptest! {
        #[test]
        fn no_minute_admits_more_than_a_burst_and_a_minutes_calls(
            count in 1_u32..200,
            mut calls in prop::collection::vec(0_i64..300_000_000, 0..600),
        ) {
            calls.sort_unstable();
            let admitted = admitted(rate(count), &calls);
            for (at, first) in admitted.iter().enumerate() {
                let within = admitted[at..].iter().take_while(|now| *now - first < 60_000_000).count();
                prop_assert!(within <= 2 * count as usize);
            }
        }

        #[test]
        fn a_client_that_keeps_to_the_rate_is_never_refused(count in 1_u32..2_000, start in 0_i64..1 << 50) {
            let rate = rate(count);
            let calls: Vec<i64> = (0..1_000).map(|n| start + n * rate.interval_us()).collect();
            prop_assert_eq!(admitted(rate, &calls).len(), calls.len());
        }

        #[test]
        fn a_refused_client_is_admitted_after_its_wait(
            count in 1_u32..2_000,
            arrival in any::<i64>(),
            now in 0_i64..1 << 50,
        ) {
            let rate = rate(count);
            if let Err(wait) = rate.admit(Some(arrival), now) {
                prop_assert!(wait.us > 0 && wait.us <= rate.interval_us());
                let later = arrival.clamp(now, now + rate.burst_us());
                prop_assert!(rate.admit(Some(later), now + wait.us).is_ok());
            }
        }
    }
}
