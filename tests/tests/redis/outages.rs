//! Calls to a server that is down, restarts, does not reply or sends malformed replies.

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::surge::map::ChunkName;
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use equilibrium_app::price::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{Cache, RECONNECT_BACKOFF};
use equilibrium_tests::harness::redis::{RedisServer, free_port};
use tokio::time::{sleep, timeout};

use crate::{cache, head, nyc, settings};

/// Deadline of calls to a dead server.
const SHORT_DEADLINE: Duration = Duration::from_millis(150);

/// Additional time on a busy machine.
const SLACK: Duration = Duration::from_millis(350);

fn cache_with_short_deadline(url: String) -> Cache {
    let mut settings = settings(url);
    settings.deadline = SHORT_DEADLINE;
    Cache::new(&settings).unwrap()
}

/// Asserts that every call is unavailable within the deadline.
async fn assert_unavailable(cache: &Cache) {
    let started = Instant::now();
    assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
    assert_eq!(cache.chunk(&nyc(), ChunkName::new(Cell(1), 1)).await, Err(Unavailable));
    assert_eq!(cache.save_chunk(&nyc(), ChunkName::new(Cell(1), 1), b"one").await, Err(Unavailable));
    assert_eq!(cache.save_head(&head(1, &[])).await, Err(Unavailable));
    assert_eq!(cache.ping().await, Err(Unavailable));
    assert!(started.elapsed() < 5 * SHORT_DEADLINE + SLACK, "{:?}", started.elapsed());
}

/// Waits until the cache responds again.
async fn wait_for_recovery(cache: &Cache) {
    let started = Instant::now();
    while cache.ping().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "the cache does not recover");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_cache_connects_once_a_server_that_was_down_is_up() {
    let mut server = RedisServer::stopped(&[]);
    let cache = cache_with_short_deadline(server.url());
    assert_unavailable(&cache).await;
    server.run();
    sleep(RECONNECT_BACKOFF).await;
    wait_for_recovery(&cache).await;
    assert_eq!(cache.head(&nyc()).await, Ok(None));
}

#[tokio::test]
async fn the_cache_reconnects_to_a_server_that_was_restarted() {
    let mut server = RedisServer::start(&[]);
    let cache = cache(server.url());
    for version in 1..4 {
        cache.save_head(&head(version, &[])).await.unwrap();
        server.kill();
        assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
        server.run();
        wait_for_recovery(&cache).await;
        assert_eq!(cache.head(&nyc()).await, Ok(None), "the new server is empty");
    }
}

#[tokio::test]
async fn calls_to_a_suspended_server_end_within_their_deadline() {
    let server = RedisServer::start(&[]);
    let cache = cache_with_short_deadline(server.url());
    wait_for_recovery(&cache).await;
    server.suspend();
    assert_unavailable(&cache).await;
    server.resume();
    wait_for_recovery(&cache).await;
    cache.save_head(&head(1, &[])).await.unwrap();
    assert_eq!(cache.head(&nyc()).await, Ok(Some(head(1, &[]))));
}

#[tokio::test]
async fn a_call_succeeds_although_its_idle_connection_was_closed() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.url());
    for version in 1..6 {
        cache.save_head(&head(version, &[])).await.unwrap();
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_eq!(cache.head(&nyc()).await, Ok(Some(head(version, &[]))));
    }
}

#[tokio::test]
async fn connecting_continues_after_its_caller_stopped_waiting() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.url());
    let started = Instant::now();
    // Every call is dropped before the connection is open.
    while timeout(Duration::ZERO, cache.head(&nyc())).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "the cache does not connect");
        sleep(Duration::from_millis(5)).await;
        if cache.head(&nyc()).await.is_ok() {
            break;
        }
    }
}

#[tokio::test]
async fn a_server_that_only_accepts_connections_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = cache_with_short_deadline(format!("redis://{}", listener.local_addr().unwrap()));
    assert_unavailable(&cache).await;
}

#[tokio::test]
async fn a_server_that_sends_malformed_replies_is_unavailable() {
    let replies: [&[u8]; 8] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"*1\r\n",
        b"$x\r\n",
        b":7\r\n",
        b"\x16\x03\x01\0\0",
        b"$99999999999\r\n",
        b"+HELLO\r\n",
        b"*2\r\n$1\r\na\r\n",
    ];
    for reply in replies {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                for _ in 0..3 {
                    let _ = stream.write_all(reply);
                }
                thread::spawn(move || {
                    thread::sleep(Duration::from_secs(2));
                    drop(stream);
                });
            }
        });
        assert_unavailable(&cache_with_short_deadline(format!("redis://{address}"))).await;
    }
}

#[test]
fn creating_a_cache_needs_neither_a_connection_nor_a_runtime() {
    let started = Instant::now();
    let _cache = cache(format!("redis://127.0.0.1:{}", free_port()));
    assert!(started.elapsed() < SLACK);
}
