//! Posts the events of a source to `POST /v1/events` as they happen.

use std::future::Future;
use std::io;
use std::time::Duration;

use equilibrium_app::clock::Clock;
use equilibrium_ingest::MAX_BODY_BYTES;
use tokio::sync::watch;

use crate::workload::source::OpenSource;
use crate::workload::source_thread::{SourceThread, Step};

/// Time between two posts.
const POST_INTERVAL: Duration = Duration::from_millis(50);

/// Most event time that one step generates, in milliseconds, however far the driver is behind its clock.
const MAX_STEP_MS: i64 = 1_000;

/// Pause before a body that was not accepted is posted again.
const RETRY_BACKOFF: Duration = Duration::from_millis(200);

/// A server of `POST /v1/events`.
pub trait EventSink: Send + Sync {
    /// Posts a body of NDJSON; returns whether its events are in the event log. If they are not, the caller posts the
    /// same body again.
    ///
    /// # Errors
    /// The server will never accept the body.
    fn post(&self, body: &[u8]) -> impl Future<Output = io::Result<bool>> + Send;
}

/// Posts the events of a source, up to the time of a clock.
#[derive(Debug)]
pub struct WorkloadDriver<S> {
    source: SourceThread,
    is_finished: bool,
    sink: S,
    clock: Clock,
    /// Earlier events are not posted.
    start_ms: i64,
    posted_until_ms: Option<i64>,
    lines: Vec<u8>,
}

/// Why a driver ended.
#[derive(Debug)]
pub enum Ended {
    /// The end of the file.
    Finished,
    /// The file cannot be read, or the server will never accept a body.
    Failed(io::Error),
    /// The process stops.
    Stopped,
}

impl<S: EventSink> WorkloadDriver<S> {
    /// A driver that skips the events before `start_ms`, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The I/O error if the system refuses a thread.
    pub fn new(source: OpenSource, sink: S, clock: Clock, start_ms: i64) -> io::Result<Self> {
        let source = SourceThread::start(source)?;
        let (posted_until_ms, lines) = (None, Vec::new());
        Ok(Self { source, is_finished: false, sink, clock, start_ms, posted_until_ms, lines })
    }

    /// Posts events until the process stops or the source ends.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Ended {
        let run = async {
            loop {
                match self.catch_up().await {
                    Ok(()) if self.is_finished => return Ended::Finished,
                    Ok(()) => tokio::time::sleep(POST_INTERVAL).await,
                    Err(error) => return Ended::Failed(error),
                }
            }
        };
        tokio::select! {
            ended = run => ended,
            _ = stop.wait_for(|stop| *stop) => Ended::Stopped,
        }
    }

    /// Posts all events up to now. If the future is dropped, the next call posts the rest.
    ///
    /// # Errors
    /// The I/O error of the file, after everything before it was posted, or why the server will never accept a body.
    pub async fn catch_up(&mut self) -> io::Result<()> {
        let is_behind = |this: &Self| {
            this.posted_until_ms.is_none_or(|until_ms| until_ms < this.clock.now_ms()) && !this.is_finished
        };
        while is_behind(self) || !self.lines.is_empty() {
            let read = self.read_step().await;
            for body in bodies(&self.lines) {
                while !self.sink.post(body).await? {
                    tokio::time::sleep(RETRY_BACKOFF).await;
                }
            }
            self.lines.clear();
            read?;
            // Posting to a log in memory never yields: without this, the loop could not be cancelled.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl<S> WorkloadDriver<S> {
    /// Reads the next lines, unless there are some that were not posted.
    async fn read_step(&mut self) -> io::Result<()> {
        if !self.lines.is_empty() {
            return Ok(());
        }
        let next_ms = |until_ms| self.clock.now_ms().min(until_ms + MAX_STEP_MS);
        let until_ms = self.posted_until_ms.map_or(self.start_ms, next_ms);
        let Step { until_ms, lines, read, is_finished } = self.source.step(until_ms).await;
        if self.posted_until_ms.replace(until_ms).is_some() {
            self.lines = lines;
        }
        self.is_finished = is_finished;
        read
    }
}

/// Divides lines into bodies of at most [`MAX_BODY_BYTES`].
fn bodies(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let max = rest.len().min(MAX_BODY_BYTES);
        // A line is much shorter than a body.
        let end = memchr::memrchr(b'\n', &rest[..max]).map_or(max, |at| at + 1);
        let (body, after) = rest.split_at(end);
        rest = after;
        (!body.is_empty()).then_some(body)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_consist_of_whole_lines_and_contain_all_of_them() {
        let lines: Vec<u8> = (0..40_000)
            .flat_map(|i| format!("{{\"line\":{i},\"at\":\"{}\"}}\n", i * 7).into_bytes())
            .collect();
        assert!(lines.len() > MAX_BODY_BYTES);
        let divided: Vec<&[u8]> = bodies(&lines).collect();
        assert!(divided.iter().all(|body| body.len() <= MAX_BODY_BYTES && body.ends_with(b"\n")));
        assert_eq!(divided.concat(), lines);
        assert_eq!(bodies(b"").count(), 0);
    }
}
