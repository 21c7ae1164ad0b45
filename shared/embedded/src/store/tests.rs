//! A store continues from its database, which holds the state of one moment or is refused.

use equilibrium_domain::surge::feed_guard::Feed;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use equilibrium_app::contract;
use equilibrium_app::quote::ports::{Confirmation, KEPT_MS, QuoteStore};
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event_sourced::Entry;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::quote::QuoteId;
use equilibrium_event_source::poller::Source;
use equilibrium_lambda::kinesis::record::ShardId;
use futures_util::future::join_all;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::data_folder::{ACKNOWLEDGED_NAME, FILE_NAME};
use crate::open_error::OpenError;

fn lanes() -> LaneCount {
    LaneCount::new(contract::STREAM_PARTS.into()).unwrap()
}

fn clock() -> Clock {
    Clock::live(NonZeroU32::MIN)
}

fn open(folder: &Path) -> Store {
    let (database, contents) = Database::open(folder, lanes()).unwrap();
    Store::on_disk(lanes(), clock(), database, contents)
}

fn open_error(folder: &Path) -> OpenError {
    Database::open(folder, lanes()).map(drop).unwrap_err()
}

/// Closes the store and opens its database again.
fn reopen(store: Store, folder: &Path) -> Store {
    store.close();
    drop(store);
    open(folder)
}

async fn read(log: &Arc<StreamLog>) -> Vec<(u64, Vec<u8>)> {
    let page = log.read(&ShardId::numbered(0), None, 1000).await.unwrap();
    page.records.into_iter().map(|record| (record.sequence.as_str().parse().unwrap(), record.data)).collect()
}

/// The records of one partition key.
async fn records(log: &Arc<StreamLog>, key: &str) -> Vec<Vec<u8>> {
    let page = log.read(&ShardId::numbered(0), None, 1000).await.unwrap();
    page.records
        .into_iter()
        .filter(|record| *record.partition_key == *key)
        .map(|record| record.data)
        .collect()
}

fn after(number: u64) -> Position {
    Position::After(number.into())
}

fn range() -> CheckpointKey {
    CheckpointKey::Lanes(LaneRange::of(LaneId(1), lanes()))
}

fn entries(snapshot: Option<&[u8]>, first: u64, entries: &[&[u8]]) -> Loaded {
    let entries = entries.iter().map(|entry| entry.to_vec()).collect();
    Loaded { snapshot: snapshot.map(<[u8]>::to_vec), first, entries }
}

fn head(version: u64, chunks: Vec<ChunkName>) -> MapHead {
    MapHead {
        city: CityId::new("nyc").unwrap(),
        version,
        as_of: 5000,
        lanes_reported: 4,
        lanes: 4,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: Vec::new(),
        chunks,
    }
}

#[tokio::test]
async fn every_port_passes_its_contract_suite_in_memory_and_on_disk() {
    let folder = TempDir::new().unwrap();
    for store in [Store::in_memory_with_past(lanes(), clock()), open(folder.path())] {
        contract::checkpoint_log(&store).await;
        contract::past_log(&store).await;
        contract::history_store(&store).await;
        contract::day_store(&store).await;
        contract::map_store(&store).await;
        contract::frozen_maps(&store).await;
        contract::override_store(&store, 1_000).await;
        contract::quote_store(&store, 1_000).await;
        contract::recovery_store(&store, 1_772_000_000_000).await;
        contract::fencing(&store).await;
        contract::event_log(&store, async |lane| records(store.events(), &lane.to_string()).await).await;
        contract::counts_stream(&store, async |_, group| records(store.counts(), &group.to_string()).await)
            .await;
        store.close();
    }
}

#[tokio::test]
async fn a_reopened_store_holds_everything_that_was_saved() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let (lanes, city) = (range(), CheckpointKey::City(CityId::new("nyc").unwrap()));
    for (number, bytes) in (0..).zip([&b""[..], b"a", b"aa", b"aaa"]) {
        store.append(&lanes, &Entry::new(number, bytes)).await.unwrap();
    }
    store.save_snapshot(&lanes, 1, b"before one").await.unwrap();
    store.save_snapshot(&lanes, 2, b"before two").await.unwrap();
    store.append(&city, &Entry::new(0, b"zero")).await.unwrap();
    let nyc = CityId::new("nyc").unwrap();
    store.save_chunk(&nyc, ChunkName::new(Cell(7), 1), b"chunk").await.unwrap();
    store.save_head(&head(1, vec![ChunkName::new(Cell(7), 1)])).await.unwrap();
    EventLog::put(&store, LaneId(0), b"one".to_vec()).await.unwrap();
    EventLog::put(&store, LaneId(3), b"two".to_vec()).await.unwrap();
    store.send(LaneId(0), CityGroup(5), b"counts".to_vec()).await.unwrap();

    let store = reopen(store, folder.path());
    let from_snapshot = entries(Some(b"before two"), 2, &[b"aa", b"aaa"]);
    assert_eq!(store.load(&lanes, None).await, Ok(from_snapshot));
    assert_eq!(store.load(&city, None).await, Ok(entries(None, 0, &[b"zero"])));
    assert_eq!(store.append(&lanes, &Entry::new(3, b"")).await, Err(AppendError::Conflict));
    store.append(&lanes, &Entry::new(4, b"")).await.unwrap();
    assert_eq!(store.head(&nyc).await.unwrap().unwrap().version, 1);
    assert_eq!(store.chunk(&nyc, ChunkName::new(Cell(7), 1)).await.unwrap(), Some(b"chunk".to_vec()));
    assert_eq!(read(store.events()).await, [(1, b"one".to_vec()), (2, b"two".to_vec())]);
    assert_eq!(read(store.counts()).await, [(1, b"counts".to_vec())]);
    store.close();
}

fn confirmation(key: usize) -> Confirmation {
    Confirmation {
        token: "t".repeat(1_000),
        confirmed_at: 1_772_000_000_000,
        idempotency_key: Some(format!("key-{key}")),
        is_logged: false,
    }
}

#[tokio::test]
async fn of_200_confirmations_at_once_one_is_new_and_survives_a_restart() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let attempts: Vec<Confirmation> = (0..200).map(confirmation).collect();
    let answers = join_all(attempts.iter().map(|attempt| store.confirm(QuoteId(9), attempt))).await;
    let new: Vec<usize> = (0..200).filter(|at| answers[*at] == Ok(None)).collect();
    assert_eq!(new.len(), 1);
    let confirmed = attempts[new[0]].clone();
    assert_eq!(answers.iter().filter(|answer| **answer == Ok(Some(confirmed.clone()))).count(), 199);

    let store = reopen(store, folder.path());
    assert_eq!(store.confirm(QuoteId(9), &confirmation(0)).await, Ok(Some(confirmed.clone())));
    store.logged(QuoteId(9)).await.unwrap();
    let store = reopen(store, folder.path());
    let logged = Confirmation { is_logged: true, ..confirmed };
    assert_eq!(store.confirmation(QuoteId(9)).await, Ok(Some(logged)));

    // After ninety days it makes room beside another.
    let later = Confirmation { confirmed_at: confirmation(1).confirmed_at + KEPT_MS + 1, ..confirmation(1) };
    assert_eq!(store.confirm(QuoteId(10), &later).await, Ok(None));
    let store = reopen(store, folder.path());
    assert_eq!(store.confirmation(QuoteId(9)).await, Ok(None));
    assert_eq!(store.confirmation(QuoteId(10)).await, Ok(Some(later)));
    store.close();
}

#[test]
fn a_confirmation_is_on_disk_whichever_call_returns_it() {
    // A store on disk whose writer has not come to write yet.
    let state = State { pending: Some(PendingWrites::default()), ..State::default() };
    let store = Store::with_state(lanes(), clock(), state);
    let (new, other) = (confirmation(1), confirmation(2));
    let mut context = Context::from_waker(Waker::noop());
    let mut first = pin!(store.confirm(QuoteId(1), &new));
    let mut repeat = pin!(store.confirm(QuoteId(1), &other));
    let mut read = pin!(store.confirmation(QuoteId(1)));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(repeat.as_mut().poll(&mut context).is_pending());
    assert!(read.as_mut().poll(&mut context).is_pending());

    let pending = std::mem::take(store.0.state.lock().pending.as_mut().unwrap());
    assert_eq!(pending.changes.rows.keys().collect::<Vec<_>>(), [&Row::Quote(1)]);
    pending.written.into_iter().for_each(|written| written.send(()).unwrap());
    assert_eq!(first.poll(&mut context), Poll::Ready(Ok(None)));
    assert_eq!(repeat.poll(&mut context), Poll::Ready(Ok(Some(new.clone()))));
    assert_eq!(read.poll(&mut context), Poll::Ready(Ok(Some(new.clone()))));
    assert_eq!(pin!(store.confirmation(QuoteId(1))).poll(&mut context), Poll::Ready(Ok(Some(new.clone()))));
}

#[test]
fn a_confirmation_whose_write_failed_is_written_again_for_the_next_call() {
    let state = State { pending: Some(PendingWrites::default()), ..State::default() };
    let store = Store::with_state(lanes(), clock(), state);
    let new = confirmation(1);
    let mut context = Context::from_waker(Waker::noop());
    let mut first = pin!(store.confirm(QuoteId(1), &new));
    assert!(first.as_mut().poll(&mut context).is_pending());
    drop(std::mem::take(store.0.state.lock().pending.as_mut().unwrap()));
    assert_eq!(first.poll(&mut context), Poll::Ready(Err(Unavailable)));
    let mut repeat = pin!(store.confirm(QuoteId(1), &new));
    assert!(repeat.as_mut().poll(&mut context).is_pending());
    assert!(store.0.state.lock().pending.as_ref().unwrap().changes.rows.contains_key(&Row::Quote(1)));
}

#[tokio::test]
async fn a_removed_record_stays_removed_and_its_number_is_not_reused() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    for data in [b"one", b"two"] {
        EventLog::put(&store, LaneId(0), data.to_vec()).await.unwrap();
        store.send(LaneId(0), CityGroup(0), data.to_vec()).await.unwrap();
    }
    let shard = ShardId::numbered(0);
    store.trim_events([(&shard, &after(2))].into_iter());
    store.trim_counts([(&shard, &after(1))].into_iter());

    let store = reopen(store, folder.path());
    assert!(store.events().is_empty());
    assert_eq!(read(store.counts()).await, [(2, b"two".to_vec())]);
    store.trim_counts([(&shard, &after(2))].into_iter());
    EventLog::put(&store, LaneId(0), b"three".to_vec()).await.unwrap();

    let store = reopen(store, folder.path());
    assert_eq!(read(store.events()).await, [(3, b"three".to_vec())]);
    assert!(store.counts().is_empty());
    store.send(LaneId(0), CityGroup(0), b"three".to_vec()).await.unwrap();
    assert_eq!(read(store.counts()).await, [(3, b"three".to_vec())]);
    store.close();
}

#[tokio::test]
async fn a_chunk_that_no_head_names_is_removed_on_disk_too() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let nyc = CityId::new("nyc").unwrap();
    for version in 1..=3 {
        store.save_chunk(&nyc, ChunkName::new(Cell(7), version), b"chunk").await.unwrap();
        store.save_head(&head(version, vec![ChunkName::new(Cell(7), version)])).await.unwrap();
    }
    let store = reopen(store, folder.path());
    assert_eq!(store.chunk(&nyc, ChunkName::new(Cell(7), 1)).await.unwrap(), None);
    assert!(
        store.chunk(&nyc, ChunkName::new(Cell(7), 2)).await.unwrap().is_some(),
        "for readers of the previous head"
    );
    assert!(store.chunk(&nyc, ChunkName::new(Cell(7), 3)).await.unwrap().is_some());
    store.save_head(&head(4, vec![ChunkName::new(Cell(7), 3)])).await.unwrap();
    let store = reopen(store, folder.path());
    assert_eq!(store.chunk(&nyc, ChunkName::new(Cell(7), 2)).await.unwrap(), None, "and not kept longer");
    store.close();
}

#[tokio::test]
async fn records_that_are_put_together_are_written_together() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let records: Vec<Vec<u8>> = (0..500_u16).map(|number| number.to_le_bytes().to_vec()).collect();
    let lanes = [LaneId(3), LaneId(7)].map(|lane| store.put_all(lane, records.clone()));
    let [first, second] = lanes;
    assert_eq!(tokio::join!(first, second), (Ok(()), Ok(())));
    let rows = store.0.state.lock().pending.as_ref().unwrap().event_rows.len();
    assert!(rows <= 2, "500 records of a lane waited for the disk in {rows} transactions");
    assert_eq!(records, self::records(store.events(), &LaneId(7).to_string()).await);
    store.close();
}

#[tokio::test]
async fn a_closed_store_refuses_events() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    store.close();
    assert_eq!(EventLog::put(&store, LaneId(0), b"late".to_vec()).await, Err(Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_put_waits_for_capacity_and_times_out() {
    let store = Store::in_memory(lanes(), clock());
    let full = vec![0; MAX_BACKLOG_BYTES];
    EventLog::put(&store, LaneId(0), full).await.unwrap();
    assert_eq!(EventLog::put(&store, LaneId(0), b"later".to_vec()).await, Err(Unavailable));
    let counting = async {
        tokio::time::sleep(BACKPRESSURE_TIMEOUT / 2).await;
        store.trim_events([(&ShardId::numbered(0), &after(1))].into_iter());
    };
    let (put, ()) = tokio::join!(EventLog::put(&store, LaneId(0), b"later".to_vec()), counting);
    assert_eq!(put, Ok(()));
    assert_eq!(read(store.events()).await, [(2, b"later".to_vec())]);
}

#[test]
fn a_folder_is_opened_by_one_process_at_a_time() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let error = open_error(folder.path());
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    store.close();
    drop(store);
    open(folder.path()).close();
}

#[test]
fn another_number_of_lanes_is_refused_and_the_error_names_both() {
    let folder = TempDir::new().unwrap();
    open(folder.path()).close();
    let error = Database::open(folder.path(), LaneCount::new(8).unwrap()).map(drop).unwrap_err();
    assert!(error.to_string().ends_with("written with --lanes 16, not 8"), "{error}");
}

#[tokio::test]
async fn lanes_double_as_far_as_waiting_events_allow() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    store.put_all(LaneId(3), vec![b"an event".to_vec()]).await.unwrap();
    store.close();
    let lanes = |count| LaneCount::new(count).unwrap();
    let open = |count| Database::open(folder.path(), lanes(count));
    let error = open(128).map(drop).unwrap_err();
    assert!(error.to_string().ends_with("written with --lanes 16, not 128"), "{error}");
    let (database, contents) = open(64).unwrap();
    assert_eq!(contents.events.len(), 1);
    let store = Store::on_disk(lanes(64), Clock::Replay, database, contents);
    let counted = Position::After(1.into());
    store.trim_events(std::iter::once((&ShardId::numbered(0), &counted)));
    store.close();
    drop(open(1_024).unwrap());
    let error = open(64).map(drop).unwrap_err();
    assert!(error.to_string().ends_with("written with --lanes 1024, not 64"), "{error}");
}

#[test]
fn another_format_version_is_refused() {
    const ABOUT: redb::TableDefinition<'_, &str, i64> = redb::TableDefinition::new("about");
    let folder = TempDir::new().unwrap();
    open(folder.path()).close();
    let database = redb::Database::open(folder.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(ABOUT).unwrap().insert("format", 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = open_error(folder.path());
    assert!(matches!(&error, OpenError::OtherVersion { found, .. } if found == "1"), "{error}");
}

#[test]
fn another_programs_database_is_refused() {
    const OTHER: redb::TableDefinition<'_, &str, &str> = redb::TableDefinition::new("other");
    let folder = TempDir::new().unwrap();
    let database = redb::Database::create(folder.path().join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(OTHER).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = open_error(folder.path());
    assert!(matches!(&error, OpenError::OtherVersion { found, .. } if found == "unknown"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_created_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for folder in [file.path().to_owned(), file.path().join("below"), "/proc/equilibrium".into()] {
        let error = open_error(&folder);
        assert!(matches!(error, OpenError::NotCreated { .. }), "{error}");
        assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    }
}

#[test]
fn an_empty_file_becomes_a_new_database() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(FILE_NAME), b"").unwrap();
    open(folder.path()).close();
}

#[test]
fn a_database_whose_creation_was_interrupted_is_made_again() {
    let folder = TempDir::new().unwrap();
    // As the library leaves it: its magic number is written last.
    let mut interrupted = vec![0; 73_728];
    interrupted[9..14].copy_from_slice(&[4, 0, 0, 0, 16]);
    fs::write(folder.path().join(FILE_NAME), &interrupted).unwrap();
    fs::write(folder.path().join("equilibrium.redb.new"), "unfinished").unwrap();
    open(folder.path()).close();
    assert!(!folder.path().join("equilibrium.redb.new").exists());

    // A page that holds anything is damage, not an interrupted creation.
    interrupted[70_000] = 1;
    fs::write(folder.path().join(FILE_NAME), &interrupted).unwrap();
    assert!(matches!(open_error(folder.path()), OpenError::Damaged { .. }));
}

#[test]
fn one_store_at_a_time_has_a_folder_even_while_its_file_is_closed() {
    let folder = TempDir::new().unwrap();
    let (database, _) = Database::open(folder.path(), lanes()).unwrap();
    let locked = Arc::clone(database.folder());
    drop(database);
    assert!(matches!(open_error(folder.path()), OpenError::InUse { .. }));
    drop(Database::reopen(&locked, lanes()).unwrap());

    // A file that was removed is not created again while the store has the folder.
    fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    let error = Database::reopen(&locked, lanes()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Inaccessible { .. } | OpenError::Damaged { .. }), "{error}");
    assert!(!folder.path().join(FILE_NAME).exists());
    drop(locked);
    open(folder.path()).close();
}

/// The bytes of a database with a row of each kind.
fn database_bytes() -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let nyc = CityId::new("nyc").unwrap();
        for number in 0..40 {
            store.append(&range(), &Entry::new(number, [7; 900])).await.unwrap();
            EventLog::put(&store, LaneId(2), vec![8; 900]).await.unwrap();
        }
        store.save_chunk(&nyc, ChunkName::new(Cell(7), 1), b"chunk").await.unwrap();
        store.save_head(&head(1, vec![ChunkName::new(Cell(7), 1)])).await.unwrap();
        store.send(LaneId(0), CityGroup(5), b"counts".to_vec()).await.unwrap();
    });
    store.close();
    drop(store);
    fs::read(folder.path().join(FILE_NAME)).unwrap()
}

/// A folder as it is behind a process that was killed, and the number of its acknowledged events.
fn killed_folder() -> (Vec<u8>, Vec<u8>, u64) {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for number in 0..60 {
            EventLog::put(&store, LaneId(2), vec![8; 300]).await.unwrap();
            store.append(&range(), &Entry::new(number, [7; 300])).await.unwrap();
        }
        EventLog::put(&store, LaneId(2), vec![8; 300]).await.unwrap();
    });
    let read = |name| fs::read(folder.path().join(name)).unwrap();
    let bytes = (read(FILE_NAME), read(ACKNOWLEDGED_NAME));
    store.close();
    (bytes.0, bytes.1, 61)
}

#[test]
fn behind_an_unclean_end_a_flipped_bit_takes_back_no_acknowledged_event() {
    let (database, acknowledged, events) = killed_folder();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(ACKNOWLEDGED_NAME), &acknowledged).unwrap();
    let is_in_use = |at: &usize| database[at / 8] != 0;
    // The library's header ends here; what follows are pages. Byte 9 names the newest commit, and has no checksum.
    let header = (0..320 * 8).filter(|at| at / 8 == 9 || at % 5 == 0);
    let rest = (320 * 8..database.len() * 8).filter(is_in_use).step_by(15_013);
    let (mut opened, mut refused, mut missing) = (0, 0, 0);
    for bit in header.filter(is_in_use).chain(rest) {
        let mut bytes = database.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(folder.path().join(FILE_NAME), bytes).unwrap();
        match Database::open(folder.path(), lanes()) {
            Ok((_, contents)) => {
                let records: Vec<_> = contents.events.iter().flat_map(|(_, row)| row).collect();
                assert_eq!((records.len() as u64, contents.ends.event), (events, events), "bit {bit}");
                assert!(records.iter().all(|record| record.data == [8; 300]), "bit {bit}");
                opened += 1;
            }
            Err(error) => {
                missing += u32::from(error.to_string().contains("were acknowledged"));
                refused += 1;
            }
        }
    }
    assert!(
        opened > 50 && refused > 50 && missing > 5,
        "{opened} opened, {refused} refused, {missing} missing"
    );
}

#[test]
fn a_removed_database_is_made_again_and_one_that_lost_its_content_is_not() {
    let folder = TempDir::new().unwrap();
    let (database, acknowledged, _) = killed_folder();
    fs::write(folder.path().join(ACKNOWLEDGED_NAME), &acknowledged).unwrap();
    fs::write(folder.path().join(FILE_NAME), vec![0; database.len()]).unwrap();
    assert!(matches!(open_error(folder.path()), OpenError::Damaged { .. }));
    fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    let store = open(folder.path());
    assert!(store.events().is_empty());
    // Without the number, the database alone counts.
    store.close();
    drop(store);
    fs::remove_file(folder.path().join(ACKNOWLEDGED_NAME)).unwrap();
    open(folder.path()).close();
}

#[test]
fn a_truncated_file_is_refused() {
    let whole = database_bytes();
    let folder = TempDir::new().unwrap();
    for length in [1, 64, 300, 4096, whole.len() / 4, whole.len() / 2] {
        fs::write(folder.path().join(FILE_NAME), &whole[..length]).unwrap();
        let error = open_error(folder.path());
        assert!(
            matches!(error, OpenError::Damaged { .. } | OpenError::OtherVersion { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_file_that_is_not_a_database_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(FILE_NAME), "not a database\n".repeat(1000)).unwrap();
    let error = open_error(folder.path());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_file_with_a_flipped_byte_is_read_correctly_or_refused(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = database_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(FILE_NAME), bytes).unwrap();
        if let Ok((_, contents)) = Database::open(folder.path(), lanes()) {
            let entries = contents.logs.load(&range(), None).entries;
            prop_assert!(entries.iter().all(|entry| *entry == vec![7; 900]));
            let records = contents.events.iter().flat_map(|(_, row)| row);
            prop_assert!(records.into_iter().all(|record| record.data == vec![8; 900]));
        }
    }
}
