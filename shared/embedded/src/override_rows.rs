//! The rows of overrides.

use std::str;

use equilibrium_domain::policy::overrides::Override;

/// An override in its row.
pub(crate) fn decode(row: &[u8]) -> Result<Override, &'static str> {
    let text = str::from_utf8(row).map_err(|_| "an override that is not UTF-8")?;
    Override::from_stored(text).map_err(|_| "an invalid row of an override")
}

/// How many overrides a city has had and how often they have changed, in its row.
pub(crate) fn decode_counts(row: &[u8]) -> Result<[u64; 2], &'static str> {
    let (counts, []) = row.as_chunks() else { return Err("an invalid row of override counts") };
    let &[created, revision] = counts else { return Err("an invalid row of override counts") };
    Ok([created, revision].map(u64::from_le_bytes))
}
