//! Rates in the cache: the script admits what the rule admits, and forgets idle clients.

use equilibrium_app::contract;
use equilibrium_app::rate_limit::limiter::RateLimiter;
use equilibrium_app::rate_limit::memory_rates::MemoryRates;
use equilibrium_app::rate_limit::ports::{RateKey, RateStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::rate::{Rate, Wait};
use equilibrium_tests::harness::redis::RedisServer;

use crate::cache;

const NOW_US: i64 = 1_795_000_000_000_000;

#[tokio::test]
async fn the_cache_meets_the_contract_of_the_rate_store() {
    let server = RedisServer::start(&[]);
    contract::rate_store(&cache(server.url()).rates()).await;
}

#[tokio::test]
async fn a_client_is_forgotten_after_the_burst_of_its_rate() {
    let server = RedisServer::start(&[]);
    let rates = cache(server.url()).rates();
    let (key, rate) = (RateKey::new("prices", "ada"), Rate::per_minute(600).unwrap());
    assert_eq!(rates.take(key, rate, NOW_US).await, Ok(Ok(())));
    let name = format!("equilibrium:rate:{:032x}", key.0);
    let ttl: i64 = server.command(&["PTTL", &name]).trim_matches([':', '\r', '\n']).parse().unwrap();
    assert!((60_000..=65_000).contains(&ttl), "{ttl}");
    assert!(!server.command(&["KEYS", "*"]).contains("ada"));
}

#[tokio::test]
async fn a_value_that_is_no_time_locks_no_client_out() {
    let server = RedisServer::start(&[]);
    let rates = cache(server.url()).rates();
    let (key, rate) = (RateKey::new("prices", "ada"), Rate::per_minute(1).unwrap());
    let name = format!("equilibrium:rate:{:032x}", key.0);
    server.command(&["SET", &name, "soon"]);
    assert_eq!(rates.take(key, rate, NOW_US).await, Ok(Ok(())));
    assert_eq!(rates.take(key, rate, NOW_US).await, Ok(Err(Wait { us: 60_000_000 })));
}

#[tokio::test]
async fn a_script_that_the_server_has_flushed_is_sent_in_full() {
    let server = RedisServer::start(&[]);
    let rates = cache(server.url()).rates();
    let (key, rate) = (RateKey::new("prices", "ada"), Rate::per_minute(2).unwrap());
    for expected in [Ok(()), Ok(()), Err(Wait { us: 30_000_000 })] {
        assert_eq!(rates.take(key, rate, NOW_US).await, Ok(expected));
        server.command(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test]
async fn without_the_server_each_instance_admits_the_rate_for_itself() {
    let server = RedisServer::start(&[]);
    let rates = cache(server.url()).rates();
    drop(server);
    let (key, rate) = (RateKey::new("prices", "ada"), Rate::per_minute(5).unwrap());
    assert_eq!(rates.take(key, rate, NOW_US).await, Err(Unavailable));
    let limiter = RateLimiter::new(rates, tokio::time::sleep);
    let mut admitted = 0;
    while limiter.admit(key, rate, NOW_US).await.is_ok() {
        admitted += 1;
    }
    assert_eq!(admitted, 5);
}

/// Two instances that share a server admit what one in memory does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_admit_one_rate_together() {
    let server = RedisServer::start(&[]);
    let instance = || RateLimiter::new(cache(server.url()).rates(), tokio::time::sleep);
    let (one, other, alone) = (instance(), instance(), MemoryRates::default());
    let (key, rate) = (RateKey::new("quotes", "ada"), Rate::per_minute(40).unwrap());
    let (mut together, mut expected) = (0, 0);
    for call in 0..60 {
        let limiter = if call % 3 == 0 { &one } else { &other };
        together += usize::from(limiter.admit(key, rate, NOW_US).await.is_ok());
        expected += usize::from(alone.admit(key, rate, NOW_US).is_ok());
    }
    assert_eq!((together, expected), (40, 40));
}
