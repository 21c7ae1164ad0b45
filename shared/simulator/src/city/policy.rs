//! The simulated city's policy: New York with the defaults of CONTRACT §7, its stadium and an airport.

use equilibrium_domain::policy::Policy;

/// The policy as a city file.
pub const JSON: &str = include_str!("nyc.json");

/// The policy of the simulated city.
///
/// # Panics
/// Never: the file is part of the program, and a test reads it.
#[must_use]
pub fn policy() -> Policy {
    let document = serde_json::from_str(JSON).expect("nyc.json is JSON");
    Policy::from_json(&document).expect("nyc.json is a policy")
}

#[cfg(test)]
mod tests {
    use equilibrium_domain::policy::Multiplier;

    use super::super::demand::STADIUM;
    use super::*;

    #[test]
    fn the_airport_is_capped_and_the_stadium_is_not() {
        let policy = policy();
        let zone = |lng, lat| policy.zones.iter().find(|zone| zone.polygon.contains(lng, lat)).unwrap();
        let airport = zone(-73.7822, 40.6446);
        assert_eq!((airport.id.as_str(), airport.cap), ("jfk", Multiplier::new(250)));
        let (lat, lng) = STADIUM;
        let stadium = zone(lng, lat);
        assert_eq!((stadium.id.as_str(), stadium.floor, stadium.cap), ("stadium", None, None));
    }
}
