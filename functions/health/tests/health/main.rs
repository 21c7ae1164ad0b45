//! Health over HTTP, and the event of the schedule.

mod fixture;
mod payloads;
mod read;
