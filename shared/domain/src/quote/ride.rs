//! The distance and duration of a ride: given by a client, or estimated from its ends (CONTRACT §8).

use thiserror::Error;

use crate::event::Position;
use crate::policy::QuoteTerms;

/// The mean radius of the Earth, in metres (CONTRACT §8).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// The longest great circle of a ride, in metres.
const MAX_GREAT_CIRCLE_M: f64 = 500_000.0;

/// Up to this great circle, in metres, any distance is plausible: a ride around the block.
const SHORT_GREAT_CIRCLE_M: f64 = 200.0;

/// The longest way relative to the great circle that a client may give.
const MAX_DETOUR: f64 = 3.0;

/// The longest distance that a client may give, in metres: a quarter of the way around the Earth.
pub const MAX_DISTANCE_M: u32 = 10_000_000;

/// The longest duration that a client may give, in seconds: a week.
pub const MAX_DURATION_S: u32 = 604_800;

/// The length of a ride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ride {
    /// In metres, at most [`MAX_DISTANCE_M`].
    pub distance_m: u32,
    /// In seconds, at most [`MAX_DURATION_S`].
    pub duration_s: u32,
}

/// What a client gives of a ride.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RideRequest {
    /// Where it begins.
    pub pickup: Position,
    /// Where it ends.
    pub dropoff: Position,
    /// In metres.
    pub distance_m: Option<u32>,
    /// In seconds.
    pub duration_s: Option<u32>,
}

/// Why a ride is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum RideError {
    /// The dropoff is too far away.
    #[error("the dropoff is {great_circle_m:.0} m away, more than 500 km")]
    TooFar {
        /// The great circle from pickup to dropoff, in metres.
        great_circle_m: f64,
    },
    /// The distance is shorter than the great circle, or more than three times as long.
    #[error("must be 1 to 3 times the great circle of {great_circle_m:.0} m")]
    Implausible {
        /// The great circle from pickup to dropoff, in metres.
        great_circle_m: f64,
    },
}

impl RideRequest {
    /// The ride by the terms of a policy. A trusted client may give any distance.
    ///
    /// # Errors
    /// [`RideError`].
    pub fn ride(&self, terms: &QuoteTerms, is_trusted: bool) -> Result<Ride, RideError> {
        let great_circle_m = great_circle_m(self.pickup, self.dropoff);
        if great_circle_m > MAX_GREAT_CIRCLE_M {
            return Err(RideError::TooFar { great_circle_m });
        }
        if let Some(distance_m) = self.distance_m.map(f64::from)
            && !is_trusted
            && great_circle_m > SHORT_GREAT_CIRCLE_M
            && !(great_circle_m..=MAX_DETOUR * great_circle_m).contains(&distance_m)
        {
            return Err(RideError::Implausible { great_circle_m });
        }
        let distance_m =
            self.distance_m.unwrap_or_else(|| half_up(great_circle_m * terms.detour, MAX_DISTANCE_M));
        let seconds = f64::from(distance_m) * 3.6 / terms.speed_kmh;
        let duration_s = self.duration_s.unwrap_or_else(|| half_up(seconds, MAX_DURATION_S));
        Ok(Ride { distance_m, duration_s })
    }
}

/// A length that is not negative, rounded to a whole number, half up, and at most `max`.
fn half_up(length: f64, max: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a u32")]
    let rounded = (length + 0.5).floor().clamp(0.0, f64::from(max)) as u32;
    rounded
}

/// The great circle between two places in metres, by the haversine formula. Its functions are those of libm, so that every
/// machine computes the same bits.
#[must_use]
pub fn great_circle_m(from: Position, to: Position) -> f64 {
    let half_sine = |degrees: f64| {
        let sine = libm::sin(degrees.to_radians() / 2.0);
        sine * sine
    };
    let cosines = libm::cos(from.lat.to_radians()) * libm::cos(to.lat.to_radians());
    let a = half_sine(to.lat - from.lat) + cosines * half_sine(to.lng - from.lng);
    2.0 * EARTH_RADIUS_M * libm::asin(a.sqrt().min(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::Multiplier;

    const TERMS: QuoteTerms =
        QuoteTerms { ttl_ms: 120_000, ack_above: Multiplier::ONE, detour: 1.3, speed_kmh: 24.0 };

    fn at(lat: f64, lng: f64) -> Position {
        Position { lat, lng }
    }

    fn request(dropoff: Position, distance_m: Option<u32>, duration_s: Option<u32>) -> RideRequest {
        RideRequest { pickup: at(0.0, 0.0), dropoff, distance_m, duration_s }
    }

    #[test]
    fn a_great_circle_is_that_of_the_mean_radius() {
        // A degree of the equator.
        let degree = std::f64::consts::PI * 6_371_008.8 / 180.0;
        for (to, expected) in [
            (at(0.0, 1.0), degree),
            (at(1.0, 0.0), degree),
            (at(0.0, 0.0), 0.0),
            (at(0.0, 180.0), 180.0 * degree),
        ] {
            assert!((great_circle_m(at(0.0, 0.0), to) - expected).abs() < 1e-4, "{to:?}");
        }
        let across = great_circle_m(at(10.0, 179.5), at(10.0, -179.5));
        assert!(
            (across - great_circle_m(at(10.0, 0.0), at(10.0, 1.0))).abs() < 1e-6,
            "the antimeridian is no edge"
        );
    }

    #[test]
    fn what_is_absent_is_estimated_from_the_ends_and_rounded_half_up() {
        // 1 111.95 m of great circle, times 1.3, at 24 km/h.
        let estimated = request(at(0.0, 0.01), None, None).ride(&TERMS, false).unwrap();
        assert_eq!(estimated, Ride { distance_m: 1_446, duration_s: 217 });
        let timed = request(at(0.0, 0.01), Some(2_000), None).ride(&TERMS, false).unwrap();
        assert_eq!(timed, Ride { distance_m: 2_000, duration_s: 300 });
        let given = request(at(0.0, 0.01), Some(1_500), Some(77)).ride(&TERMS, false).unwrap();
        assert_eq!(given, Ride { distance_m: 1_500, duration_s: 77 });
        for (length, rounded) in [(0.0, 0), (0.499, 0), (0.5, 1), (1.5, 2), (2.5, 3)] {
            assert_eq!(half_up(length, 9), rounded);
        }
        assert_eq!(half_up(1e12, 9), 9);
    }

    #[test]
    fn implausible_distances_are_refused_unless_the_client_is_trusted() {
        // 1 111.95 m of great circle.
        let ride =
            |distance_m, is_trusted| request(at(0.0, 0.01), Some(distance_m), None).ride(&TERMS, is_trusted);
        for distance_m in [1_112, 3_335] {
            assert!(ride(distance_m, false).is_ok());
        }
        for distance_m in [0, 1_111, 3_336] {
            assert!(matches!(ride(distance_m, false), Err(RideError::Implausible { .. })), "{distance_m}");
            assert!(ride(distance_m, true).is_ok());
        }
        let near = |distance_m| request(at(0.0, 0.001), Some(distance_m), None).ride(&TERMS, false);
        assert!(near(0).is_ok() && near(MAX_DISTANCE_M).is_ok(), "a ride around the block");
        let far = request(at(4.5, 0.0), None, None);
        assert!(matches!(far.ride(&TERMS, true), Err(RideError::TooFar { .. })), "500.4 km, always");
        assert!(request(at(4.49, 0.0), None, None).ride(&TERMS, false).is_ok());
    }

    proptest! {
        #[test]
        fn a_great_circle_is_symmetric_and_at_most_half_the_way_around(a in (-90.0..=90.0, -180.0..=180.0), b in (-90.0..=90.0, -180.0..=180.0)) {
            let (a, b) = (at(a.0, a.1), at(b.0, b.1));
            let length = great_circle_m(a, b);
            prop_assert!((0.0..=20_015_115.0).contains(&length));
            prop_assert!((length - great_circle_m(b, a)).abs() < 1e-6);
        }
    }
}
