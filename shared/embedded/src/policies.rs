//! The policies of a store: their versions, the policies that a folder has taken from city files, and the rows of both.

use std::collections::BTreeMap;
use std::str;

use equilibrium_app::memory::PolicyVersions;
use equilibrium_app::policy::ports::NewVersion;
use equilibrium_domain::id::CityId;

/// The policies of a store.
#[derive(Debug, Default)]
pub struct StoredPolicies {
    pub(crate) versions: PolicyVersions,
    /// The document of each city that was last taken from a city file.
    pub(crate) files: BTreeMap<CityId, String>,
}

impl StoredPolicies {
    /// Takes the row of a version.
    pub(crate) fn restore(&mut self, city: &CityId, version: u64, row: &[u8]) -> Result<(), &'static str> {
        self.versions.restore(city, version, decode(row).ok_or("an invalid row of a policy")?);
        Ok(())
    }

    /// Takes the row of a city file.
    pub(crate) fn restore_file(&mut self, city: CityId, document: &[u8]) {
        self.files.insert(city, String::from_utf8_lossy(document).into_owned());
    }
}

/// The row of a version: the time of 8 bytes, the length of the author of 4 bytes, author, document.
pub(crate) fn encode(version: NewVersion<'_>) -> Vec<u8> {
    let NewVersion { document, author, saved_at_ms } = version;
    let author_bytes = u32::try_from(author.len()).expect("an author is a name");
    let mut row = Vec::with_capacity(12 + author.len() + document.len());
    row.extend(saved_at_ms.to_le_bytes());
    row.extend(author_bytes.to_le_bytes());
    row.extend(author.bytes());
    row.extend(document.bytes());
    row
}

fn decode(row: &[u8]) -> Option<NewVersion<'_>> {
    let (saved_at_ms, rest) = row.split_first_chunk()?;
    let (author_bytes, rest) = rest.split_first_chunk()?;
    let author_bytes = usize::try_from(u32::from_le_bytes(*author_bytes)).ok()?;
    let (author, document) = rest.split_at_checked(author_bytes)?;
    Some(NewVersion {
        document: str::from_utf8(document).ok()?,
        author: str::from_utf8(author).ok()?,
        saved_at_ms: i64::from_le_bytes(*saved_at_ms),
    })
}
