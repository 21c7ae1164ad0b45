//! The end of a command: its exit status and its last line (CONTRACT §4).

use std::fmt::Display;
use std::io::{self, Write};
use std::process::{ExitCode, Termination};

use crate::host::console::{flush, print};

/// The end of a command: its exit status and its last line on stderr.
#[derive(Debug)]
pub struct Exit {
    status: u8,
    last_line: String,
}

impl Exit {
    /// The exit of a command that succeeded.
    #[must_use]
    pub fn success() -> Self {
        Self { status: 0, last_line: String::new() }
    }

    /// The exit of a command that succeeded and ends with a summary.
    pub fn summary(summary: impl Display) -> Self {
        Self { status: 0, last_line: format!("{summary}\n") }
    }

    /// The exit of a command that succeeded, or failed with status 1.
    #[cfg(feature = "aws")]
    pub(crate) fn of<E: Display>(outcome: Result<(), E>) -> Self {
        outcome.map_or_else(|error| Self::failure(1, error), |()| Self::success())
    }

    /// The exit of a command that prints a page, or failed with status 1.
    pub fn page<E: Display>(page: Result<String, E>) -> Self {
        Self::page_or(page, |_| 1)
    }

    /// The exit of a command that prints a page, or failed with a status of its error.
    pub fn page_or<E: Display>(page: Result<String, E>, status: impl FnOnce(&E) -> u8) -> Self {
        page.map_or_else(
            |error| Self::failure(status(&error), error),
            |page| {
                print(&page);
                Self::success()
            },
        )
    }

    /// The exit of a command that failed.
    pub fn failure(status: u8, error: impl Display) -> Self {
        Self { status, last_line: format!("equilibrium: {error}\n") }
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        flush();
        // A closed stderr does not change the status.
        drop(io::stderr().write_all(self.last_line.as_bytes()));
        ExitCode::from(self.status)
    }
}
