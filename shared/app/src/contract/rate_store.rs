//! The contract of the store of rates.

use equilibrium_domain::rate::{Rate, Wait};
use futures_util::future::join_all;

use crate::rate_limit::ports::{RateKey, RateStore};

/// The contract of [`RateStore`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn rate_store(store: &impl RateStore) {
    it_admits_what_the_rule_admits(store).await;
    of_many_calls_at_once_a_burst_is_admitted(store).await;
}

async fn it_admits_what_the_rule_admits(store: &impl RateStore) {
    // Microseconds of today take more than 32 bits, and fewer than 53.
    let start_us = 1_795_000_000_123_456;
    let mut step = 7_i64;
    for (count, client) in [(1, "one"), (7, "seven"), (100, "hundred"), (1_200, "many")] {
        let rate = Rate::per_minute(count).expect("a rate");
        let key = RateKey::new("contract", client);
        let (mut arrival, mut now_us) = (None, start_us);
        for _ in 0..300 {
            let expected = rate.admit(arrival, now_us);
            assert_eq!(store.take(key, rate, now_us).await, Ok(expected.map(drop)), "{count} at {now_us}");
            arrival = expected.ok().or(arrival);
            // Short and long pauses, none as long as the burst for which a client is kept.
            step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now_us += (step >> 33).rem_euclid(rate.interval_us() * 2 / 3 + 1);
        }
    }
}

async fn of_many_calls_at_once_a_burst_is_admitted(store: &impl RateStore) {
    let rate = Rate::per_minute(20).expect("a rate");
    let now_us = 1_795_000_000_000_000;
    let taken = |client: &str| {
        let key = RateKey::new("contract", client);
        join_all((0..50).map(move |_| store.take(key, rate, now_us)))
    };
    for client in ["crowd", "other crowd"] {
        let admitted = taken(client).await.into_iter().map(|taken| taken.expect("available"));
        let (admitted, refused): (Vec<_>, Vec<_>) = admitted.partition(Result::is_ok);
        assert_eq!((admitted.len(), refused.len()), (20, 30), "each client for itself");
        assert!(refused.iter().all(|wait| *wait == Err(Wait { us: rate.interval_us() })));
    }
}
