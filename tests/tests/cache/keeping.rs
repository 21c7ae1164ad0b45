//! What the cache keeps, over what, and for how long.

use std::sync::Arc;

use equilibrium_app::contract;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cache::{CHUNK_KEPT, HEAD_KEPT, REFRESH_EVERY, REPLACED_KEPT};

use crate::server::Server;
use crate::{cache, head, nyc};

const HEAD_KEY: &str = "equilibrium:{nyc}:head";

#[tokio::test]
async fn the_cache_keeps_the_contract_of_maps() {
    let server = Server::start(&[]);
    contract::map_store(&cache(server.url())).await;
}

#[tokio::test]
async fn a_lower_version_never_overwrites_a_higher_one() {
    let server = Server::start(&[]);
    let (one, other) = (cache(server.url()), cache(server.url()));
    // Where bytes carry, where a double ends, and where numbers do.
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
async fn of_writers_at_once_the_highest_version_stays() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 100;
    let server = Server::start(&[]);
    let reader = cache(server.url());
    let writers = (0..WRITERS).map(|writer| {
        let cache = Arc::new(cache(server.url()));
        tokio::spawn(async move {
            for round in 0..EACH {
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
    while last < WRITERS * EACH {
        let Some(found) = reader.head(&nyc()).await.unwrap() else { continue };
        assert!(found.version >= last, "{} after {last}", found.version);
        last = found.version;
        let chunk = reader.chunk(&nyc(), 1, last).await;
        assert_eq!(chunk, Ok(Some(last.to_be_bytes().to_vec())), "a head names what is there");
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn a_chunk_outlives_every_head_that_names_it() {
    assert!(CHUNK_KEPT >= REFRESH_EVERY + HEAD_KEPT);
    let server = Server::start(&[]);
    let cache = cache(server.url());
    let chunk_key = |parent, version| format!("equilibrium:{{nyc}}:chunk:{parent}:{version}");
    cache.save_chunk(&nyc(), ChunkName::new(Cell(0xa), 1), b"a").await.unwrap();
    cache.save_chunk(&nyc(), ChunkName::new(Cell(0xb), 1), b"b").await.unwrap();
    cache.save_head(&head(1, &[(0xa, 1), (0xb, 1)])).await.unwrap();
    let head_ms = server.kept_ms(HEAD_KEY);
    assert!((1..=ms(HEAD_KEPT)).contains(&head_ms), "{head_ms}");
    assert!(server.kept_ms(&chunk_key('a', 1)) > head_ms);

    cache.save_chunk(&nyc(), ChunkName::new(Cell(0xa), 2), b"A").await.unwrap();
    cache.save_head(&head(2, &[(0xa, 2), (0xb, 1)])).await.unwrap();
    let replaced = server.kept_ms(&chunk_key('a', 1));
    assert!((1..=ms(REPLACED_KEPT)).contains(&replaced), "{replaced}");
    for named in [chunk_key('a', 2), chunk_key('b', 1)] {
        assert!(server.kept_ms(&named) > ms(HEAD_KEPT), "{named}");
    }

    // Another instance takes over, long after the chunk was saved.
    server.say(&["PEXPIRE", &chunk_key('b', 1), "100000"]);
    let heir = crate::cache(server.url());
    heir.save_head(&head(3, &[(0xa, 2), (0xb, 1)])).await.unwrap();
    assert!(server.kept_ms(&chunk_key('b', 1)) > ms(HEAD_KEPT), "refreshed");
}

#[tokio::test]
async fn what_is_no_head_is_unavailable_and_written_over() {
    let server = Server::start(&[]);
    let cache = cache(server.url());
    for strange in ["", "1", "longer than a version", "\0\0\0\0\0\0\0\u{1}short"] {
        server.say(&["SET", HEAD_KEY, strange]);
        assert_eq!(cache.head(&nyc()).await, Err(Unavailable), "{strange:?}");
    }
    for strange in ["", "1", "\0\0\0\0\0\0\0\u{1}short"] {
        server.say(&["SET", HEAD_KEY, strange]);
        cache.save_head(&head(7, &[])).await.unwrap();
        assert_eq!(cache.head(&nyc()).await, Ok(Some(head(7, &[]))), "{strange:?}");
    }
    server.say(&["DEL", HEAD_KEY]);
    server.say(&["LPUSH", HEAD_KEY, "1"]);
    assert_eq!(cache.head(&nyc()).await, Err(Unavailable));
    assert_eq!(cache.save_head(&head(7, &[])).await, Err(Unavailable));
    assert_eq!(cache.ping().await, Ok(()), "its line is kept");
}

#[tokio::test]
async fn a_head_of_another_city_is_unavailable() {
    let server = Server::start(&[]);
    let cache = cache(server.url());
    cache.save_head(&head(7, &[])).await.unwrap();
    server.say(&["COPY", HEAD_KEY, "equilibrium:{suva}:head"]);
    let suva = equilibrium_domain::id::CityId::new("suva").unwrap();
    assert_eq!(cache.head(&suva).await, Err(Unavailable));
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_sent_again() {
    let server = Server::start(&[]);
    let cache = cache(server.url());
    for version in 1..4 {
        cache.save_head(&head(version, &[])).await.unwrap();
        server.say(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(cache.head(&nyc()).await, Ok(Some(head(3, &[]))));
}

#[tokio::test]
async fn a_full_server_is_unavailable_and_its_line_kept() {
    let server = Server::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let cache = cache(server.url());
    assert_eq!(cache.save_chunk(&nyc(), ChunkName::new(Cell(1), 1), b"a").await, Err(Unavailable));
    assert_eq!(cache.save_head(&head(1, &[])).await, Err(Unavailable));
    assert_eq!(cache.head(&nyc()).await, Ok(None));
}

fn ms(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}
