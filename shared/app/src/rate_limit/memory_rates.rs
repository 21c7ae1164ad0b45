//! What clients have used of their rates, in the memory of one process, with a bound.

use std::hash::{BuildHasher, RandomState};

use equilibrium_domain::rate::Rate;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::rate_limit::ports::{Admission, RateKey, RateStore};
use crate::unavailable::Unavailable;

/// Clients are spread over so many parts, each with a lock of its own.
const PARTS: usize = 64;

/// The most clients of a part that are kept. All parts take some 4 MiB.
pub const MAX_CLIENTS_PER_PART: usize = 2_048;

/// The least time between two searches of a full part for clients that are idle, in microseconds.
const SEARCH_INTERVAL_US: i64 = 1_000_000;

/// The theoretical arrival times of clients.
///
/// A client that finds a full part is admitted, and not kept: the bound holds, and a flood of new clients refuses no other.
#[derive(Debug)]
pub struct MemoryRates {
    parts: Box<[Mutex<Part>]>,
    /// Keys are hashed with a secret of the process, so that a client cannot choose its part.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Part {
    arrivals_us: HashMap<u128, i64>,
    searched_us: Option<i64>,
}

impl Default for MemoryRates {
    fn default() -> Self {
        let parts = std::iter::repeat_with(Mutex::default).take(PARTS).collect();
        Self { parts, hasher: RandomState::new() }
    }
}

impl MemoryRates {
    /// Takes one call of a rate, as [`RateStore::take`].
    ///
    /// # Errors
    /// The time to wait.
    pub fn admit(&self, key: RateKey, rate: Rate, now_us: i64) -> Admission {
        // Below the number of parts.
        #[allow(clippy::cast_possible_truncation)]
        let at = (self.hasher.hash_one(key) % PARTS as u64) as usize;
        let mut part = self.parts[at].lock();
        if let Some(arrival_us) = part.arrivals_us.get_mut(&key.0) {
            *arrival_us = rate.admit(Some(*arrival_us), now_us)?;
            return Ok(());
        }
        let arrival_us = rate.admit(None, now_us)?;
        if part.has_room(now_us) {
            part.arrivals_us.insert(key.0, arrival_us);
        }
        Ok(())
    }

    /// Number of clients that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().arrivals_us.len()).sum()
    }

    /// Whether no client is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Part {
    fn has_room(&mut self, now_us: i64) -> bool {
        let is_full = |part: &Self| part.arrivals_us.len() >= MAX_CLIENTS_PER_PART;
        let is_due =
            self.searched_us.is_none_or(|at_us| !(0..SEARCH_INTERVAL_US).contains(&(now_us - at_us)));
        if is_full(self) && is_due {
            self.searched_us = Some(now_us);
            self.arrivals_us.retain(|_, arrival_us| *arrival_us > now_us);
        }
        !is_full(self)
    }
}

impl RateStore for MemoryRates {
    async fn take(&self, key: RateKey, rate: Rate, now_us: i64) -> Result<Admission, Unavailable> {
        Ok(self.admit(key, rate, now_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    const MINUTE_US: i64 = 60_000_000;

    #[tokio::test]
    async fn the_memory_meets_the_contract_of_the_rate_store() {
        contract::rate_store(&MemoryRates::default()).await;
    }

    #[test]
    fn a_flood_of_clients_takes_bounded_memory_and_refuses_no_other() {
        let rates = MemoryRates::default();
        let rate = Rate::per_minute(1).unwrap();
        let known = RateKey::new("prices", "known");
        assert!(rates.admit(known, rate, 0).is_ok());
        let bound = PARTS * MAX_CLIENTS_PER_PART;
        for client in 0..u128::try_from(2 * bound).unwrap() {
            assert!(rates.admit(RateKey(client), rate, 1).is_ok());
        }
        assert!(rates.len() <= bound);
        assert!(rates.admit(known, rate, 2).is_err());
        // The idle ones make room, once there is need of it.
        for client in 0..u128::try_from(bound).unwrap() {
            rates.admit(RateKey(1 << 100 | client), rate, 3 * MINUTE_US).unwrap();
        }
        assert!(rates.admit(RateKey(1 << 100), rate, 3 * MINUTE_US).is_err());
    }
}
