//! Every function of Equilibrium in one process.

pub mod city;
pub mod clock;
pub mod feed;
#[cfg(feature = "aws")]
pub mod feed_to;
pub mod feeding;
pub mod hosted;
pub mod input;
pub mod pipeline;
#[cfg(feature = "aws")]
pub mod policies;
pub mod replay;
pub mod rows;
pub mod serve;
pub mod shifted;
#[cfg(feature = "aws")]
pub mod sources;
pub mod store;
