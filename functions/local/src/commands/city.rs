//! `equilibrium city`: writes the events of the simulated city to a file.

use std::path::Path;

use equilibrium_simulator::city::write_city;

use crate::commands::output_file::{self, OutputError};
use crate::commands::terminal::Exit;

/// Runs the command and reports the number of events.
#[must_use]
pub fn execute(seed: u64, minutes: u32, out: &Path) -> Exit {
    match write_city_file(seed, minutes, out) {
        Ok(events) => Exit::summary(format_args!("events={events}")),
        Err(error) => Exit::failure(error.status(), error),
    }
}

/// Writes the events of the city's first `minutes` to a file, truncating an existing one; returns their number.
///
/// # Errors
/// [`OutputError`].
pub fn write_city_file(seed: u64, minutes: u32, path: &Path) -> Result<u64, OutputError> {
    let mut file = output_file::create(path)?;
    write_city(seed, minutes, &mut file).map_err(output_file::write_error(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_created_is_named_in_the_error() {
        let error = write_city_file(1, 1, Path::new("/nowhere/at/all.ndjson")).unwrap_err();
        assert_eq!(error.status(), 2);
        assert!(error.to_string().starts_with("/nowhere/at/all.ndjson: "), "{error}");
    }
}
