//! Places on the globe: H3 cells, the boundaries of cities and zones, and the outlines of cells.

pub mod locate;
pub mod outline;
pub mod polygon;
