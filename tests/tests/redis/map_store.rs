//! Maps in the cache: conditional heads, lifetimes and malformed values.

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::surge::map::ChunkName;
use std::sync::Arc;

use equilibrium_app::contract;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{CHUNK_TTL, HEAD_TTL, REPLACED_CHUNK_TTL, TTL_REFRESH_INTERVAL};
use equilibrium_domain::id::CityId;
use equilibrium_tests::harness::redis::RedisServer;

use crate::{cache, head, nyc};

const HEAD_KEY: &str = "equilibrium:{nyc}:head";

#[tokio::test]
async fn the_cache_meets_the_contract_of_the_map_store() {
    let server = RedisServer::start(&[]);
    contract::map_store(&cache(server.url())).await;
}

#[tokio::test]
async fn a_lower_version_never_replaces_a_higher_one() {
    let server = RedisServer::start(&[]);
    let (one, other) = (cache(server.url()), cache(server.url()));
    // Boundaries of a byte, of exact integers in a double, and of the type.
    let versions = [0, 1, 255, 256, (1 << 53) - 1, 1 << 53, (1 << 53) + 1, 1 << 63, u64::MAX];
    for version in versions {
        one.save_head(&head(version, &[(1, version)])).await.unwrap();
        assert_eq!(one.head(&nyc()).await, Ok(Some(head(version, &[(1, version)]))), "{version}");
        for lower in versions.into_iter().filter(|lower| *lower <= version) {
            other.save_head(&head(lower, &[])).await.unwrap();
        }
        assert_eq!(other.head(&nyc()).await, Ok(Some(head(version, &[(1, version)]))), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_leave_the_highest_version() {
    const WRITERS: u64 = 8;
    const VERSIONS_PER_WRITER: u64 = 100;
    let server = RedisServer::start(&[]);
    let reader = cache(server.url());
    let writers = (0..WRITERS).map(|writer| {
        let cache = Arc::new(cache(server.url()));
        tokio::spawn(async move {
            for round in 0..VERSIONS_PER_WRITER {
                let version = 1 + round * WRITERS + writer;
                cache
                    .save_chunk(&nyc(), ChunkName::new(Cell(1), version), &version.to_be_bytes())
                    .await
                    .unwrap();
                cache.save_head(&head(version, &[(1, version)])).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut last = 0;
    while last < WRITERS * VERSIONS_PER_WRITER {
        let Some(found) = reader.head(&nyc()).await.unwrap() else { continue };
        assert!(found.version >= last, "{} after {last}", found.version);
        last = found.version;
        let chunk = reader.chunk(&nyc(), ChunkName::new(Cell(1), last)).await;
        assert_eq!(chunk, Ok(Some(last.to_be_bytes().to_vec())), "the chunks of a head exist");
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_chunk_outlives_every_head_that_names_it() {
    assert!(CHUNK_TTL >= TTL_REFRESH_INTERVAL + HEAD_TTL);
    let server = RedisServer::start(&[]);
    let cache = cache(server.url());
    let chunk_key = |parent, version| format!("equilibrium:{{nyc}}:chunk:{parent}:{version}");
    cache.save_chunk(&nyc(), ChunkName::new(Cell(0xa), 1), b"a").await.unwrap();
    cache.save_chunk(&nyc(), ChunkName::new(Cell(0xb), 1), b"b").await.unwrap();
    cache.save_head(&head(1, &[(0xa, 1), (0xb, 1)])).await.unwrap();
    let head_ms = server.ttl_ms(HEAD_KEY);
    assert!((1..=ms(HEAD_TTL)).contains(&head_ms), "{head_ms}");
    assert!(server.ttl_ms(&chunk_key('a', 1)) > head_ms);

    cache.save_chunk(&nyc(), ChunkName::new(Cell(0xa), 2), b"A").await.unwrap();
    cache.save_head(&head(2, &[(0xa, 2), (0xb, 1)])).await.unwrap();
    let replaced_ms = server.ttl_ms(&chunk_key('a', 1));
    assert!((1..=ms(REPLACED_CHUNK_TTL)).contains(&replaced_ms), "{replaced_ms}");
    for named in [chunk_key('a', 2), chunk_key('b', 1)] {
        assert!(server.ttl_ms(&named) > ms(HEAD_TTL), "{named}");
    }

    // Another instance continues, long after the chunk was saved.
    server.command(&["PEXPIRE", &chunk_key('b', 1), "100000"]);
    let successor = crate::cache(server.url());
    successor.save_head(&head(3, &[(0xa, 2), (0xb, 1)])).await.unwrap();
    assert!(server.ttl_ms(&chunk_key('b', 1)) > ms(HEAD_TTL), "refreshed");
}

#[tokio::test]
async fn a_malformed_head_is_unavailable_and_is_replaced() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.url());
    for malformed in ["", "1", "longer than a version", "\0\0\0\0\0\0\0\u{1}short"] {
        server.command(&["SET", HEAD_KEY, malformed]);
        assert_eq!(cache.head(&nyc()).await, Err(Unavailable), "{malformed:?}");
    }
    for malformed in ["", "1", "\0\0\0\0\0\0\0\u{1}short"] {
        server.command(&["SET", HEAD_KEY, malformed]);
        cache.save_head(&head(7, &[])).await.unwrap();
        assert_eq!(cache.head(&nyc()).await, Ok(Some(head(7, &[]))), "{malformed:?}");
    }
    server.command(&["DEL", HEAD_KEY]);
    server.command(&["LPUSH", HEAD_KEY, "1"]);
    assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
    assert_eq!(cache.save_head(&head(7, &[])).await, Err(Unavailable));
    assert_eq!(cache.ping().await, Ok(()), "the connection is kept");
}

#[tokio::test]
async fn a_head_of_another_city_is_unavailable() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.url());
    cache.save_head(&head(7, &[])).await.unwrap();
    server.command(&["COPY", HEAD_KEY, "equilibrium:{suva}:head"]);
    let suva = CityId::new("suva").unwrap();
    assert_eq!(cache.head(&suva).await, Err(Unavailable));
}

#[tokio::test]
async fn a_script_that_the_server_has_flushed_is_sent_in_full() {
    let server = RedisServer::start(&[]);
    let cache = cache(server.url());
    for version in 1..4 {
        cache.save_head(&head(version, &[])).await.unwrap();
        server.command(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(cache.head(&nyc()).await, Ok(Some(head(3, &[]))));
}

#[tokio::test]
async fn writes_to_a_full_server_are_unavailable_and_reads_are_not() {
    let server = RedisServer::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let cache = cache(server.url());
    assert_eq!(cache.save_chunk(&nyc(), ChunkName::new(Cell(1), 1), b"a").await, Err(Unavailable));
    assert_eq!(cache.save_head(&head(1, &[])).await, Err(Unavailable));
    assert_eq!(cache.head(&nyc()).await, Ok(None));
}

fn ms(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}
