//! The trace of a simulation: one line per batch, append, fault and tick, the same for the same seed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

type Sink = Arc<Mutex<dyn FnMut(&str) + Send>>;

/// The simulated time, and where the lines go.
#[derive(Clone, Default)]
pub struct Trace {
    now_ms: Arc<AtomicI64>,
    sink: Option<Sink>,
}

impl Trace {
    /// A trace that writes no line.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// A trace that passes each line to `sink`.
    #[must_use]
    pub fn to(sink: impl FnMut(&str) + Send + 'static) -> Self {
        Self { now_ms: Arc::default(), sink: Some(Arc::new(Mutex::new(sink))) }
    }

    pub(super) fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    pub(super) fn set_now_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Writes one line: the simulated time, the event, its fields.
    pub(super) fn write(&self, event: &str, fields: fmt::Arguments<'_>) {
        if let Some(sink) = &self.sink {
            let line = format!("now_ms={} {event} {fields}", self.now_ms());
            (sink.lock())(&line);
        }
    }
}
