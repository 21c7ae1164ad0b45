//! Demand by place and time: districts by hour of day, and a stadium that empties.

use super::geography::Point;
use crate::rng::SplitMix64;
use crate::rounding::real;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Requests a second at noon for each driver of the fleet: about six of ten drivers are busy then.
const NOON_PER_S: f64 = 2.2 / 3000.0;

/// Riders go to places that have demand this much later: to work in the morning, home at night.
const STAY_MS: i64 = 9 * HOUR_MS;

/// Candidate destinations of a rider, and the distance below which riders walk.
const DESTINATIONS: usize = 4;
const WALK_M: f64 = 800.0;

/// How long the stadium takes to empty, and when its demand peaks.
pub(super) const EMPTYING_MS: i64 = 240_000;
const RUSH_MS: i64 = 60_000;

/// Yankee Stadium (latitude, longitude), and the radius within which its crowd requests rides.
pub(super) const STADIUM: (f64, f64) = (40.8296, -73.9262);
pub(super) const STADIUM_RADIUS_M: f64 = 900.0;

/// A part of the city.
struct District {
    lat: f64,
    lng: f64,
    /// Requests come from within this distance, most of them from much nearer.
    radius_m: f64,
    /// Its share of the city's requests at noon.
    share: f64,
    hours: &'static [f64; 24],
}

const fn district(lat: f64, lng: f64, radius_m: f64, share: f64, hours: &'static [f64; 24]) -> District {
    District { lat, lng, radius_m, share, hours }
}

/// Requests by hour of the local day, as a multiple of noon's.
#[rustfmt::skip]
const OFFICES: [f64; 24] = [
    0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.7, 0.9, 0.9, 0.9, 1.0,
    1.0, 1.0, 0.9, 1.0, 1.3, 1.6, 1.6, 1.3, 1.1, 1.0, 0.7, 0.4,
];
#[rustfmt::skip]
const NIGHTLIFE: [f64; 24] = [
    1.0, 0.9, 0.7, 0.5, 0.3, 0.2, 0.3, 0.5, 0.6, 0.6, 0.7, 0.8,
    1.0, 1.0, 0.9, 0.9, 1.0, 1.2, 1.4, 1.4, 1.4, 1.5, 1.5, 1.3,
];
#[rustfmt::skip]
const HOMES: [f64; 24] = [
    0.3, 0.2, 0.1, 0.1, 0.2, 0.6, 1.1, 1.7, 1.7, 1.3, 1.0, 0.9,
    1.0, 0.9, 0.9, 1.0, 1.0, 1.1, 1.2, 1.1, 1.0, 0.8, 0.6, 0.4,
];
#[rustfmt::skip]
const FLIGHTS: [f64; 24] = [
    0.6, 0.3, 0.1, 0.1, 0.2, 0.6, 0.8, 1.0, 1.0, 0.9, 0.9, 0.9,
    1.0, 1.0, 1.1, 1.2, 1.2, 1.3, 1.3, 1.3, 1.2, 1.1, 1.0, 0.8,
];

const DISTRICTS: [District; 18] = [
    district(40.7549, -73.9840, 1800.0, 0.180, &OFFICES), // Midtown
    district(40.7074, -74.0113, 1200.0, 0.090, &OFFICES), // Financial District
    district(40.7265, -73.9940, 1500.0, 0.110, &NIGHTLIFE), // Downtown: the Villages, Lower East Side
    district(40.7736, -73.9566, 1600.0, 0.080, &HOMES),   // Upper East Side
    district(40.7870, -73.9754, 1600.0, 0.070, &HOMES),   // Upper West Side
    district(40.8116, -73.9465, 1700.0, 0.050, &HOMES),   // Harlem
    district(40.7144, -73.9553, 1700.0, 0.060, &NIGHTLIFE), // Williamsburg
    district(40.6928, -73.9870, 1500.0, 0.060, &OFFICES), // Downtown Brooklyn
    district(40.6710, -73.9778, 1800.0, 0.045, &HOMES),   // Park Slope
    district(40.6782, -73.9442, 2000.0, 0.045, &HOMES),   // Bedford-Stuyvesant and Crown Heights
    district(40.6350, -74.0230, 1800.0, 0.020, &HOMES),   // Bay Ridge
    district(40.7560, -73.9285, 2000.0, 0.050, &HOMES),   // Long Island City and Astoria
    district(40.7596, -73.8301, 1600.0, 0.030, &HOMES),   // Flushing
    district(40.7020, -73.7990, 1600.0, 0.020, &HOMES),   // Jamaica
    district(40.8500, -73.8950, 2400.0, 0.040, &HOMES),   // The Bronx
    district(40.7769, -73.8740, 500.0, 0.030, &FLIGHTS),  // La Guardia
    district(40.6446, -73.7822, 700.0, 0.035, &FLIGHTS),  // JFK
    district(40.6925, -74.1787, 700.0, 0.015, &FLIGHTS),  // Newark
];

/// The rate of ride requests by place and time.
#[derive(Debug)]
pub(super) struct Demand {
    noon_per_s: f64,
    /// Local time of day at the start.
    day_ms: i64,
    stadium_ms: i64,
    /// Requests a second from the stadium at its peak.
    rush_per_s: f64,
    max_per_s: f64,
}

impl Demand {
    pub(super) fn new(drivers: u32, day_ms: i64, crowd: u32, stadium_ms: i64) -> Self {
        let noon_per_s = NOON_PER_S * f64::from(drivers);
        // The rate rises and falls linearly: a triangle whose area is the crowd.
        let rush_per_s = 2.0 * f64::from(crowd) / (real(EMPTYING_MS) / 1000.0);
        let peaks = DISTRICTS.iter().map(|d| d.share * d.hours.iter().fold(0.0, |a: f64, b| a.max(*b)));
        let max_per_s = noon_per_s * peaks.sum::<f64>() + rush_per_s;
        Self { noon_per_s, day_ms, stadium_ms, rush_per_s, max_per_s }
    }

    /// An upper bound of the requests a second, at all times.
    pub(super) fn max_per_s(&self) -> f64 {
        self.max_per_s
    }

    /// The pickup of one of [`Self::max_per_s`] candidates a second, whose `level` is uniform below that rate;
    /// `None` if the candidate does not become a request.
    pub(super) fn request(&self, now_ms: i64, level: f64, rng: &mut SplitMix64) -> Option<Point> {
        let stadium_per_s = self.stadium_per_s(now_ms);
        if level < stadium_per_s {
            return Some(scatter(Point::at(STADIUM.0, STADIUM.1), STADIUM_RADIUS_M, rng));
        }
        let district = self.district_at(now_ms, level - stadium_per_s)?;
        Some(scatter(Point::at(district.lat, district.lng), district.radius_m, rng))
    }

    /// A destination for a ride that starts at `from` now: of a few candidates the nearest that is too far to
    /// walk, because most rides are short.
    pub(super) fn destination(&self, from: Point, now_ms: i64, rng: &mut SplitMix64) -> Point {
        let candidates: [Point; DESTINATIONS] = std::array::from_fn(|_| self.later_pickup(now_ms, rng));
        let far = candidates.iter().filter(|to| to.distance_m(from) >= WALK_M);
        let nearest = far.min_by(|a, b| a.distance_m(from).total_cmp(&b.distance_m(from)));
        *nearest.unwrap_or(&candidates[0])
    }

    /// A place at which a driver can expect riders now.
    pub(super) fn hot_spot(&self, now_ms: i64, rng: &mut SplitMix64) -> Point {
        let level = rng.fraction() * (self.stadium_per_s(now_ms) + self.districts_per_s(now_ms));
        let pickup = self.request(now_ms, level, rng);
        pickup.unwrap_or_else(|| Point::at(DISTRICTS[0].lat, DISTRICTS[0].lng))
    }

    /// The districts' demand as a multiple of noon's.
    pub(super) fn activity(&self, now_ms: i64) -> f64 {
        self.districts_per_s(now_ms) / self.noon_per_s
    }

    fn later_pickup(&self, now_ms: i64, rng: &mut SplitMix64) -> Point {
        let later_ms = now_ms + STAY_MS;
        let level = rng.fraction() * self.districts_per_s(later_ms);
        let district = self.district_at(later_ms, level).unwrap_or(&DISTRICTS[0]);
        scatter(Point::at(district.lat, district.lng), district.radius_m, rng)
    }

    fn district_at(&self, now_ms: i64, level: f64) -> Option<&'static District> {
        let mut level = level / self.noon_per_s;
        DISTRICTS.iter().find(|district| {
            level -= self.share(district, now_ms);
            level < 0.0
        })
    }

    fn districts_per_s(&self, now_ms: i64) -> f64 {
        DISTRICTS.iter().map(|district| self.share(district, now_ms)).sum::<f64>() * self.noon_per_s
    }

    /// A district's share now, interpolated between two hours.
    fn share(&self, district: &District, now_ms: i64) -> f64 {
        let day_ms = (self.day_ms + now_ms).rem_euclid(DAY_MS);
        let hour = usize::try_from(day_ms / HOUR_MS).expect("an hour of a day");
        let (this, next) = (district.hours[hour], district.hours[(hour + 1) % 24]);
        district.share * (this + (next - this) * real(day_ms % HOUR_MS) / real(HOUR_MS))
    }

    fn stadium_per_s(&self, now_ms: i64) -> f64 {
        let since_ms = now_ms - self.stadium_ms;
        if !(0..EMPTYING_MS).contains(&since_ms) {
            return 0.0;
        }
        let part = if since_ms < RUSH_MS {
            real(since_ms) / real(RUSH_MS)
        } else {
            real(EMPTYING_MS - since_ms) / real(EMPTYING_MS - RUSH_MS)
        };
        self.rush_per_s * part
    }
}

fn scatter(centre: Point, radius_m: f64, rng: &mut SplitMix64) -> Point {
    Point { x: centre.x + radius_m * rng.bell(), y: centre.y + radius_m * rng.bell() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_districts_shares_at_noon_add_up_to_one() {
        let shares: f64 = DISTRICTS.iter().map(|district| district.share).sum();
        let demand = Demand::new(3000, 12 * HOUR_MS, 0, 0);
        assert!((demand.activity(0) - shares).abs() < 1e-9);
        assert!((0.95..1.05).contains(&shares), "{shares}");
    }

    #[test]
    fn demand_is_low_at_night_and_high_in_the_evening() {
        let demand = Demand::new(3000, 0, 0, 0);
        assert!(demand.activity(4 * HOUR_MS) < 0.4);
        assert!(demand.activity(18 * HOUR_MS) > 1.2);
        let day = (0..24 * 60).map(|minute| demand.districts_per_s(minute * 60_000));
        assert!(day.fold(0.0, f64::max) <= demand.max_per_s());
    }

    #[test]
    fn destinations_are_homes_in_the_evening() {
        let home = |day_ms| {
            let demand = Demand::new(3000, day_ms, 0, 0);
            let homes = DISTRICTS.iter().filter(|district| district.hours[7] > 1.5);
            homes.map(|district| demand.share(district, STAY_MS)).sum::<f64>() / demand.activity(STAY_MS)
        };
        assert!(home(22 * HOUR_MS) > home(8 * HOUR_MS) + 0.1);
    }
}
