//! Requests in progress by Little's law, and waiting by utilisation after Kingman.

/// The mean number in progress: arrivals a second times seconds of each (J. D. C. Little, 1961).
#[must_use]
pub fn in_progress(arrivals_per_s: f64, duration_s: f64) -> f64 {
    arrivals_per_s * duration_s
}

/// The mean time from arrival to end at one server, in the unit of `service`: Kingman's approximation for `G/G/1` (1961).
/// `None` at a utilisation of 1 and beyond, where the queue grows without end.
///
/// `variation` is the mean of the squared coefficients of variation of the times between arrivals and of service: 1 if
/// both are exponential, 0 if both are constant.
#[must_use]
pub fn response(service: f64, utilisation: f64, variation: f64) -> Option<f64> {
    let is_stable = (0.0..1.0).contains(&utilisation);
    is_stable.then(|| service + utilisation / (1.0 - utilisation) * variation * service)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the results are exact")]
    fn known_queues_have_their_known_times() {
        assert_eq!(in_progress(2_000.0, 0.25), 500.0);
        // M/M/1: S / (1 − ρ). D/D/1: S.
        assert_eq!(response(10.0, 0.5, 1.0), Some(20.0));
        assert_eq!(response(10.0, 0.75, 0.0), Some(10.0));
        assert_eq!(response(10.0, 1.0, 1.0), None);
        assert_eq!(response(10.0, f64::NAN, 1.0), None);
    }

    proptest! {
        #[test]
        fn more_load_never_answers_sooner(service in 0.0f64..100.0, low in 0.0f64..1.0, high in 0.0f64..1.0) {
            prop_assume!(low <= high);
            prop_assert!(response(service, low, 0.5) <= response(service, high, 0.5));
        }
    }
}
