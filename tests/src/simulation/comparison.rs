//! Compares the outcome of a simulation with the oracle.

use equilibrium_domain::id::CityId;
use thiserror::Error;

use super::Outcome;
use crate::oracle::Replayed;
use crate::rows;

/// The first difference from the oracle.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// A row differs.
    #[error("the first row that differs is\n  {row}\nwhere the oracle has\n  {expected}")]
    Row {
        /// The row of the simulation.
        row: String,
        /// The row of the oracle.
        expected: String,
    },
    /// Rows are missing or were added at the end.
    #[error("{rows} rows where the oracle has {expected}")]
    RowCount {
        /// The number of rows of the simulation.
        rows: usize,
        /// The number of rows of the oracle.
        expected: usize,
    },
    /// The number of late events differs.
    #[error("{late} late events where the oracle has {expected}")]
    Late {
        /// The late events of the simulation.
        late: u64,
        /// The late events of the oracle.
        expected: u64,
    },
    /// A stored map is not one complete tick.
    #[error("the stored map of {city} does not consist of all rows of one tick")]
    Map {
        /// The city.
        city: CityId,
    },
}

/// Compares rows, late events and stored maps.
///
/// # Errors
/// The first [`Mismatch`].
pub fn compare(outcome: &Outcome, expected: &Replayed) -> Result<(), Mismatch> {
    let (actual, oracle) = (rows::by_city(outcome.rows.clone()), rows::by_city(expected.rows.clone()));
    if let Some((row, expected)) = actual.iter().zip(&oracle).find(|(row, expected)| row != expected) {
        return Err(Mismatch::Row { row: row.clone(), expected: expected.clone() });
    }
    if actual.len() != oracle.len() {
        return Err(Mismatch::RowCount { rows: actual.len(), expected: oracle.len() });
    }
    if outcome.late != expected.late as u64 {
        return Err(Mismatch::Late { late: outcome.late, expected: expected.late as u64 });
    }
    for (city, map) in &outcome.maps {
        if !is_one_tick(map, city, &actual) {
            return Err(Mismatch::Map { city: city.clone() });
        }
    }
    Ok(())
}

/// Whether `map` consists of all rows of one tick of `city`. It is empty if its tick has no rows.
fn is_one_tick(map: &[String], city: &CityId, rows: &[String]) -> bool {
    let Some(first) = map.first() else { return true };
    let is_of_tick = |row: &&String| rows::tick(row) == rows::tick(first) && rows::city(row) == city.as_str();
    let tick: Vec<&String> = rows.iter().filter(is_of_tick).collect();
    tick.len() == map.len() && map.iter().all(|row| tick.contains(&row))
}
