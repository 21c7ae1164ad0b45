//! The rules of Equilibrium: which events count, how cells are priced, and how both states are written to a log.
//!
//! Every function is pure and synchronous: one that needs the time or a random number takes the value as an argument.
//! The folders follow the data: [`event`], [`count`], [`surge`]. [`policy`] and [`fare`] hold the decisions of an
//! operator; [`geo`], [`id`], [`time`] and [`wire`] are shared by the others.

pub mod count;
pub mod event;
pub mod event_sourced;
pub mod fare;
pub mod geo;
mod hash;
pub mod id;
pub mod parking;
pub mod policy;
pub mod pseudonym;
pub mod quote;
pub mod rate;
pub mod recovery;
pub mod surge;
pub mod time;
pub mod wire;
