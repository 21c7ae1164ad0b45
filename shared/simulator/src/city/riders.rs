//! The riders with an open request or ride; a rider is removed after the drop-off or the last cancellation.

use super::geography::Point;

/// The state of a rider.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Waits for a match and cancels after `until_ms`.
    Waiting { until_ms: i64 },
    /// Waits for this driver, who is on the way.
    Matched { driver: u32 },
    /// Rides with this driver.
    Riding { driver: u32 },
    /// Cancelled, and will request again.
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
    /// Requests made so far.
    pub(super) requests: u32,
}

/// The current riders, by slot; the slot of a removed rider is reused.
#[derive(Debug, Default)]
pub(super) struct Riders {
    slots: Vec<Rider>,
    unused: Vec<u32>,
}

impl Riders {
    /// Adds a rider and returns its slot.
    pub(super) fn insert(&mut self, rider: Rider) -> u32 {
        if let Some(slot) = self.unused.pop() {
            self.slots[slot as usize] = rider;
            return slot;
        }
        self.slots.push(rider);
        u32::try_from(self.slots.len() - 1).expect("a city has fewer than four billion riders at once")
    }

    pub(super) fn get(&mut self, slot: u32) -> &mut Rider {
        &mut self.slots[slot as usize]
    }

    /// Removes the rider in `slot`.
    pub(super) fn remove(&mut self, slot: u32) {
        self.unused.push(slot);
    }

    /// The greatest number of slots in use at once so far.
    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Each rider that has a driver, with the driver.
    #[cfg(test)]
    pub(super) fn with_driver(&self) -> impl Iterator<Item = (&Rider, u32)> {
        let slots = self.slots.iter().zip(0..).filter(|(_, slot)| !self.unused.contains(slot));
        slots.filter_map(|(rider, _)| match rider.stage {
            Stage::Matched { driver } | Stage::Riding { driver } => Some((rider, driver)),
            Stage::Waiting { .. } | Stage::Pausing => None,
        })
    }
}
