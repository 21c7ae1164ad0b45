//! The riders that want something now: each asks, waits, rides or gives up, and is forgotten.

use super::geography::Point;

/// What a rider does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Waits for a driver until they have had enough.
    Waiting { until_ms: i64 },
    /// Waits for this driver, who is on the way.
    Matched { driver: u32 },
    /// Rides with this driver.
    Riding { driver: u32 },
    /// Gave up, and will ask again.
    Pausing,
}

/// One rider and their newest request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rider {
    pub(super) number: u64,
    pub(super) request: u64,
    /// Index among the city's products.
    pub(super) product: usize,
    pub(super) pickup: Point,
    pub(super) dropoff: Point,
    pub(super) stage: Stage,
    /// How often they have asked.
    pub(super) asked: u32,
}

/// The riders of the moment; the seat of one who is gone is given to another.
#[derive(Debug, Default)]
pub(super) struct Riders {
    seats: Vec<Rider>,
    empty: Vec<u32>,
}

impl Riders {
    /// Takes a rider in: their seat.
    pub(super) fn enter(&mut self, rider: Rider) -> u32 {
        if let Some(seat) = self.empty.pop() {
            self.seats[seat as usize] = rider;
            return seat;
        }
        self.seats.push(rider);
        u32::try_from(self.seats.len() - 1).expect("no city has four billion riders at once")
    }

    pub(super) fn get(&mut self, seat: u32) -> &mut Rider {
        &mut self.seats[seat as usize]
    }

    /// Forgets the rider in a seat.
    pub(super) fn leave(&mut self, seat: u32) {
        self.empty.push(seat);
    }

    /// Seats ever needed at once.
    #[cfg(test)]
    pub(super) fn seats(&self) -> usize {
        self.seats.len()
    }

    /// Each rider who has a driver, with the driver.
    #[cfg(test)]
    pub(super) fn served(&self) -> impl Iterator<Item = (&Rider, u32)> {
        let seats = self.seats.iter().zip(0..).filter(|(_, seat)| !self.empty.contains(seat));
        seats.filter_map(|(rider, _)| match rider.stage {
            Stage::Matched { driver } | Stage::Riding { driver } => Some((rider, driver)),
            Stage::Waiting { .. } | Stage::Pausing => None,
        })
    }
}
