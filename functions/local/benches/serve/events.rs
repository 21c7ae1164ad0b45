//! Events that are on disk before they are acknowledged, in bodies of 500.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use equilibrium_simulator::city::{City, Settings, policy};
use tempfile::TempDir;

use crate::client::post;
use crate::market::{now_ms, time};
use crate::percentile;
use crate::world::{Server, serve};

const BODY_EVENTS: usize = 500;
const MAX_CONNECTIONS: usize = 16;
const LASTS: Duration = Duration::from_secs(10);

/// Events of a city, in bodies whose times are still to be filled in.
pub struct Bodies(Vec<(Vec<u8>, Vec<usize>)>);

impl Bodies {
    pub fn of(lines: &[u8]) -> Self {
        let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
        Self(lines.chunks_exact(BODY_EVENTS).map(|chunk| body(&chunk.concat())).collect())
    }

    /// A body of so many events, all of this moment.
    pub fn at(&self, index: usize, at_ms: i64) -> Vec<u8> {
        let (mut body, times) = self.0[index % self.0.len()].clone();
        let time = time(at_ms);
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

/// So many minutes of the simulated city.
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
    let end = Instant::now() + LASTS;
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..MAX_CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = server.connect();
                    let mut times = Vec::new();
                    while Instant::now() < end {
                        let body = bodies.at(next.fetch_add(1, Ordering::Relaxed), now_ms());
                        let begun = Instant::now();
                        let reply = connection.ask(&post(body)).unwrap();
                        assert_eq!(reply.accepted(), BODY_EVENTS as u64);
                        times.push(begun.elapsed());
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
