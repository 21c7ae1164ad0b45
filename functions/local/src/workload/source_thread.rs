//! Reads a source on a thread of its own: a pipe may block it for ever.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::workload::source::{OpenSource, WorkloadSource};

/// A source on its thread.
#[derive(Debug)]
pub(super) struct SourceThread {
    requests: Sender<i64>,
    steps: UnboundedReceiver<Step>,
    /// Whether a step was requested and has not been received.
    is_waiting: bool,
}

/// The events of a step.
#[derive(Debug)]
pub(super) struct Step {
    /// The end of the step, in milliseconds since the Unix epoch.
    pub(super) until_ms: i64,
    /// The events, one a line.
    pub(super) lines: Vec<u8>,
    /// The I/O error of the file after them.
    pub(super) read: io::Result<()>,
    /// Whether there are no more events.
    pub(super) is_finished: bool,
}

impl SourceThread {
    /// Opens the source on a new thread.
    pub(super) fn start(open: OpenSource) -> io::Result<Self> {
        let (requests, requested) = channel();
        let (sender, steps) = unbounded_channel();
        thread::Builder::new().name("feed".into()).spawn(move || run(open, &requested, &sender))?;
        Ok(Self { requests, steps, is_waiting: false })
    }

    /// The next step, up to `until_ms` or, if the future of an earlier call was dropped, to that of the earlier call.
    pub(super) async fn step(&mut self, until_ms: i64) -> Step {
        let is_open = self.is_waiting || self.requests.send(until_ms).is_ok();
        self.is_waiting = is_open;
        let step = self.steps.recv().await;
        self.is_waiting = false;
        step.unwrap_or_else(|| Step { until_ms, lines: Vec::new(), read: Ok(()), is_finished: true })
    }
}

/// Answers each request with a step, until the source or the requests end.
fn run(open: OpenSource, requested: &Receiver<i64>, steps: &UnboundedSender<Step>) {
    let mut source: Option<WorkloadSource> = None;
    let mut open = Some(open);
    for until_ms in requested {
        let mut lines = Vec::new();
        let read = match open.take() {
            Some(open) => open().map(|opened| source = Some(opened)),
            None => Ok(()),
        };
        let read =
            read.and_then(|()| source.as_mut().map_or(Ok(()), |source| source.advance(until_ms, &mut lines)));
        let is_finished = source.as_ref().is_none_or(WorkloadSource::is_finished);
        if steps.send(Step { until_ms, lines, read, is_finished }).is_err() {
            return;
        }
    }
}
