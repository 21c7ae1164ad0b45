//! The contract of the store of histories.

use equilibrium_domain::id::CityId;
use equilibrium_domain::surge::history::HistoryKey;

use crate::history::ports::HistoryStore;

/// 2026-11-23T06:40:00Z, in milliseconds since the epoch.
const TICK: i64 = 1_795_416_000_000;

/// The contract of [`HistoryStore`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn history_store(store: &impl HistoryStore) {
    let city = CityId::new("contract").expect("well-formed");
    let other = CityId::new("contract-other").expect("well-formed");
    let oldest = HistoryKey { at: 0, part: 0 };
    assert_eq!(store.history(&city, oldest, 10).await, Ok(Vec::new()), "an empty history can be read");

    let large: Vec<u8> = (0..350_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_le_bytes()[3]).collect();
    let key = |tick: i64, part| HistoryKey { at: TICK + tick * 5_000, part };
    let items = [
        (key(0, 0), b"zero".to_vec()),
        (key(1, 0), large.clone()),
        (key(1, 1), large),
        (key(1, 2), b"one".to_vec()),
        (key(20, 0), b"twenty".to_vec()),
    ];
    for (key, item) in items.iter().rev().chain(&items[..2]) {
        store.save_history(&city, *key, item).await.expect("an item is saved, also again");
    }
    store.save_history(&other, key(2, 0), b"other").await.expect("an item is saved");

    assert_eq!(read(store, &city, oldest).await, items, "every item, in order");
    assert_eq!(read(store, &city, key(1, 1)).await, items[2..], "the items from a key on");
    assert_eq!(read(store, &city, key(2, 0)).await, items[4..]);
    assert_eq!(read(store, &city, key(21, 0)).await, [], "nothing follows");
    assert_eq!(store.history(&city, oldest, 1).await, Ok(items[..1].to_vec()), "no more than the limit");
    assert_eq!(read(store, &other, oldest).await, [(key(2, 0), b"other".to_vec())], "cities are separate");
}

/// Every item from a key on, page by page.
async fn read(store: &impl HistoryStore, city: &CityId, mut from: HistoryKey) -> Vec<(HistoryKey, Vec<u8>)> {
    let mut items = Vec::new();
    loop {
        let page = store.history(city, from, 3).await.expect("a history is read");
        let Some((last, _)) = page.last() else { return items };
        assert!(page.len() <= 3, "no more than the limit");
        from = HistoryKey { part: last.part + 1, ..*last };
        items.extend(page);
    }
}
