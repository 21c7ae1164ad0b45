//! The embedded database: one file, one transaction for each batch of changes.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use equilibrium_app::checkpoint::parking;
use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_app::memory::{DayTable, Logs, Maps, OverrideTable, RecoveryTable};
use equilibrium_domain::count::lane_range::LANES_PER_RANGE;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, LaneCount};
use equilibrium_domain::recovery::RecoveryId;
use equilibrium_domain::surge::daily::{DayFigures, LocalDay};
use equilibrium_domain::surge::frozen_map::FrozenMap;
use equilibrium_domain::surge::history::HistoryKey;
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use redb::{
    Key, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};
use thiserror::Error;

use crate::confirmed_quotes::ConfirmedQuotes;
use crate::data_folder::{DataFolder, FILE_NAME, ignore_absence};
use crate::open_error::{OpenError, OpenErrorKind};
use crate::override_rows;
use crate::past_tables::{HISTORY, PastReader, SEGMENTS, put_history, read_segment_row};
use crate::policies::StoredPolicies;
use crate::record_batch::{self, StoredRecord};
use crate::recoveries;

/// Increases whenever a program would misread rows of an older version.
pub const FORMAT_VERSION: u64 = 5;

/// Size of the page cache. Rows are read only when the database is opened: 8 MiB hold the pages of recent writes.
const CACHE_BYTES: usize = 8 << 20;

type Bytes = &'static [u8];

const METADATA: TableDefinition<'_, &str, i64> = TableDefinition::new("about");
const EVENTS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("events");
const COUNTS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("counts");
const ENTRIES: TableDefinition<'_, (&str, u64), Bytes> = TableDefinition::new("entries");
const SNAPSHOTS: TableDefinition<'_, (&str, u64), Bytes> = TableDefinition::new("snapshots");
const HEADS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("heads");
const FROZEN: TableDefinition<'_, (&str, i64), Bytes> = TableDefinition::new("frozen");
const OVERRIDES: TableDefinition<'_, (&str, &str), Bytes> = TableDefinition::new("overrides");
const OVERRIDE_COUNTS: TableDefinition<'_, &str, Bytes> = TableDefinition::new("override_counts");
const QUOTES: TableDefinition<'_, u128, Bytes> = TableDefinition::new("quotes");
const RECOVERIES: TableDefinition<'_, &str, Bytes> = TableDefinition::new("recoveries");
/// By city and the number of the day.
const DAYS: TableDefinition<'_, (&str, i32), Bytes> = TableDefinition::new("days");
const POLICIES: TableDefinition<'_, (&str, u64), Bytes> = TableDefinition::new("policies");
const CITY_FILES: TableDefinition<'_, &str, Bytes> = TableDefinition::new("city_files");
const CHUNKS: TableDefinition<'_, (&str, u64, u64), Bytes> = TableDefinition::new("chunks");

/// The key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Records of the event log, by the number of the first.
    Events(u64),
    /// A record of the counts log, by its number.
    Counts(u64),
    /// An entry of a checkpoint log.
    Entry(CheckpointKey, u64),
    /// The snapshot before an entry of a checkpoint log.
    Snapshot(CheckpointKey, u64),
    /// A packed segment of a checkpoint log, by its first entry.
    Segment(CheckpointKey, u64),
    /// An item of a city's history.
    History(CityId, HistoryKey),
    /// The head of a city's map.
    Head(CityId),
    /// A chunk of a city's map.
    Chunk(CityId, ChunkName),
    /// A city's map at the start of a freeze, in milliseconds since the epoch.
    Frozen(CityId, i64),
    /// An override, by its id.
    Override(CityId, Arc<str>),
    /// How many overrides a city has had, and how often they have changed.
    OverrideCounts(CityId),
    /// A confirmed quote, by its id.
    Quote(u128),
    /// A recovery, by its name.
    Recovery(RecoveryId),
    /// The figures of a city's day.
    Day(CityId, LocalDay),
    /// A version of a city's policy.
    Policy(CityId, u64),
    /// The policy of a city that the folder last took from a city file.
    CityFile(CityId),
}

/// The changes of one transaction.
#[derive(Debug, Default)]
pub struct Changes {
    /// Rows and their new content; `None` removes a row.
    pub rows: BTreeMap<Row, Option<Vec<u8>>>,
    /// The ends of the logs.
    pub ends: LogEnds,
}

/// The ends of the logs; no value ever decreases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnds {
    /// The greatest number of a record of the event log.
    pub event: u64,
    /// The greatest number of a record of the counts log.
    pub counts: u64,
    /// Arrival of the last event, in milliseconds since the Unix epoch.
    pub arrival_ms: i64,
}

/// The content of a database.
#[derive(Debug, Default)]
pub struct Contents {
    /// Checkpoint logs.
    pub logs: Logs,
    /// Maps.
    pub maps: Maps,
    /// The policies of cities.
    pub policies: StoredPolicies,
    /// Their overrides.
    pub overrides: OverrideTable,
    /// Confirmed quotes.
    pub quotes: ConfirmedQuotes,
    /// Recoveries.
    pub recoveries: RecoveryTable,
    /// The figures of days.
    pub days: DayTable,
    /// Events that were not counted yet, by the number of the first of each row.
    pub events: Vec<(u64, Vec<StoredRecord>)>,
    /// Counts that were not priced yet, by number.
    pub counts: Vec<(u64, Vec<StoredRecord>)>,
    /// The ends of the logs.
    pub ends: LogEnds,
}

/// A write failed, and may or may not have happened.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct WriteError(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// A database that lacks acknowledged events.
fn missing_events(acknowledged: u64, event: u64) -> OpenErrorKind {
    let what = format!("it ends with event {event}, but events up to {acknowledged} were acknowledged");
    OpenErrorKind::Damaged(what)
}

/// An open database.
#[derive(Debug)]
pub struct Database {
    folder: Arc<DataFolder>,
    redb: Arc<redb::Database>,
}

impl Database {
    /// Opens the database of a folder and reads all of it; creates folder and database if they do not exist. With more
    /// lanes than the database was written with, these double: what is in its logs is divided once its lanes are loaded.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path, lanes: LaneCount) -> Result<(Self, Contents), OpenError> {
        let folder = Arc::new(DataFolder::lock(folder)?);
        let path = folder.path();
        let failed = |kind: OpenErrorKind| kind.at(path);
        if folder.is_without_database().map_err(|cause| failed(OpenErrorKind::Inaccessible(cause)))? {
            create(&folder, lanes).map_err(failed)?;
        }
        let redb = open_file(path).map_err(failed)?;
        let found = read_lanes(&redb).map_err(failed)?;
        let contents = read_whole(&redb, &folder).map_err(failed)?;
        double(&redb, (found, lanes), &contents).and_then(|()| check(&redb, lanes)).map_err(failed)?;
        Ok((Self { folder, redb: Arc::new(redb) }, contents))
    }

    /// Opens the database of a folder that has one, and reads all of it. Returns its number of lanes with it.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is created.
    pub fn open_existing(folder: &Path) -> Result<(Self, LaneCount, Contents), OpenError> {
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            return Err(OpenError::NoDatabase { path });
        }
        let folder = Arc::new(DataFolder::lock(folder)?);
        let failed = |kind: OpenErrorKind| kind.at(&path);
        let redb = open_file(&path).map_err(failed)?;
        let lanes = read_lanes(&redb).map_err(failed)?;
        let lanes = LaneCount::new(lanes).ok_or("an invalid number of lanes");
        let lanes = lanes.map_err(|what| failed(what.into()))?;
        let contents = read_whole(&redb, &folder).map_err(failed)?;
        Ok((Self { folder, redb: Arc::new(redb) }, lanes, contents))
    }

    /// Opens the database of a folder again after a failed write.
    ///
    /// # Errors
    /// [`OpenError`], also if the file is missing or another one: nothing is created.
    pub fn reopen(folder: &Arc<DataFolder>, lanes: LaneCount) -> Result<Self, OpenError> {
        let failed = |kind: OpenErrorKind| kind.at(folder.path());
        let redb = open_file(folder.path()).map_err(failed)?;
        check(&redb, lanes).map_err(failed)?;
        Ok(Self { folder: Arc::clone(folder), redb: Arc::new(redb) })
    }

    /// The folder, which stays locked while a handle to it exists.
    #[must_use]
    pub fn folder(&self) -> &Arc<DataFolder> {
        &self.folder
    }

    /// Reads of what the database keeps of the past.
    #[must_use]
    pub fn past(&self) -> PastReader {
        PastReader(Arc::clone(&self.redb))
    }

    /// Writes all changes or none; they are on disk when this returns.
    ///
    /// # Errors
    /// [`WriteError`]: open the database again and write the same changes.
    pub fn write(&self, changes: &Changes) -> Result<(), WriteError> {
        let transaction = self.redb.begin_write()?;
        {
            let mut metadata = transaction.open_table(METADATA)?;
            let mut tables = Tables::open(&transaction)?;
            for (row, content) in &changes.rows {
                tables.put(row, content.as_deref())?;
            }
            let LogEnds { event, counts, arrival_ms } = changes.ends;
            metadata.insert("event", signed(event))?;
            metadata.insert("counts", signed(counts))?;
            metadata.insert("arrival_ms", arrival_ms)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Creates the database under another name, and moves it to its own when it is whole: a process that is killed
/// meanwhile leaves no database behind.
fn create(folder: &DataFolder, lanes: LaneCount) -> Result<(), OpenErrorKind> {
    let unfinished = folder.unfinished_path();
    let inaccessible = OpenErrorKind::Inaccessible;
    fs::remove_file(&unfinished).or_else(ignore_absence).map_err(inaccessible)?;
    let redb = builder().create(&unfinished)?;
    let transaction = redb.begin_write()?;
    {
        let mut metadata = transaction.open_table(METADATA)?;
        metadata.insert("format", signed(FORMAT_VERSION))?;
        metadata.insert("lanes", i64::from(lanes.get()))?;
    }
    Tables::open(&transaction)?;
    transaction.commit()?;
    drop(redb);
    folder.finish().map_err(inaccessible)
}

/// Has the database be one of `lanes`, if that is more than it was written with, and the events that were not counted yet
/// can be: those of a record must stay in one range of lanes.
fn double(
    redb: &redb::Database,
    (found, lanes): (u32, LaneCount),
    contents: &Contents,
) -> Result<(), OpenErrorKind> {
    let stays_in_range = lanes.get() / LANES_PER_RANGE <= found;
    if found >= lanes.get() || !stays_in_range && !contents.events.is_empty() {
        return Ok(());
    }
    if let Some(log) = unfinished_log(&contents.logs) {
        return Err(OpenErrorKind::ParkedLog(log.clone()));
    }
    let transaction = redb.begin_write()?;
    transaction.open_table(METADATA)?.insert("lanes", i64::from(lanes.get()))?;
    Ok(transaction.commit()?)
}

/// A log of lanes that is parked, or for which records wait.
fn unfinished_log(logs: &Logs) -> Option<&CheckpointKey> {
    let waits = |key: CheckpointKey| !parking::waiting_in(&logs.load(&key, None).entries).is_empty();
    let is_unfinished = |key: &&CheckpointKey| {
        matches!(key, CheckpointKey::Lanes(_))
            && (parking::is_parked(&logs.load(key, None).entries) || key.parked_records().is_some_and(waits))
    };
    logs.keys().find(is_unfinished)
}

/// Checks the version and the number of lanes.
fn check(redb: &redb::Database, lanes: LaneCount) -> Result<(), OpenErrorKind> {
    let found = read_lanes(redb)?;
    if found != lanes.get() {
        return Err(OpenErrorKind::OtherLanes { found, requested: lanes.get() });
    }
    Ok(())
}

/// Checks the version and returns the number of lanes.
fn read_lanes(redb: &redb::Database) -> Result<u32, OpenErrorKind> {
    let transaction = redb.begin_read()?;
    let metadata = match transaction.open_table(METADATA) {
        Err(TableError::TableDoesNotExist(_)) => return Err(OpenErrorKind::OtherVersion("unknown".into())),
        metadata => metadata?,
    };
    let format = metadata.get("format")?.map(|format| format.value());
    if format != Some(signed(FORMAT_VERSION)) {
        let found = format.map_or_else(|| "unknown".to_owned(), |format| format.to_string());
        return Err(OpenErrorKind::OtherVersion(found));
    }
    let found = metadata.get("lanes")?.map(|lanes| lanes.value());
    Ok(found.and_then(|lanes| u32::try_from(lanes).ok()).ok_or("no number of lanes")?)
}

/// Reads everything, which ends with the last acknowledged event or a later one.
fn read_whole(redb: &redb::Database, folder: &DataFolder) -> Result<Contents, OpenErrorKind> {
    let contents = read(redb)?;
    let acknowledged = folder.acknowledged().number();
    if acknowledged > contents.ends.event {
        return Err(missing_events(acknowledged, contents.ends.event));
    }
    Ok(contents)
}

fn read(redb: &redb::Database) -> Result<Contents, OpenErrorKind> {
    let transaction = redb.begin_read()?;
    let (logs, maps) = (read_logs(&transaction)?, read_maps(&transaction)?);
    let (policies, overrides) = (read_policies(&transaction)?, read_overrides(&transaction)?);
    let (quotes, days) = (read_quotes(&transaction)?, read_days(&transaction)?);
    let recoveries = read_recoveries(&transaction)?;
    let (events, counts) = (read_records(&transaction, EVENTS)?, read_records(&transaction, COUNTS)?);
    Ok(Contents {
        logs,
        maps,
        policies,
        overrides,
        quotes,
        recoveries,
        days,
        events,
        counts,
        ends: read_ends(&transaction)?,
    })
}

/// The tables whose rows [`Row`] names.
struct Tables<'a> {
    events: Table<'a, u64, Bytes>,
    counts: Table<'a, u64, Bytes>,
    entries: Table<'a, (&'static str, u64), Bytes>,
    snapshots: Table<'a, (&'static str, u64), Bytes>,
    segments: Table<'a, (&'static str, u64), Bytes>,
    history: Table<'a, (&'static str, i64, u32), Bytes>,
    heads: Table<'a, &'static str, Bytes>,
    chunks: Table<'a, (&'static str, u64, u64), Bytes>,
    frozen: Table<'a, (&'static str, i64), Bytes>,
    overrides: Table<'a, (&'static str, &'static str), Bytes>,
    override_counts: Table<'a, &'static str, Bytes>,
    quotes: Table<'a, u128, Bytes>,
    recoveries: Table<'a, &'static str, Bytes>,
    days: Table<'a, (&'static str, i32), Bytes>,
    policies: Table<'a, (&'static str, u64), Bytes>,
    city_files: Table<'a, &'static str, Bytes>,
}

impl<'a> Tables<'a> {
    /// Opens the tables, creating those that do not exist.
    fn open(transaction: &'a WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            events: transaction.open_table(EVENTS)?,
            counts: transaction.open_table(COUNTS)?,
            entries: transaction.open_table(ENTRIES)?,
            snapshots: transaction.open_table(SNAPSHOTS)?,
            segments: transaction.open_table(SEGMENTS)?,
            history: transaction.open_table(HISTORY)?,
            heads: transaction.open_table(HEADS)?,
            chunks: transaction.open_table(CHUNKS)?,
            frozen: transaction.open_table(FROZEN)?,
            overrides: transaction.open_table(OVERRIDES)?,
            override_counts: transaction.open_table(OVERRIDE_COUNTS)?,
            quotes: transaction.open_table(QUOTES)?,
            recoveries: transaction.open_table(RECOVERIES)?,
            days: transaction.open_table(DAYS)?,
            policies: transaction.open_table(POLICIES)?,
            city_files: transaction.open_table(CITY_FILES)?,
        })
    }

    fn put(&mut self, row: &Row, content: Option<&[u8]>) -> Result<(), StorageError> {
        match row {
            Row::Events(first) => put(&mut self.events, first, content),
            Row::Counts(number) => put(&mut self.counts, number, content),
            Row::Entry(key, number) => put(&mut self.entries, (key.to_string().as_str(), *number), content),
            Row::Snapshot(key, number) => {
                put(&mut self.snapshots, (key.to_string().as_str(), *number), content)
            }
            Row::Segment(key, first) => put(&mut self.segments, (key.to_string().as_str(), *first), content),
            Row::History(city, key) => match content {
                Some(item) => put_history(&mut self.history, city.as_str(), *key, item),
                None => self.history.remove((city.as_str(), key.at, key.part)).map(drop),
            },
            Row::Head(city) => put(&mut self.heads, city.as_str(), content),
            Row::Chunk(city, ChunkName { parent, version }) => {
                put(&mut self.chunks, (city.as_str(), parent.0, *version), content)
            }
            Row::Frozen(city, start_ms) => put(&mut self.frozen, (city.as_str(), *start_ms), content),
            Row::Override(city, id) => put(&mut self.overrides, (city.as_str(), &**id), content),
            Row::OverrideCounts(city) => put(&mut self.override_counts, city.as_str(), content),
            Row::Quote(id) => put(&mut self.quotes, id, content),
            Row::Recovery(id) => put(&mut self.recoveries, id.as_str(), content),
            Row::Day(city, day) => put(&mut self.days, (city.as_str(), day.number()), content),
            Row::Policy(city, version) => put(&mut self.policies, (city.as_str(), *version), content),
            Row::CityFile(city) => put(&mut self.city_files, city.as_str(), content),
        }
    }
}

fn put<'k, K: Key>(
    table: &mut Table<'_, K, Bytes>,
    key: impl Borrow<K::SelfType<'k>>,
    content: Option<&[u8]>,
) -> Result<(), StorageError> {
    match content {
        Some(content) => table.insert(key, content).map(drop),
        None => table.remove(key).map(drop),
    }
}

fn read_ends(transaction: &ReadTransaction) -> Result<LogEnds, OpenErrorKind> {
    let metadata = transaction.open_table(METADATA)?;
    let end = |name| Ok::<_, OpenErrorKind>(metadata.get(name)?.map_or(0, |end| end.value()));
    Ok(LogEnds {
        event: unsigned(end("event")?)?,
        counts: unsigned(end("counts")?)?,
        arrival_ms: end("arrival_ms")?,
    })
}

fn read_records(
    transaction: &ReadTransaction,
    table: TableDefinition<'_, u64, Bytes>,
) -> Result<Vec<(u64, Vec<StoredRecord>)>, OpenErrorKind> {
    let mut rows = Vec::new();
    for row in transaction.open_table(table)?.iter()? {
        let (first, records) = row?;
        rows.push((first.value(), record_batch::decode(records.value())?));
    }
    Ok(rows)
}

fn read_logs(transaction: &ReadTransaction) -> Result<Logs, OpenErrorKind> {
    let mut logs = Logs::keeping_past();
    let log_key = |text: &str| CheckpointKey::parse(text).ok_or("an invalid key of a checkpoint log");
    for row in transaction.open_table(ENTRIES)?.iter()? {
        let (key, entry) = row?;
        let (key, number) = key.value();
        logs.restore(log_key(key)?, number, entry.value().to_vec());
    }
    for row in transaction.open_table(SNAPSHOTS)?.iter()? {
        let (key, snapshot) = row?;
        let (key, number) = key.value();
        logs.restore_snapshot(&log_key(key)?, number, snapshot.value().to_vec());
    }
    for row in transaction.open_table(SEGMENTS)?.iter()? {
        let (key, segment) = row?;
        let (key, first) = key.value();
        let (as_of, _) = read_segment_row(segment.value()).ok_or("an invalid segment")?;
        logs.restore_segment(&log_key(key)?, first, as_of);
    }
    Ok(logs)
}

fn read_maps(transaction: &ReadTransaction) -> Result<Maps, OpenErrorKind> {
    let mut maps = Maps::default();
    for row in transaction.open_table(CHUNKS)?.iter()? {
        let (key, chunk) = row?;
        let (city, parent, version) = key.value();
        maps.save_chunk(&city_id(city)?, ChunkName::new(Cell(parent), version), chunk.value().to_vec());
    }
    for row in transaction.open_table(HEADS)?.iter()? {
        let (_, head) = row?;
        maps.restore(MapHead::decode(head.value())?);
    }
    for row in transaction.open_table(FROZEN)?.iter()? {
        let (key, map) = row?;
        let (city, start_ms) = key.value();
        maps.save_frozen(&city_id(city)?, start_ms, &FrozenMap::decode(map.value())?);
    }
    Ok(maps)
}

fn read_quotes(transaction: &ReadTransaction) -> Result<ConfirmedQuotes, OpenErrorKind> {
    let mut quotes = ConfirmedQuotes::default();
    for row in transaction.open_table(QUOTES)?.iter()? {
        let (id, row) = row?;
        quotes.restore(id.value(), row.value())?;
    }
    Ok(quotes)
}

/// Folders of earlier versions have none.
fn read_recoveries(transaction: &ReadTransaction) -> Result<RecoveryTable, OpenErrorKind> {
    let mut recoveries = RecoveryTable::default();
    for row in transaction.open_table(RECOVERIES)?.iter()? {
        recoveries.restore(recoveries::decode(row?.1.value())?);
    }
    Ok(recoveries)
}

fn read_days(transaction: &ReadTransaction) -> Result<DayTable, OpenErrorKind> {
    let mut days = DayTable::default();
    for row in existing(transaction.open_table(DAYS))?.iter().map(ReadableTable::iter) {
        for row in row? {
            let (key, figures) = row?;
            let (city, number) = key.value();
            let day = LocalDay::new(number).ok_or("an invalid day")?;
            days.save(&city_id(city)?, day, &DayFigures::decode(figures.value())?);
        }
    }
    Ok(days)
}

fn read_overrides(transaction: &ReadTransaction) -> Result<OverrideTable, OpenErrorKind> {
    let (mut counts, mut found) = (Vec::new(), Vec::new());
    for row in transaction.open_table(OVERRIDE_COUNTS)?.iter()? {
        let (city, row) = row?;
        counts.push((city_id(city.value())?, override_rows::decode_counts(row.value())?));
    }
    for row in transaction.open_table(OVERRIDES)?.iter()? {
        let (key, row) = row?;
        found.push((city_id(key.value().0)?, override_rows::decode(row.value())?));
    }
    Ok(OverrideTable::restored(counts, found))
}

/// Folders of earlier versions have no policies.
fn read_policies(transaction: &ReadTransaction) -> Result<StoredPolicies, OpenErrorKind> {
    let mut policies = StoredPolicies::default();
    for row in existing(transaction.open_table(POLICIES))?.iter().map(ReadableTable::iter) {
        for row in row? {
            let (key, version) = row?;
            let (city, number) = key.value();
            policies.restore(&city_id(city)?, number, version.value())?;
        }
    }
    for row in existing(transaction.open_table(CITY_FILES))?.iter().map(ReadableTable::iter) {
        for row in row? {
            let (city, document) = row?;
            policies.restore_file(city_id(city.value())?, document.value());
        }
    }
    Ok(policies)
}

/// The table, if it exists.
fn existing<T>(table: Result<T, TableError>) -> Result<Option<T>, TableError> {
    match table {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => table.map(Some),
    }
}

fn open_file(path: &Path) -> Result<redb::Database, OpenErrorKind> {
    Ok(builder().set_check_integrity_on_open(true).open(path)?)
}

fn builder() -> redb::Builder {
    let mut builder = redb::Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn city_id(text: &str) -> Result<CityId, OpenErrorKind> {
    Ok(CityId::new(text).ok_or("an invalid city id")?)
}

/// `number` as the metadata table stores it; its values are signed because times are.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> Result<u64, OpenErrorKind> {
    Ok(u64::try_from(number).map_err(|_| "a negative record number")?)
}
