//! The JSON forms of domain values.

use std::fmt::{self, Display};

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::time::Timestamp;
use serde::{Serialize, Serializer};

/// Serializes a value as its `Display` text, without a `String` in between.
pub struct AsDisplay<T>(pub T);

impl<T: Display> Serialize for AsDisplay<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Displays a cell's index in lower-case hexadecimal.
pub struct CellHex(pub Cell);

impl Display for CellHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0.0)
    }
}

/// The JSON form of a cell.
pub fn cell(cell: Cell) -> AsDisplay<CellHex> {
    AsDisplay(CellHex(cell))
}

/// The JSON form of a mode.
pub fn mode(mode: Mode) -> AsDisplay<Mode> {
    AsDisplay(mode)
}

/// The JSON form of the state of a feed.
pub fn feed(feed: Feed) -> AsDisplay<Feed> {
    AsDisplay(feed)
}

/// The JSON form of an instant, given in milliseconds since the epoch.
pub fn time(ms: Option<i64>) -> Option<AsDisplay<Timestamp>> {
    ms.and_then(Timestamp::from_ms).map(AsDisplay)
}

/// The JSON form of a multiplier: a number with at most two decimals.
pub fn multiplier(multiplier: Multiplier) -> f64 {
    multiplier.into()
}
