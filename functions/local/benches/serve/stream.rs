//! The change stream under many clients: delay of the changes, versions missed, and `GET /v1/price` beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::get;
use crate::harness::market::{ms, now_ms};
use crate::percentile;

const CLIENTS: usize = 1_000;
const SECONDS: u64 = 40;
const PRICE: &str = "/v1/price?lat=40.7549&lng=-73.984";

/// What all clients have seen.
#[derive(Debug, Default)]
struct Seen {
    delays_ms: Vec<i64>,
    gaps: usize,
}

pub fn measure() {
    let clients = std::env::var("CLIENTS").map_or(CLIENTS, |clients| clients.parse().unwrap());
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let server = Server::start(&mut serve(&[]));
    let alone = price_p99(&server, Duration::from_secs(10));
    let seen = Arc::new(Mutex::new(Seen::default()));
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for _ in 0..clients {
        runtime.spawn(follow(server.address, Arc::clone(&seen)));
    }
    let beside = price_p99(&server, Duration::from_secs(SECONDS));
    let Seen { mut delays_ms, gaps } = std::mem::take(&mut *seen.lock());
    runtime.shutdown_background();
    println!(
        "{clients} clients of the change stream              {} changes received, {gaps} gaps, median {} ms, p99 {} ms; \
         GET /v1/price p99 {:.2} ms alone, {:.2} ms beside them",
        delays_ms.len(),
        percentile(&mut delays_ms, 500),
        percentile(&mut delays_ms, 990),
        alone.as_secs_f64() * 1e3,
        beside.as_secs_f64() * 1e3,
    );
}

/// The 99th percentile of single requests for a price, one each millisecond.
fn price_p99(server: &Server, time: Duration) -> Duration {
    let mut connection = server.connect();
    let end = Instant::now() + time;
    let mut times = Vec::new();
    while Instant::now() < end {
        let started = Instant::now();
        connection.request(&get(PRICE)).unwrap();
        times.push(started.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    percentile(&mut times, 990)
}

async fn follow(address: SocketAddr, seen: Arc<Mutex<Seen>>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /v1/stream?city=nyc HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut version = None;
    let mut is_change = false;
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(name) = line.strip_prefix("event: ") {
            is_change = name == "surge_changed";
        } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_change) {
            let received_ms = now_ms();
            let change = header(data);
            let mut seen = seen.lock();
            seen.delays_ms.push(received_ms - ms(&change["now"]).unwrap());
            let from = change["from"].as_u64();
            seen.gaps +=
                usize::from(version.is_some() && version != from && version != change["version"].as_u64());
            version = change["version"].as_u64();
        }
    }
}

/// A change without its cells, which would take longer to parse than to receive.
fn header(data: &str) -> Value {
    let (header, _) = data.split_once(",\"cells\":").unwrap();
    serde_json::from_str(&format!("{header}}}")).unwrap()
}
