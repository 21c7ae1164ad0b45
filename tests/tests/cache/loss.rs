//! What becomes of calls when the server is away, dies, hangs or talks nonsense.

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{Cache, RECONNECT_BACKOFF};
use tokio::time::{sleep, timeout};

use crate::server::{Server, free_port};
use crate::{cache, head, nyc, settings};

/// Of calls that meet a dead server.
const SHORT: Duration = Duration::from_millis(150);

/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(350);

fn impatient(url: String) -> Cache {
    let mut settings = settings(url);
    settings.deadline = SHORT;
    Cache::new(&settings).unwrap()
}

/// Each of the calls is unavailable inside the deadline.
async fn all_end_in_time(cache: &Cache) {
    let began = Instant::now();
    assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
    assert_eq!(cache.chunk(&nyc(), ChunkName::new(Cell(1), 1)).await, Err(Unavailable));
    assert_eq!(cache.save_chunk(&nyc(), ChunkName::new(Cell(1), 1), b"one").await, Err(Unavailable));
    assert_eq!(cache.save_head(&head(1, &[])).await, Err(Unavailable));
    assert_eq!(cache.ping().await, Err(Unavailable));
    assert!(began.elapsed() < 5 * SHORT + SLACK, "{:?}", began.elapsed());
}

/// Waits until the cache answers again.
async fn recovers(cache: &Cache) {
    let began = Instant::now();
    while cache.ping().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "it never recovers");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_found_once_it_is_up() {
    let mut server = Server::stopped(&[]);
    let cache = impatient(server.url());
    all_end_in_time(&cache).await;
    server.run();
    sleep(RECONNECT_BACKOFF).await;
    recovers(&cache).await;
    assert_eq!(cache.head(&nyc()).await, Ok(None));
}

#[tokio::test]
async fn a_server_that_dies_is_found_again_when_it_is_back() {
    let mut server = Server::start(&[]);
    let cache = cache(server.url());
    for version in 1..4 {
        cache.save_head(&head(version, &[])).await.unwrap();
        server.kill();
        assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
        server.run();
        recovers(&cache).await;
        assert_eq!(cache.head(&nyc()).await, Ok(None), "it forgot");
    }
}

#[tokio::test]
async fn calls_to_a_server_that_hangs_end_inside_their_deadline() {
    let server = Server::start(&[]);
    let cache = impatient(server.url());
    recovers(&cache).await;
    server.hang();
    all_end_in_time(&cache).await;
    server.go_on();
    recovers(&cache).await;
    cache.save_head(&head(1, &[])).await.unwrap();
    assert_eq!(cache.head(&nyc()).await, Ok(Some(head(1, &[]))));
}

#[tokio::test]
async fn a_connection_closed_while_it_lay_idle_costs_no_call() {
    let server = Server::start(&[]);
    let cache = cache(server.url());
    for version in 1..6 {
        cache.save_head(&head(version, &[])).await.unwrap();
        server.say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_eq!(cache.head(&nyc()).await, Ok(Some(head(version, &[]))));
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_early_does_not_end_the_connecting() {
    let server = Server::start(&[]);
    let cache = cache(server.url());
    let began = Instant::now();
    // Not one of them waits as long as connecting takes.
    while timeout(Duration::ZERO, cache.head(&nyc())).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "never connected");
        sleep(Duration::from_millis(5)).await;
        if cache.head(&nyc()).await.is_ok() {
            break;
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_connections_and_no_more_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = impatient(format!("redis://{}", listener.local_addr().unwrap()));
    all_end_in_time(&cache).await;
}

#[tokio::test]
async fn a_server_that_talks_nonsense_is_unavailable() {
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
        all_end_in_time(&impatient(format!("redis://{address}"))).await;
    }
}

#[test]
fn a_cache_is_made_without_a_connection_or_a_runtime() {
    let began = Instant::now();
    let _cache = cache(format!("redis://127.0.0.1:{}", free_port()));
    assert!(began.elapsed() < SLACK);
}
