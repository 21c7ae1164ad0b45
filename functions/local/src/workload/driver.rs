//! Feeds the market through `POST /v1/events`, as its apps would.

use std::future::Future;
use std::io;
use std::time::Duration;

use equilibrium_ingest::MAX_BODY_BYTES;
use tokio::sync::watch;

use crate::workload::rebased_file::RebasedFile;
use equilibrium_app::clock::Clock;
use equilibrium_simulator::city::City;

/// How often what has happened is posted.
const POST_EVERY: Duration = Duration::from_millis(50);

/// How much of the market's time is made up at once, in milliseconds, however far behind it is.
const STRIDE_MS: i64 = 1_000;

/// How long a body waits that was not taken.
const RETRY: Duration = Duration::from_millis(200);

/// Where events come from.
#[derive(Debug)]
pub enum WorkloadSource {
    /// The simulated city.
    City(Box<City>),
    /// A file.
    File(Box<RebasedFile>),
}

impl WorkloadSource {
    fn advance(&mut self, until_ms: i64, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::City(city) => {
                city.advance(until_ms, out);
                Ok(())
            }
            Self::File(file) => file.advance(until_ms, out),
        }
    }

    fn is_finished(&self) -> bool {
        match self {
            Self::City(_) => false,
            Self::File(file) => file.is_finished(),
        }
    }
}

/// Who answers `POST /v1/events`.
pub trait EventSink: Send + Sync {
    /// Posts a body of NDJSON; whether its events are in the log. Where they are not yet, the same body is
    /// posted again.
    ///
    /// # Errors
    /// The body will never be taken.
    fn post(&self, body: &[u8]) -> impl Future<Output = io::Result<bool>> + Send;
}

/// Feeds an intake.
#[derive(Debug)]
pub struct WorkloadDriver<I> {
    feed: WorkloadSource,
    intake: I,
    clock: Clock,
    fed_until_ms: i64,
    body: Vec<u8>,
}

/// How feeding ended.
#[derive(Debug)]
pub enum Ended {
    /// The file has come to its end.
    Finished,
    /// The file cannot be read on, or a body will never be taken.
    Failed(io::Error),
    /// The process stops.
    Stopped,
}

impl<I: EventSink> WorkloadDriver<I> {
    /// A feeding that has fed everything until `fed_until_ms`; what comes before is passed over.
    ///
    /// # Errors
    /// What the system says of the file.
    pub fn new(mut feed: WorkloadSource, intake: I, clock: Clock, fed_until_ms: i64) -> io::Result<Self> {
        let mut passed = Vec::new();
        feed.advance(fed_until_ms, &mut passed)?;
        passed.clear();
        Ok(Self { feed, intake, clock, fed_until_ms, body: passed })
    }

    /// Feeds until the process stops or there is nothing more.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Ended {
        let run = async {
            loop {
                match self.catch_up().await {
                    Ok(()) if self.feed.is_finished() => return Ended::Finished,
                    Ok(()) => tokio::time::sleep(POST_EVERY).await,
                    Err(error) => return Ended::Failed(error),
                }
            }
        };
        tokio::select! {
            ended = run => ended,
            _ = stop.wait_for(|stop| *stop) => Ended::Stopped,
        }
    }

    /// Feeds what has happened until now. Where this is dropped midway, the next call feeds the rest.
    ///
    /// # Errors
    /// What the system says of the file, where everything before was fed, or why a body is never taken.
    pub async fn catch_up(&mut self) -> io::Result<()> {
        let is_behind = |this: &Self| this.fed_until_ms < this.clock.now_ms() && !this.feed.is_finished();
        while is_behind(self) || !self.body.is_empty() {
            self.fed_until_ms = self.clock.now_ms().min(self.fed_until_ms + STRIDE_MS);
            let read = self.feed.advance(self.fed_until_ms, &mut self.body);
            for body in bodies(&self.body) {
                while !self.intake.post(body).await? {
                    tokio::time::sleep(RETRY).await;
                }
            }
            self.body.clear();
            read?;
            // A log in memory is never waited for: whoever wants this to end is heard here.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// Cuts lines into bodies that are not too large.
fn bodies(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let most = rest.len().min(MAX_BODY_BYTES);
        // A line is much shorter than a body.
        let end = memchr::memrchr(b'\n', &rest[..most]).map_or(most, |at| at + 1);
        let (body, left) = rest.split_at(end);
        rest = left;
        (!body.is_empty()).then_some(body)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_whole_lines_and_all_of_them() {
        let lines: Vec<u8> = (0..40_000)
            .flat_map(|i| format!("{{\"line\":{i},\"at\":\"{}\"}}\n", i * 7).into_bytes())
            .collect();
        assert!(lines.len() > MAX_BODY_BYTES);
        let cut: Vec<&[u8]> = bodies(&lines).collect();
        assert!(cut.iter().all(|body| body.len() <= MAX_BODY_BYTES && body.ends_with(b"\n")));
        assert_eq!(cut.concat(), lines);
        assert_eq!(bodies(b"").count(), 0);
    }
}
