//! A city's surge map in its stored form, a head and chunks, and the changes from tick to tick.
//!
//! Chunks are immutable: the name of a chunk contains the version at which one of its rows last changed, and the head
//! names the chunks of its version. A reader of a head can read every chunk that it names.

use crate::geo::locate::Cell;
use crate::id::{CityId, ProductId};
use crate::policy::Published;
use crate::surge::feed_guard::Feed;
use crate::wire::products::{read_products, write_products};
use crate::wire::{self, Corrupt, Kind, put_bytes, put_u64_le, put_varint_i64, put_varint_u64};

/// The finest resolution of H3.
const MAX_RESOLUTION: u64 = 15;

/// A reported cell and product (CONTRACT §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The index of the product in the map's list.
    pub product: u8,
    /// The cell.
    pub cell: Cell,
    /// Riders in the cell itself.
    pub demand: u32,
    /// Drivers in the cell itself.
    pub supply: u32,
    /// The published multiplier, before limits.
    pub published: Published,
}

/// The name of a chunk. A chunk is immutable: another version is another chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkName {
    /// The cell whose descendants the chunk holds.
    pub parent: Cell,
    /// The version at which one of its rows last changed.
    pub version: u64,
}

impl ChunkName {
    /// The chunk of `parent` at `version`.
    #[must_use]
    pub fn new(parent: Cell, version: u64) -> Self {
        Self { parent, version }
    }
}

/// A change of a published multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The new row, which the map does not list if the cell is no longer reported.
    pub row: Row,
    /// The published multiplier before, in hundredths.
    pub before: u16,
}

/// A tick that has closed, or the last of a run of ticks with the same rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedTick {
    /// The first tick of the run, in milliseconds since the epoch; mostly the same as [`Self::at`].
    pub from: i64,
    /// The tick, in milliseconds since the epoch.
    pub at: i64,
    /// Milliseconds from tick to tick.
    pub tick_ms: i64,
    /// The map's version at this tick: the number of ticks closed so far.
    pub version: u64,
    /// The number of lanes that had reported the tick when it closed.
    pub lanes_reported: u32,
    /// The state of the feed.
    pub feed: Feed,
    /// The rows reported, ordered by product name and cell.
    pub rows: Vec<Row>,
    /// The published multipliers that changed since the previous tick.
    pub changes: Vec<Change>,
    /// The cells that are reported and were not at the previous tick, and those that were and are not.
    pub edges: Vec<Row>,
}

impl ClosedTick {
    /// The ticks of the run, in milliseconds since the epoch.
    pub fn instants(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, tick_ms) = (self.from, self.tick_ms);
        (0..=(self.at - from) / tick_ms).map(move |number| from + number * tick_ms)
    }
}

/// The head of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapHead {
    /// The city.
    pub city: CityId,
    /// The arrival of the first counts in the city's log, in milliseconds since the epoch: it distinguishes the versions of this
    /// store from those of a store that was emptied.
    pub began_ms: i64,
    /// The number of ticks closed so far.
    pub version: u64,
    /// The newest closed tick, in milliseconds since the epoch.
    pub as_of: i64,
    /// The number of lanes that had reported it when it closed.
    pub lanes_reported: u32,
    /// The number of lanes.
    pub lanes: u32,
    /// The state of the feed at this tick.
    pub feed: Feed,
    /// H3 resolution of the cells.
    pub resolution: u8,
    /// The products, by the `product` of a row.
    pub products: Vec<ProductId>,
    /// The chunks of this version.
    pub chunks: Vec<ChunkName>,
}

impl MapHead {
    /// Encodes the head as it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.chunks.len() * 12);
        wire::begin(&mut out, Kind::MapHead);
        put_bytes(&mut out, self.city.as_str().as_bytes());
        put_varint_i64(&mut out, self.began_ms);
        put_varint_u64(&mut out, self.version);
        put_varint_i64(&mut out, self.as_of);
        put_varint_u64(&mut out, u64::from(self.lanes_reported));
        put_varint_u64(&mut out, u64::from(self.lanes));
        put_varint_u64(&mut out, u64::from(self.feed == Feed::Suspect));
        put_varint_u64(&mut out, u64::from(self.resolution));
        write_products(&mut out, &self.products);
        for ChunkName { parent, version } in &self.chunks {
            put_u64_le(&mut out, parent.0);
            put_varint_u64(&mut out, *version);
        }
        wire::seal(&mut out);
        out
    }

    /// Decodes bytes that [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if `bytes` are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::MapHead)?;
        let city = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let began_ms = input.instant("an arrival time")?;
        let version = input.varint_u64("a version")?;
        let as_of = input.instant("a tick")?;
        let lanes_reported = input.varint_u32("lanes reported")?;
        let lanes = input.varint_u32("lanes")?;
        let is_suspect = input.varint_up_to(1, "a feed")? == 1;
        let feed = if is_suspect { Feed::Suspect } else { Feed::Ok };
        let resolution = input.varint_up_to(MAX_RESOLUTION, "a resolution")?;
        let resolution = u8::try_from(resolution).expect("at most 4 bits");
        let products = read_products(&mut input)?;
        let mut chunks = Vec::new();
        while !input.is_done() {
            let parent = Cell(input.u64_le("a chunk's parent")?);
            chunks.push(ChunkName { parent, version: input.varint_u64("a chunk's version")? });
        }
        Ok(Self { city, began_ms, version, as_of, lanes_reported, lanes, feed, resolution, products, chunks })
    }
}

/// Encodes a chunk: the rows of the cells below one parent, ordered by product and cell.
#[must_use]
pub fn encode_chunk(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + rows.len() * 8);
    wire::begin(&mut out, Kind::MapChunk);
    put_rows(&mut out, rows);
    wire::seal(&mut out);
    out
}

/// Decodes bytes that [`encode_chunk`] wrote.
///
/// # Errors
/// [`Corrupt`] if `bytes` are anything else.
pub fn decode_chunk(bytes: &[u8]) -> Result<Vec<Row>, Corrupt> {
    let mut input = wire::open(bytes, Kind::MapChunk)?;
    let mut rows = Vec::new();
    let mut last = 0_u64;
    while !input.is_done() {
        rows.push(read_row(&mut input, &mut last)?);
    }
    Ok(rows)
}

/// The largest record of changes, in bytes: with its partition key it stays within the mebibyte that every stream takes
/// (Kinesis API, `PutRecords`).
pub const MAX_CHANGES_RECORD_BYTES: usize = 1_000_000;

/// An upper bound of the bytes of a change: its product, cell, demand, supply and two multipliers.
const MAX_CHANGE_BYTES: usize = 1 + 10 + 5 + 5 + 3 + 3;

/// Changes of one tick, as in a record of the change stream. A tick with very many changes has several records, each with
/// some of them: every change is absolute, so a record may be repeated, and no record needs another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickChanges {
    /// The city.
    pub city: CityId,
    /// The tick, in milliseconds since the epoch.
    pub at: i64,
    /// The map's version at this tick.
    pub version: u64,
    /// The products, by the `product` of a row.
    pub products: Vec<ProductId>,
    /// The changes, ordered by product name and cell.
    pub changes: Vec<Change>,
}

impl TickChanges {
    /// Encodes the changes as the smallest number of records of at most [`MAX_CHANGES_RECORD_BYTES`].
    #[must_use]
    pub fn records(&self) -> Vec<Vec<u8>> {
        let mut head = Vec::with_capacity(64);
        wire::begin(&mut head, Kind::Changes);
        put_bytes(&mut head, self.city.as_str().as_bytes());
        put_varint_i64(&mut head, self.at);
        put_varint_u64(&mut head, self.version);
        write_products(&mut head, &self.products);

        let mut records = Vec::new();
        let mut record = head.clone();
        let mut last = 0;
        for Change { row, before } in &self.changes {
            if record.len() + MAX_CHANGE_BYTES + wire::SEAL > MAX_CHANGES_RECORD_BYTES {
                wire::seal(&mut record);
                records.push(std::mem::replace(&mut record, head.clone()));
                last = 0;
            }
            put_row(&mut record, row, &mut last);
            put_varint_u64(&mut record, u64::from(*before));
        }
        wire::seal(&mut record);
        records.push(record);
        records
    }

    /// Decodes one of the records that [`Self::records`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if `bytes` are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::Changes)?;
        let city = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let at = input.instant("a tick")?;
        let version = input.varint_u64("a version")?;
        let products = read_products(&mut input)?;
        let mut changes = Vec::new();
        let mut last = 0;
        while !input.is_done() {
            let row = read_row(&mut input, &mut last)?;
            let before = input.varint_up_to(u64::from(u16::MAX), "a published multiplier")?;
            changes.push(Change { row, before: u16::try_from(before).expect("at most 16 bits") });
        }
        Ok(Self { city, at, version, products, changes })
    }
}

pub(super) fn put_rows(out: &mut Vec<u8>, rows: &[Row]) {
    let mut last = 0;
    for row in rows {
        put_row(out, row, &mut last);
    }
}

fn put_row(out: &mut Vec<u8>, row: &Row, last: &mut u64) {
    out.push(row.product);
    put_varint_i64(out, row.cell.0.wrapping_sub(*last).cast_signed());
    put_varint_u64(out, u64::from(row.demand));
    put_varint_u64(out, u64::from(row.supply));
    put_varint_u64(out, u64::from(row.published.hundredths()));
    *last = row.cell.0;
}

pub(super) fn read_row(input: &mut wire::Reader<'_>, last: &mut u64) -> Result<Row, Corrupt> {
    let product = input.byte("a product")?;
    *last = last.wrapping_add(input.varint_i64("a cell")?.cast_unsigned());
    let demand = input.varint_u32("a demand")?;
    let supply = input.varint_u32("a supply")?;
    let hundredths = input.varint_up_to(u64::from(u16::MAX), "a published multiplier")?;
    let published = u16::try_from(hundredths).ok().and_then(Published::new);
    let published = published.ok_or(input.invalid("a published multiplier"))?;
    Ok(Row { product, cell: Cell(*last), demand, supply, published })
}

#[cfg(test)]
mod tests;
