//! Every function of Equilibrium in one process.

pub mod city;
pub mod feed;
pub mod input;
pub mod pipeline;
pub mod replay;
pub mod rows;
