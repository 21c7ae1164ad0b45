//! Files and pipes of market events: read line by line, plain or as gzip, also as a live source with times shifted to now.

pub mod line_reader;
mod look_ahead;
pub mod rebased_file;
