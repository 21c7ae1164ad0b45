//! Clients of one process: which requests it admits, and the tokens that it issues itself (CONTRACT §4 and §5).

mod arguments;
mod token;

use std::time::Duration;

use equilibrium_admission::Admission;
use equilibrium_app::access::ports::ConfiguredKeySet;
use equilibrium_app::rate_limit::memory_rates::MemoryRates;
use tokio::time::Sleep;

pub use crate::arguments::{Access, AccessArguments, AccessError};
pub use crate::token::TokenCommand;

/// Admission to one process: rates are counted in its memory alone.
pub type LocalAdmission = Admission<ConfiguredKeySet, Option<MemoryRates>, fn(Duration) -> Sleep>;

/// The address of every client: the process listens on the loopback address.
pub const LOOPBACK: &str = "127.0.0.1";
