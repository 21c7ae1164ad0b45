//! The sources of events beside the HTTP port.

use std::fmt;
use std::path::PathBuf;

/// Where events come from beside the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedSource {
    /// The simulated city.
    City,
    /// Nowhere.
    None,
    /// A file, its first event now.
    File(PathBuf),
}

impl fmt::Display for FeedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::City => f.write_str("a simulated city; its stadium empties one minute after the start"),
            Self::None => f.write_str("nobody but the port"),
            Self::File(path) => write!(f, "{}, as if it began now", path.display()),
        }
    }
}
