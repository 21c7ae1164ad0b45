//! Every function of Equilibrium in one process.

pub mod city;
pub mod clock;
pub mod feed;
pub mod hosted;
pub mod input;
pub mod pipeline;
pub mod replay;
pub mod rows;
pub mod serve;
pub mod shifted;
pub mod store;
