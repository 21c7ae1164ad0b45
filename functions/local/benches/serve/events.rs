//! `POST /v1/events` with bodies of 500 events that are on disk before they are acknowledged.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use equilibrium_simulator::city::{City, Settings, policy};
use tempfile::TempDir;

use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::post;
use crate::harness::market::{now_ms, rfc3339};
use crate::percentile;

const BODY_EVENTS: usize = 500;
const CONNECTIONS: usize = 16;
const DURATION: Duration = Duration::from_secs(10);

/// Bodies of events, each with the offsets of its times.
pub struct Bodies(Vec<(Vec<u8>, Vec<usize>)>);

impl Bodies {
    pub fn of(lines: &[u8]) -> Self {
        let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
        Self(lines.chunks_exact(BODY_EVENTS).map(|chunk| body(&chunk.concat())).collect())
    }

    /// A body with all times set to `at_ms`.
    pub fn at(&self, index: usize, at_ms: i64) -> Vec<u8> {
        let (mut body, times) = self.0[index % self.0.len()].clone();
        let time = rfc3339(at_ms);
        for at in times {
            body[at..at + time.len()].copy_from_slice(time.as_bytes());
        }
        body
    }
}

fn body(lines: &[u8]) -> (Vec<u8>, Vec<usize>) {
    const KEY: &[u8] = b"\"time\":\"";
    let times = lines.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY);
    let times = times.map(|(at, _)| at + KEY.len()).collect();
    (lines.to_vec(), times)
}

/// The events of the first minutes of the simulated city.
pub fn city(minutes: i64) -> Vec<u8> {
    let (mut lines, start_ms) = (Vec::new(), 1_772_816_400_000);
    City::new(&Settings::new(5, start_ms), &policy::policy())
        .advance(start_ms + minutes * 60_000, &mut lines);
    lines
}

pub fn measure() {
    let bodies = Bodies::of(&city(5));
    let folder = TempDir::new().unwrap();
    let server = Server::start(serve(&["--feed", "none", "--data"]).arg(folder.path()));
    let next = AtomicUsize::new(0);
    let end = Instant::now() + DURATION;
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    let mut times = Vec::new();
                    while Instant::now() < end {
                        let body = bodies.at(next.fetch_add(1, Ordering::Relaxed), now_ms());
                        let started = Instant::now();
                        let response = connection.request(&post(body)).unwrap();
                        assert_eq!(response.accepted(), BODY_EVENTS as u64);
                        times.push(started.elapsed());
                    }
                    times
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let rate = times.len() * BODY_EVENTS / 10;
    let (median, p99) = (percentile(&mut times, 500), percentile(&mut times, 990));
    println!(
        "POST /v1/events, durable, bodies of 500           {rate} events a second; a body {:.1} ms, p99 {:.1} ms",
        median.as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
    );
}
