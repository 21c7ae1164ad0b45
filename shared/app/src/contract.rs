//! The contract suites: what every adapter of a port must do, one suite per port.
//!
//! Each suite panics where the adapter breaks the port's contract. It expects a store in which the names it uses are
//! free.

mod change_stream;
mod checkpoint_log;
mod counts_stream;
mod day_store;
mod dead_letter_queue;
mod event_log;
mod fencing;
mod history_store;
mod map_store;
mod override_store;
mod partitions;
mod past_log;
mod policy_store;
mod quote_store;
mod rate_store;
mod recovery_store;
mod tick_log;
mod watermark_board;

pub use self::change_stream::change_stream;
pub use self::checkpoint_log::checkpoint_log;
pub use self::counts_stream::counts_stream;
pub use self::day_store::day_store;
pub use self::dead_letter_queue::dead_letter_queue;
pub use self::event_log::event_log;
pub use self::fencing::fencing;
pub use self::history_store::history_store;
pub use self::map_store::{frozen_maps, map_store};
pub use self::override_store::override_store;
pub use self::partitions::STREAM_PARTS;
pub use self::past_log::past_log;
pub use self::policy_store::{policy_store, policy_versions};
pub use self::quote_store::quote_store;
pub use self::rate_store::rate_store;
pub use self::recovery_store::recovery_store;
pub use self::tick_log::{RecordedRow, recorded_rows, tick_log};
pub use self::watermark_board::watermark_board;

/// The items without later copies of the same: an adapter may have tried more than once.
fn without_repeats<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut firsts = Vec::with_capacity(items.len());
    for item in items {
        if !firsts.contains(&item) {
            firsts.push(item);
        }
    }
    firsts
}
