//! The startup banner: what runs at which address, and one command to try for each call.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::Path;

use equilibrium_domain::geo::polygon::Ring;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::policy::Policy;

use crate::workload::source::FeedSource;

/// Grid steps per axis in the search for a place inside a boundary.
const GRID_STEPS: u32 = 32;

/// The stadium of the simulated city, where prices rise first.
const STADIUM: Place = Place { lat: 40.8296, lng: -73.9262 };

/// The content of the banner.
#[derive(Debug)]
pub struct StartupBanner<'a> {
    /// The address that the server listens on.
    pub address: SocketAddr,
    /// Lanes of the event log.
    pub lanes: LaneCount,
    /// The folder of the database; `None` for a store in memory.
    pub folder: Option<&'a Path>,
    /// The source of events in addition to the API.
    pub feed: &'a FeedSource,
    /// The policy of the city in the examples.
    pub policy: &'a Policy,
}

/// A place on the map, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    lat: f64,
    lng: f64,
}

/// Where the stadium of the simulated city lies under this policy, if not in New York: latitude and longitude in degrees
/// of the place of the examples.
#[must_use]
pub fn stadium_elsewhere(policy: &Policy) -> Option<(f64, f64)> {
    let place = Place::within(policy);
    (place != STADIUM).then_some((place.lat, place.lng))
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
        writeln!(f, "  Open this address in a browser to watch the prices of {}.\n", policy.name)?;
        writeln!(f, "  POST /v1/events > ingest > [events: {lanes} lanes] > count > [counts] > surge > map")?;
        writeln!(f, "  GET  /v1/price, /v1/cities... > price < map\n")?;
        writeln!(f, "  event source  {feed}")?;
        if **feed == FeedSource::City && place != STADIUM {
            writeln!(f, "                it is New York's city, moved: the stadium of {city} is at {place}")?;
        }
        match folder {
            Some(path) => writeln!(f, "  storage       {}; events are saved before 202\n", path.display())?,
            None => writeln!(f, "  storage       in memory; --data DIR saves to disk\n")?,
        }
        writeln!(
            f,
            "A price, the surge map, the map as GeoJSON hexagons, the cities, a policy, health, a quote, a ride request:\n"
        )?;
        writeln!(f, "  curl '{url}/v1/price?{place}'")?;
        writeln!(f, "  curl '{url}/v1/cities/{city}/surge'")?;
        writeln!(f, "  curl -H 'accept: application/geo+json' '{url}/v1/cities/{city}/surge'")?;
        writeln!(f, "  curl '{url}/v1/cities'")?;
        writeln!(f, "  curl '{url}/v1/cities/{city}'")?;
        writeln!(f, "  curl '{url}/v1/cities/{city}/policy'")?;
        writeln!(f, "  curl '{url}/v1/health'")?;
        let at = format!("{{\"lat\":{:.4},\"lng\":{:.4}}}", place.lat, place.lng);
        writeln!(f, "  curl -H 'content-type: application/json' '{url}/v1/quotes' --data-binary \\")?;
        writeln!(f, "    '{{\"pickup\":{at},\"dropoff\":{at},\"distance_m\":3000}}'")?;
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
    /// A place inside the city's boundary: the stadium, or a place near the middle.
    fn within(policy: &Policy) -> Self {
        let is_inside = |place: &Self| policy.boundary.contains(place.lng, place.lat);
        if is_inside(&STADIUM) {
            return STADIUM;
        }
        let corners = || policy.boundary.rings().iter().flat_map(Ring::positions);
        let span = |axis: usize| {
            let values = || corners().map(move |corner| corner[axis]);
            (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max))
        };
        let ((west, east), (south, north)) = (span(0), span(1));
        let position =
            |(min, max): (f64, f64), step: u32| min + (max - min) * f64::from(step) / f64::from(GRID_STEPS);
        let steps = || 1..GRID_STEPS;
        let grid = steps().flat_map(|x| steps().map(move |y| (x, y)));
        let from_middle =
            |(x, y): &(u32, u32)| x.abs_diff(GRID_STEPS / 2).pow(2) + y.abs_diff(GRID_STEPS / 2).pow(2);
        let place = |(x, y)| Self { lat: position((south, north), y), lng: position((west, east), x) };
        let nearest = grid.filter(|at| is_inside(&place(*at))).min_by_key(from_middle);
        nearest.map_or(Self { lat: south, lng: west }, place)
    }
}

#[cfg(test)]
mod tests {
    use equilibrium_domain::policy::Policy;
    use equilibrium_simulator::city;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_example_place_is_inside_the_boundary() {
        assert_eq!(stadium_elsewhere(&city::policy::policy()), None);
        let ring = json!([[0, 0], [9, 0], [9, 9], [8, 9], [8, 1], [0, 1], [0, 0]]);
        let document = json!({"city": "corner", "currency": "EUR", "products": [{"id": "one"}],
            "boundary": {"type": "Polygon", "coordinates": [ring]}});
        let policy = Policy::from_json(&document).unwrap();
        let place = Place::within(&policy);
        assert!(policy.boundary.contains(place.lng, place.lat), "{place}");
    }
}
