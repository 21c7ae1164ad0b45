//! The rules of the market: what counts, how it is priced, and how both are written to the log.
//!
//! Every function here is pure and synchronous: a rule that needs the time, a store or a random number takes
//! the value as an argument. The folders follow the data: [`event`], [`count`], [`surge`]; [`policy`] and
//! [`fare`] hold what an operator decides, [`geo`] and [`wire`] what the others share.

pub mod count;
pub mod event;
pub mod event_sourced;
pub mod fare;
pub mod geo;
pub mod id;
pub mod policy;
pub mod surge;
pub mod time;
pub mod wire;
