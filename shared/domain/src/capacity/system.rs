//! The system's own figures.
