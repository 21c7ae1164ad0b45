//! How domain values stand in an answer.

use std::fmt::{self, Display};

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::time::Timestamp;
use serde::{Serialize, Serializer};

/// A value as the text it displays as, without a string in between.
pub struct AsDisplay<T>(pub T);

impl<T: Display> Serialize for AsDisplay<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A cell's index in lower-case hexadecimal.
pub struct CellHex(pub Cell);

impl Display for CellHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0.0)
    }
}

/// A cell as it is written.
pub fn cell(cell: Cell) -> AsDisplay<CellHex> {
    AsDisplay(CellHex(cell))
}

/// A mode as it is written.
pub fn mode(mode: Mode) -> AsDisplay<Mode> {
    AsDisplay(mode)
}

/// An instant as it is written, of milliseconds since the epoch.
pub fn time(ms: Option<i64>) -> Option<AsDisplay<Timestamp>> {
    ms.and_then(Timestamp::from_ms).map(AsDisplay)
}

/// A multiplier as it is written: a number of at most two decimals.
pub fn multiplier(multiplier: Multiplier) -> f64 {
    multiplier.into()
}
