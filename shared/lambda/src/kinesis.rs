//! The Kinesis event source: the records that a mapping reads, the event that carries them to a function, and the
//! function's response.

pub mod decode;
pub mod encode;
pub mod record;
