//! What every adapter of a port must do, wherever it keeps things: one suite a port.
//!
//! Each function panics where the adapter breaks the port's contract; it expects a store in which the
//! names it uses are free.

use equilibrium_domain::count::city_group::CityGroup;
use equilibrium_domain::count::tick_counts;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, LaneId};
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use futures_util::future::join_all;

use crate::checkpoint::ports::{AppendError, CheckpointKey, CheckpointLog};
use crate::count::ports::CountsStream;
use crate::ingest::ingester::MAX_RECORD_BYTES;
use crate::ingest::ports::EventLog;
use crate::policy::ports::{PolicyStore, ReplaceError, StoredPolicy};
use crate::surge::ports::MapStore;
use crate::unavailable::Unavailable;

/// How many lanes or groups a stream has at least, to be put to this test: as many are put to at once.
pub const STREAM_PARTS: u16 = 16;

/// The contract of [`CheckpointLog`].
///
/// # Panics
/// Where the adapter breaks it.
pub async fn checkpoint_log(log: &impl CheckpointLog) {
    let lane = CheckpointKey::Lane(LaneId(7));
    let city = CheckpointKey::City(CityId::new("contract").expect("well-formed"));
    assert!(log.load(&lane).await.expect("an empty log can be read").is_empty());

    log.append(&lane, &entry(0, b"zero", false)).await.expect("the first entry is numbered 0");
    log.append(&lane, &entry(1, b"", false)).await.expect("an entry may be empty");
    assert_eq!(
        log.append(&lane, &entry(1, b"other", false)).await,
        Err(AppendError::Conflict),
        "written over"
    );
    assert_eq!(
        log.append(&lane, &entry(0, b"other", true)).await,
        Err(AppendError::Conflict),
        "written over"
    );
    assert_eq!(log.load(&lane).await.expect("readable"), [b"zero".to_vec(), vec![]]);
    assert!(log.load(&city).await.expect("readable").is_empty(), "logs are apart");

    // Beyond what one item of any store holds.
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[(i % 3) as usize]).collect();
    log.append(&lane, &entry(2, &large, true)).await.expect("a large snapshot is written");
    log.append(&lane, &entry(3, b"three", false)).await.expect("written");
    assert_eq!(log.load(&lane).await.expect("readable"), [large, b"three".to_vec()], "from the snapshot on");

    log.append(&city, &entry(0, b"zero", false)).await.expect("written");
    assert_eq!(log.load(&city).await.expect("readable"), [b"zero".to_vec()]);
}

fn entry(number: u64, bytes: &[u8], has_snapshot: bool) -> Entry {
    Entry { number, bytes: bytes.to_vec(), has_snapshot }
}

/// The contract of [`MapStore`].
///
/// # Panics
/// Where the adapter breaks it.
pub async fn map_store(maps: &impl MapStore) {
    let city = CityId::new("contract").expect("well-formed");
    assert_eq!(maps.head(&city).await, Ok(None));
    assert_eq!(maps.chunk(&city, ChunkName::new(Cell(1), 1)).await, Ok(None));

    let head = |version, chunks| MapHead {
        city: city.clone(),
        version,
        as_of: 5000,
        heard: 1,
        lanes: 1,
        resolution: 8,
        products: Vec::new(),
        chunks,
    };
    maps.save_chunk(&city, ChunkName::new(Cell(1), 3), b"three").await.expect("saved");
    maps.save_chunk(&city, ChunkName::new(Cell(2), 3), b"other").await.expect("saved");
    let third = head(3, vec![ChunkName::new(Cell(1), 3), ChunkName::new(Cell(2), 3)]);
    maps.save_head(&third).await.expect("saved");
    assert_eq!(maps.head(&city).await, Ok(Some(third.clone())));
    assert_eq!(maps.chunk(&city, ChunkName::new(Cell(1), 3)).await, Ok(Some(b"three".to_vec())));

    for version in [2, 3] {
        maps.save_head(&head(version, Vec::new())).await.expect("an older head is no error");
        assert_eq!(maps.head(&city).await, Ok(Some(third.clone())), "a newer head stays");
    }

    maps.save_chunk(&city, ChunkName::new(Cell(1), 4), b"four").await.expect("saved");
    let fourth = head(4, vec![ChunkName::new(Cell(1), 4), ChunkName::new(Cell(2), 3)]);
    maps.save_head(&fourth).await.expect("saved");
    assert_eq!(maps.head(&city).await, Ok(Some(fourth)));
    assert_eq!(maps.chunk(&city, ChunkName::new(Cell(1), 4)).await, Ok(Some(b"four".to_vec())));
    assert_eq!(
        maps.chunk(&city, ChunkName::new(Cell(2), 3)).await,
        Ok(Some(b"other".to_vec())),
        "what a head names stays"
    );
    assert_eq!(
        maps.chunk(&city, ChunkName::new(Cell(1), 3)).await,
        Ok(Some(b"three".to_vec())),
        "for who still reads the last head"
    );
}

/// The contract of [`PolicyStore`], which must be empty.
///
/// # Panics
/// Where the adapter breaks it.
pub async fn policy_store(policies: &impl PolicyStore) {
    let [lima, oslo] = ["lima", "oslo"].map(|city| CityId::new(city).expect("well-formed"));
    let all = async || {
        let mut all = policies.all().await.expect("readable");
        all.sort_unstable_by(|a, b| a.city.cmp(&b.city));
        all
    };
    let stored = |city: &CityId, version, document: &str| StoredPolicy {
        city: city.clone(),
        version,
        document: document.into(),
    };
    assert_eq!(all().await, []);

    assert_eq!(
        policies.save(&lima, "{}", Some(1)).await,
        Err(ReplaceError::VersionMismatch),
        "there is none"
    );
    assert_eq!(policies.save(&lima, "{}", None).await, Ok(1));
    assert_eq!(policies.save(&oslo, "{\"name\":\"Østre Åker\"}", None).await, Ok(1));
    assert_eq!(policies.save(&lima, "[]", None).await, Err(ReplaceError::VersionMismatch), "there is one");
    for after in [0, 2] {
        assert_eq!(policies.save(&lima, "[]", Some(after)).await, Err(ReplaceError::VersionMismatch));
    }
    assert_eq!(all().await, [stored(&lima, 1, "{}"), stored(&oslo, 1, "{\"name\":\"Østre Åker\"}")]);

    assert_eq!(policies.save(&lima, "{\"a\":1}", Some(1)).await, Ok(2));
    assert_eq!(policies.save(&lima, "{\"b\":1}", Some(1)).await, Err(ReplaceError::VersionMismatch));
    // As large as a policy with many zones may become.
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(200_000));
    assert_eq!(policies.save(&oslo, &large, Some(1)).await, Ok(2));
    assert_eq!(all().await, [stored(&lima, 2, "{\"a\":1}"), stored(&oslo, 2, &large)]);
}

/// The contract of [`EventLog`]. `read` tells all records of a lane, in order; there are [`STREAM_PARTS`]
/// lanes at least.
///
/// # Panics
/// Where the adapter breaks it.
pub async fn event_log(log: &impl EventLog, read: impl AsyncFn(LaneId) -> Vec<Vec<u8>>) {
    let put = async |part, record| log.put(LaneId(part), record).await;
    stream(put, async |part| read(LaneId(part)).await, MAX_RECORD_BYTES).await;
}

/// The contract of [`CountsStream`]. `read` tells all records of a group, in order; there are
/// [`STREAM_PARTS`] groups at least.
///
/// # Panics
/// Where the adapter breaks it.
pub async fn counts_stream(counts: &impl CountsStream, read: impl AsyncFn(CityGroup) -> Vec<Vec<u8>>) {
    let put = async |part: u16, record| counts.send(CityGroup(part.into()), record).await;
    stream(put, async |part: u16| read(CityGroup(part.into())).await, tick_counts::MAX_RECORD_BYTES).await;
}

/// What a log's lanes and a stream's groups have in common.
async fn stream(
    put: impl AsyncFn(u16, Vec<u8>) -> Result<(), Unavailable>,
    read: impl AsyncFn(u16) -> Vec<Vec<u8>>,
    largest: usize,
) {
    let take = async |part, record: &[u8]| put(part, record.to_vec()).await.expect("a stream takes a record");
    let mut parts = vec![Vec::new(); usize::from(STREAM_PARTS)];

    take(3, b"\n").await;
    parts[3].push(b"\n".to_vec());
    assert_eq!(firsts(read(3).await), parts[3], "what was taken is there at once");

    // The largest there are, every byte there is, and text.
    let bytes: Vec<u8> = (0..=255).collect();
    let full: Vec<u8> = bytes.iter().rev().copied().cycle().take(largest).collect();
    for record in [&full[..], b"0", &bytes, "{\"place\":\"Zürich\"}\n".as_bytes(), b"\0", &full[1..]] {
        take(5, record).await;
        parts[5].push(record.to_vec());
    }
    check(&parts, &read).await;

    join_all((0..STREAM_PARTS).map(async |part| {
        for number in 0..9 {
            take(part, format!("{part} {number}").as_bytes()).await;
        }
    }))
    .await;
    for (part, records) in (0..STREAM_PARTS).zip(&mut parts) {
        records.extend((0..9).map(|number| format!("{part} {number}").into_bytes()));
    }
    check(&parts, &read).await;
}

/// Checks that each part holds its records, whole and in order, and no other's.
async fn check(parts: &[Vec<Vec<u8>>], read: &impl AsyncFn(u16) -> Vec<Vec<u8>>) {
    for (part, records) in (0..STREAM_PARTS).zip(parts) {
        let found = firsts(read(part).await);
        let same = found.iter().zip(records).take_while(|(found, put)| found == put).count();
        assert_eq!(same, records.len(), "part {part}: a record was lost, changed or overtaken");
        assert_eq!(found.len(), records.len(), "part {part}: a record of another");
    }
}

/// The records without those that come again: an adapter may have tried more than once.
fn firsts(records: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut firsts = Vec::with_capacity(records.len());
    for record in records {
        if !firsts.contains(&record) {
            firsts.push(record);
        }
    }
    firsts
}
