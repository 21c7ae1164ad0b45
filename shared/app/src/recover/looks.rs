//! Looks at the stream processor: what shows that it has failed.
//!
//! A look fails where no instance runs, where a stream has records that wait while none are processed, or where a log is
//! parked that can be read. A city that is overdue by two ticks while no record waits has a feed that is silent, not a
//! processor that has failed: its watermark does not advance.

use equilibrium_domain::policy::Clock;
use equilibrium_domain::surge::map::MapHead;
use serde_json::{Value, json};

use crate::recover::ports::StreamState;

/// For how long a record may wait while none are processed, in milliseconds: longer than a batch takes.
pub const MAX_WAIT_MS: i64 = 5_000;

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Instances that ended.
    pub dead_instances: Vec<String>,
    /// Streams with records that wait too long while none are processed.
    pub stalled_streams: Vec<String>,
    /// Parked logs that can be read again.
    pub resumable_logs: Vec<String>,
    /// Cities overdue by two ticks, while records wait.
    pub overdue_cities: Vec<String>,
    /// Records processed so far, by stream.
    pub progress: Vec<(String, u64)>,
    /// For how long the oldest record waits of those streams whose records are not being processed.
    pub waiting_ms: Option<i64>,
}

impl Look {
    /// Whether the look shows a failure.
    #[must_use]
    pub fn shows_failure(&self) -> bool {
        ![&self.dead_instances, &self.stalled_streams, &self.resumable_logs, &self.overdue_cities]
            .into_iter()
            .all(Vec::is_empty)
    }

    /// The look as details of its step.
    #[must_use]
    pub fn to_json(&self, at_ms: i64) -> Value {
        json!({
            "at_ms": at_ms,
            "failure": self.shows_failure(),
            "dead_instances": self.dead_instances,
            "stalled_streams": self.stalled_streams,
            "resumable_logs": self.resumable_logs,
            "overdue_cities": self.overdue_cities,
        })
    }

    /// Adds the streams. `before` is the look before this one: a stream whose records are being processed is not stalled,
    /// however many wait.
    pub fn add_streams(&mut self, streams: &[StreamState], before: Option<&Self>) {
        for stream in streams {
            self.progress.push((stream.name.clone(), stream.progress));
            let waiting_ms = if has_advanced(stream, before) { None } else { stream.waiting_ms };
            self.waiting_ms = self.waiting_ms.max(waiting_ms);
            if waiting_ms.is_some_and(|waiting_ms| waiting_ms > MAX_WAIT_MS) {
                self.stalled_streams.push(stream.name.clone());
            }
        }
    }

    /// Adds a city of which `head` is the newest map, after the streams, if it is overdue while a record waits.
    pub fn add_city(&mut self, head: &MapHead, clock: Clock, now_ms: i64) {
        let waits = self.waiting_ms.is_some_and(|waiting_ms| waiting_ms > clock.tick_ms);
        if waits && clock.is_overdue_by_two(head.as_of, now_ms) {
            self.overdue_cities.push(head.city.to_string());
        }
    }
}

fn has_advanced(stream: &StreamState, before: Option<&Look>) -> bool {
    let known = before.and_then(|before| before.progress.iter().find(|(name, _)| *name == stream.name));
    known.is_some_and(|(_, progress)| *progress != stream.progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(waiting_ms: Option<i64>, progress: u64) -> StreamState {
        StreamState { name: "events".into(), waiting_ms, progress, ..StreamState::default() }
    }

    #[test]
    fn a_stream_is_stalled_while_records_wait_and_none_are_processed() {
        let look = |state: StreamState, before: Option<&Look>| {
            let mut look = Look::default();
            look.add_streams(&[state], before);
            look
        };
        let first = look(stream(Some(MAX_WAIT_MS + 1), 7), None);
        assert!(first.shows_failure());
        assert!(look(stream(Some(60_000), 7), Some(&first)).shows_failure());
        assert!(!look(stream(Some(60_000), 8), Some(&first)).shows_failure(), "it catches up");
        assert!(!look(stream(Some(MAX_WAIT_MS), 7), Some(&first)).shows_failure());
        assert!(!look(stream(None, 7), Some(&first)).shows_failure(), "its feed is silent");
    }

    #[test]
    fn a_city_is_overdue_from_its_next_tick_on() {
        let (window_ms, driver_ttl_ms, absent_ms) = (120_000, 30_000, 0);
        let clock = Clock { tick_ms: 5_000, lateness_ms: 3_000, window_ms, driver_ttl_ms, absent_ms };
        assert_eq!(clock.overdue_ms(100_000, 108_000), 0);
        assert_eq!(clock.overdue_ms(100_000, 108_001), 1);
        assert!(!clock.is_overdue_by_two(100_000, 118_000));
        assert!(clock.is_overdue_by_two(100_000, 118_001));
    }
}
