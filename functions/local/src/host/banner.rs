//! What the process says of itself: what runs where, and one line to type for each call.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::Path;

use equilibrium_domain::geo::polygon::Ring;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::policy::Policy;

use crate::workload::source::FeedSource;

/// How finely a boundary's box is searched for a place within.
const STEPS: u32 = 32;

/// The stadium of the simulated city, where prices rise first.
const STADIUM: Place = Place { lat: 40.8296, lng: -73.9262 };

/// Everything there is to say.
#[derive(Debug)]
pub struct StartupBanner<'a> {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its lanes.
    pub lanes: LaneCount,
    /// Where it keeps things.
    pub folder: Option<&'a Path>,
    /// What feeds it.
    pub feed: &'a FeedSource,
    /// A city of its.
    pub policy: &'a Policy,
}

/// A place on the map, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    lat: f64,
    lng: f64,
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lat={:.4}&lng={:.4}", self.lat, self.lng)
    }
}

impl Display for StartupBanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, lanes, folder, feed, policy } = self;
        let (url, lanes) = (format!("http://{address}"), lanes.get());
        let (version, city) = (env!("CARGO_PKG_VERSION"), &policy.city);
        let place = Place::within(policy);
        writeln!(f, "Equilibrium {version} on {url}\n")?;
        writeln!(f, "  POST /v1/events > ingest > [events: {lanes} lanes] > count > [counts] > surge > map")?;
        writeln!(f, "  GET  /v1/price, /v1/cities... > price < map\n")?;
        writeln!(f, "  fed by  {feed}")?;
        match folder {
            Some(folder) => writeln!(f, "  kept in {}, each event before its 202\n", folder.display())?,
            None => writeln!(f, "  kept in memory; --data DIR keeps it on disk\n")?,
        }
        writeln!(f, "A price, the map, the map as hexagons, the cities, and a rider who asks:\n")?;
        writeln!(f, "  curl '{url}/v1/price?{place}'")?;
        writeln!(f, "  curl '{url}/v1/cities/{city}/surge'")?;
        writeln!(f, "  curl -H 'accept: application/geo+json' '{url}/v1/cities/{city}/surge'")?;
        writeln!(f, "  curl '{url}/v1/cities'")?;
        writeln!(f, "  curl '{url}/v1/cities/{city}'")?;
        writeln!(f, "  curl -H 'content-type: application/x-ndjson' '{url}/v1/events' --data-binary \\")?;
        let time = "'\"$(date -u +%FT%TZ)\"'";
        write!(
            f,
            "    '{{\"type\":\"ride_requested\",\"id\":\"e1\",\"time\":\"{time}\",\"city\":\"{city}\","
        )?;
        writeln!(f, "\"request_id\":\"q1\",\"lat\":{:.4},\"lng\":{:.4}}}'", place.lat, place.lng)
    }
}

impl Place {
    /// A place that the city serves: its stadium, or near the middle.
    fn within(policy: &Policy) -> Self {
        let serves = |place: &Self| policy.boundary.contains(place.lng, place.lat);
        if serves(&STADIUM) {
            return STADIUM;
        }
        let corners = || policy.boundary.rings().iter().flat_map(Ring::positions);
        let span = |axis: usize| {
            let values = || corners().map(move |corner| corner[axis]);
            (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max))
        };
        let ((west, east), (south, north)) = (span(0), span(1));
        let part =
            |(low, high): (f64, f64), step: u32| low + (high - low) * f64::from(step) / f64::from(STEPS);
        let steps = || 1..STEPS;
        let all = steps().flat_map(|x| steps().map(move |y| (x, y)));
        let from_middle = |(x, y): &(u32, u32)| x.abs_diff(STEPS / 2).pow(2) + y.abs_diff(STEPS / 2).pow(2);
        let place = |(x, y)| Self { lat: part((south, north), y), lng: part((west, east), x) };
        let within = all.filter(|at| serves(&place(*at))).min_by_key(from_middle);
        within.map_or(Self { lat: south, lng: west }, place)
    }
}

#[cfg(test)]
mod tests {
    use equilibrium_domain::policy::Policy;
    use serde_json::json;

    use super::*;
    use equilibrium_simulator::city;

    #[test]
    fn every_place_that_is_named_is_served() {
        assert_eq!(Place::within(&city::policy::policy()), STADIUM);
        let ring = json!([[0, 0], [9, 0], [9, 9], [8, 9], [8, 1], [0, 1], [0, 0]]);
        let document = json!({"city": "corner", "currency": "EUR", "products": [{"id": "one"}],
            "boundary": {"type": "Polygon", "coordinates": [ring]}});
        let policy = Policy::from_json(&document).unwrap();
        let place = Place::within(&policy);
        assert!(policy.boundary.contains(place.lng, place.lat), "{place}");
    }
}
