//! What a process keeps, as rows of an embedded database: one file, one transaction a group.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use equilibrium_app::checkpoint::ports::CheckpointKey;
use equilibrium_app::memory::{Logs, Maps};
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::surge::map::{ChunkName, MapHead};
use equilibrium_domain::wire::Corrupt;
use redb::{
    Database, DatabaseError, Key, ReadableDatabase, ReadableTable, StorageError, TableDefinition, TableError,
};
use thiserror::Error;

use crate::record_batch::{self, Record};

/// The database's name in the folder.
pub const FILE: &str = "equilibrium.redb";

/// Changes whenever a row of an older version would be misread.
pub const FORMAT: u64 = 1;

/// Pages kept in memory. What is read was written a moment ago; everything else is in memory already.
const CACHE_BYTES: usize = 8 << 20;

type Table<K> = TableDefinition<'static, K, &'static [u8]>;

const ABOUT: TableDefinition<'_, &str, i64> = TableDefinition::new("about");
const EVENTS: Table<u64> = TableDefinition::new("events");
const COUNTS: Table<u64> = TableDefinition::new("counts");
const LANES: Table<(u16, u64)> = TableDefinition::new("lanes");
const CITIES: Table<(&str, u64)> = TableDefinition::new("cities");
const HEADS: Table<&str> = TableDefinition::new("heads");
const CHUNKS: Table<(&str, u64, u64)> = TableDefinition::new("chunks");

/// The name of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Records of the event log, by the number of the first.
    Events(u64),
    /// A record of the log of counts, by its number.
    Counts(u64),
    /// An entry of a checkpoint log.
    Entry(CheckpointKey, u64),
    /// The head of a city's map.
    Head(CityId),
    /// A chunk of a city's map.
    Chunk(CityId, ChunkName),
}

/// What has changed, row by row, since the last group; nothing where the row is let go.
#[derive(Debug, Default)]
pub struct Changes {
    /// Rows and their new content.
    pub rows: BTreeMap<Row, Option<Vec<u8>>>,
    /// How far the logs are.
    pub marks: Marks,
}

/// How far the logs are; none of it ever goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The greatest number of a record of the event log.
    pub event: u64,
    /// The greatest number of a record of the log of counts.
    pub counts: u64,
    /// When the last event arrived, in milliseconds since the epoch.
    pub arrival_ms: i64,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Contents {
    /// Checkpoint logs.
    pub logs: Logs,
    /// Maps.
    pub maps: Maps,
    /// Events that were not counted yet, by number of the first of each group.
    pub events: Vec<(u64, Vec<Record>)>,
    /// Counts that were not priced yet, by number.
    pub counts: Vec<(u64, Vec<Record>)>,
    /// How far the logs are.
    pub marks: Marks,
}

/// Why a folder cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system refuses.
    #[error("{}: cannot be read and written: {cause}", path.display())]
    Inaccessible {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Another process has it.
    #[error("{}: in use by another process; stop it, or name another folder", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Another version wrote it.
    #[error("{}: of version {found}, and this program reads {FORMAT}; name another folder", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// It was written with another number of lanes, by which every driver and rider has a place.
    #[error("{}: written with --lanes {found}, not {asked}", path.display())]
    OtherLanes {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What was asked for.
        asked: u32,
    },
    /// What is there was not written so.
    #[error("{}: damaged: {what}; restore it, or name another folder", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// A group was not written, or nobody can say whether it was.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct WriteError(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// The database, open.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    database: Database,
}

impl Disk {
    /// Opens or begins the database of a folder, which is made where there is none, and reads all of it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path, lanes: LaneCount) -> Result<(Self, Contents), OpenError> {
        fs::create_dir_all(folder)
            .map_err(|cause| OpenError::Inaccessible { path: folder.to_owned(), cause })?;
        let path = folder.join(FILE);
        let disk = Self { database: database(&path)?, path };
        let faulty = |fault: Fault| fault.of(&disk.path);
        disk.begin(lanes).map_err(faulty)?;
        let contents = disk.read().map_err(faulty)?;
        Ok((disk, contents))
    }

    /// Opens it again after a failed write.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn reopen(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { database: database(path)?, path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what has changed, all or nothing; it is on disk when this returns.
    ///
    /// # Errors
    /// [`WriteError`]: open it again and write the same once more.
    pub fn write(&self, changes: &Changes) -> Result<(), WriteError> {
        let transaction = self.database.begin_write()?;
        {
            let mut about = transaction.open_table(ABOUT)?;
            let mut events = transaction.open_table(EVENTS)?;
            let mut counts = transaction.open_table(COUNTS)?;
            let mut lanes = transaction.open_table(LANES)?;
            let mut cities = transaction.open_table(CITIES)?;
            let mut heads = transaction.open_table(HEADS)?;
            let mut chunks = transaction.open_table(CHUNKS)?;
            for (row, content) in &changes.rows {
                let content = content.as_deref();
                match row {
                    Row::Events(first) => put(&mut events, first, content)?,
                    Row::Counts(number) => put(&mut counts, number, content)?,
                    Row::Entry(CheckpointKey::Lane(lane), number) => {
                        put(&mut lanes, (lane.0, *number), content)?
                    }
                    Row::Entry(CheckpointKey::City(city), number) => {
                        put(&mut cities, (city.as_str(), *number), content)?;
                    }
                    Row::Head(city) => put(&mut heads, city.as_str(), content)?,
                    Row::Chunk(city, ChunkName { parent, version }) => {
                        put(&mut chunks, (city.as_str(), parent.0, *version), content)?;
                    }
                }
            }
            let Marks { event, counts, arrival_ms } = changes.marks;
            about.insert("event", signed(event))?;
            about.insert("counts", signed(counts))?;
            about.insert("arrival_ms", arrival_ms)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Makes sure that what is there is ours, and of this version and number of lanes.
    fn begin(&self, lanes: LaneCount) -> Result<(), Fault> {
        let transaction = self.database.begin_write()?;
        let is_new = transaction.list_tables()?.next().is_none();
        {
            let mut about = transaction.open_table(ABOUT)?;
            if is_new {
                about.insert("format", signed(FORMAT))?;
                about.insert("lanes", i64::from(lanes.get()))?;
            }
            let format = about.get("format")?.map(|format| format.value());
            if format != Some(signed(FORMAT)) {
                let found = format.map_or_else(|| "unknown".to_owned(), |format| format.to_string());
                return Err(Fault::OtherVersion(found));
            }
            let found = about.get("lanes")?.map(|lanes| lanes.value());
            let found = found.and_then(|lanes| u32::try_from(lanes).ok()).ok_or("no number of lanes")?;
            if found != lanes.get() {
                return Err(Fault::OtherLanes(found, lanes.get()));
            }
        }
        transaction.open_table(EVENTS)?;
        transaction.open_table(COUNTS)?;
        transaction.open_table(LANES)?;
        transaction.open_table(CITIES)?;
        transaction.open_table(HEADS)?;
        transaction.open_table(CHUNKS)?;
        transaction.commit()?;
        Ok(())
    }

    fn read(&self) -> Result<Contents, Fault> {
        let transaction = self.database.begin_read()?;
        let mut contents = Contents::default();
        let about = transaction.open_table(ABOUT)?;
        let mark = |name| Ok::<_, Fault>(about.get(name)?.map_or(0, |mark| mark.value()));
        contents.marks = Marks {
            event: unsigned(mark("event")?)?,
            counts: unsigned(mark("counts")?)?,
            arrival_ms: mark("arrival_ms")?,
        };
        for (table, groups) in [(EVENTS, &mut contents.events), (COUNTS, &mut contents.counts)] {
            for row in transaction.open_table(table)?.iter()? {
                let (first, group) = row?;
                let group = record_batch::decode(group.value())?;
                groups.push((first.value(), group));
            }
        }
        for row in transaction.open_table(LANES)?.iter()? {
            let (key, entry) = row?;
            let (lane, number) = key.value();
            contents.logs.restore(CheckpointKey::Lane(LaneId(lane)), number, entry.value().to_vec());
        }
        for row in transaction.open_table(CITIES)?.iter()? {
            let (key, entry) = row?;
            let (city, number) = key.value();
            contents.logs.restore(CheckpointKey::City(city_id(city)?), number, entry.value().to_vec());
        }
        for row in transaction.open_table(CHUNKS)?.iter()? {
            let (key, chunk) = row?;
            let (city, parent, version) = key.value();
            let name = ChunkName::new(Cell(parent), version);
            contents.maps.save_chunk(&city_id(city)?, name, chunk.value().to_vec());
        }
        for row in transaction.open_table(HEADS)?.iter()? {
            let (_, head) = row?;
            contents.maps.restore(MapHead::decode(head.value())?);
        }
        Ok(contents)
    }
}

fn put<'k, K: Key>(
    table: &mut redb::Table<'_, K, &'static [u8]>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    content: Option<&[u8]>,
) -> Result<(), StorageError> {
    match content {
        Some(content) => table.insert(key, content).map(drop),
        None => table.remove(key).map(drop),
    }
}

fn database(path: &Path) -> Result<Database, OpenError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder.create(path).map_err(|error| Fault::from(error).of(path))
}

fn city_id(text: &str) -> Result<CityId, Fault> {
    Ok(CityId::new(text).ok_or("a city's name is none")?)
}

/// The database's integers, which are signed for the sake of times.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> Result<u64, Fault> {
    Ok(u64::try_from(number).map_err(|_| "a negative number of records")?)
}

/// What is wrong with a database, wherever it lies.
#[derive(Debug)]
enum Fault {
    Inaccessible(io::Error),
    InUse,
    OtherVersion(String),
    OtherLanes(u32, u32),
    Damaged(String),
}

impl Fault {
    fn of(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Inaccessible(cause) => OpenError::Inaccessible { path, cause },
            Self::InUse => OpenError::InUse { path },
            Self::OtherVersion(found) => OpenError::OtherVersion { path, found },
            Self::OtherLanes(found, asked) => OpenError::OtherLanes { path, found, asked },
            Self::Damaged(what) => OpenError::Damaged { path, what },
        }
    }
}

impl From<&str> for Fault {
    fn from(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

impl From<Corrupt> for Fault {
    fn from(corrupt: Corrupt) -> Self {
        Self::Damaged(corrupt.to_string())
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::UpgradeRequired(version) => {
                Self::OtherVersion(format!("{version} of the database's own format"))
            }
            DatabaseError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        match error {
            // A file that ends too early, or is none of a database.
            StorageError::Io(error)
                if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) =>
            {
                Self::Damaged(error.to_string())
            }
            StorageError::Io(cause) => Self::Inaccessible(cause),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            // Tables of other types: another program's, or another version's.
            other => Self::OtherVersion(other.to_string()),
        }
    }
}

impl From<redb::TransactionError> for Fault {
    fn from(error: redb::TransactionError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::CommitError> for Fault {
    fn from(error: redb::CommitError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(cause) => StorageError::Io(cause).into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}
