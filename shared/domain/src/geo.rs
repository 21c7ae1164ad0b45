//! Geography: H3 cells and their outlines, the boundaries of cities and zones.

pub mod locate;
pub mod outline;
pub mod polygon;
