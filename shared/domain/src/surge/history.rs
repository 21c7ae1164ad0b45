//! The history of a city's multipliers: what changed at each tick, as it is kept for 90 days (CONTRACT §10).
//!
//! An item holds the changes of some ticks that closed together. It is absolute: the same ticks make the same item.

use h3o::LatLng;

use crate::geo::locate::Cell;
use crate::id::ProductId;
use crate::policy::{Limits, Multiplier, Policy, Published};
use crate::surge::map::{ClosedTick, MapHead, Row};
use crate::wire::products::{read_products, write_products};
use crate::wire::{self, Corrupt, Kind, put_varint_i64, put_varint_u64};

/// The largest item, in bytes: within the limit of an item of DynamoDB, 400 KB with names and keys.
pub const MAX_ITEM_BYTES: usize = 350_000;

/// An upper bound of the bytes of a row, and of the head of a tick.
const MAX_ROW_BYTES: usize = 40;

/// The key of an item, within its city.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HistoryKey {
    /// The last tick of the item, in milliseconds since the epoch.
    pub at: i64,
    /// Its number among the items whose last tick this is.
    pub part: u32,
}

/// A cell whose reported multiplier changed, which appeared or which ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The index of the product in the item's list.
    pub product: u8,
    /// The cell.
    pub cell: Cell,
    /// Riders in the cell itself.
    pub demand: u32,
    /// Drivers in the cell itself.
    pub supply: u32,
    /// The multiplier that was reported.
    pub multiplier: Multiplier,
}

/// The rows of a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryTick {
    /// The tick, in milliseconds since the epoch.
    pub at: i64,
    /// The map's version at this tick.
    pub version: u64,
    /// The rows, ordered by product name and cell.
    pub rows: Vec<HistoryRow>,
}

/// An item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryItem {
    /// The products, by the `product` of a row.
    pub products: Vec<ProductId>,
    /// The ticks, ascending.
    pub ticks: Vec<HistoryTick>,
}

/// The limits of the policy and of the zone of a cell's centre.
#[must_use]
pub fn limits_of(policy: &Policy, cell: Cell) -> Limits {
    let centre = cell.h3().filter(|_| !policy.zones.is_empty()).map(LatLng::from);
    let in_zone =
        |centre: LatLng| policy.zones.iter().find(|zone| zone.polygon.contains(centre.lng(), centre.lat()));
    match centre.and_then(in_zone) {
        Some(zone) => policy.limits.tightened(zone.floor, zone.cap),
        None => policy.limits,
    }
}

/// The items of ticks that closed together, encoded, of a map: one, where it is not too large. The products of the rows are those
/// of the map.
#[must_use]
pub fn items(map: &MapHead, ticks: &[HistoryTick]) -> Vec<(HistoryKey, Vec<u8>)> {
    let mut items: Vec<(HistoryKey, Vec<u8>)> = Vec::new();
    let mut item: Option<ItemWriter> = None;
    for tick in ticks {
        for row in &tick.rows {
            let writer = item.get_or_insert_with(|| ItemWriter::new(map));
            writer.put(tick, row);
            if writer.bytes.len() + MAX_ROW_BYTES + wire::SEAL > MAX_ITEM_BYTES {
                item.take().into_iter().for_each(|item| item.end(&mut items));
            }
        }
    }
    item.into_iter().for_each(|item| item.end(&mut items));
    items
}

impl ClosedTick {
    /// The rows of the changes, appearances and ends, ordered by product name and cell, and the published multipliers before
    /// of those that neither appeared nor ended.
    #[must_use]
    pub fn moved_rows(&self, products: &[ProductId]) -> Vec<(Row, Option<Published>)> {
        let changed = self.changes.iter().map(|change| (change.row, Published::new(change.before)));
        let mut rows: Vec<_> = self.edges.iter().map(|row| (*row, None)).chain(changed).collect();
        // Stable: of a row that changed and is an edge the edge is kept.
        rows.sort_by_key(|(row, _)| (&products[usize::from(row.product)], row.cell));
        rows.dedup_by_key(|(row, _)| (row.product, row.cell));
        rows
    }
}

/// An item that is being written: each row as the difference from the one before.
struct ItemWriter {
    bytes: Vec<u8>,
    shift: u32,
    at: i64,
    cell: u64,
}

impl ItemWriter {
    fn new(map: &MapHead) -> Self {
        let mut bytes = Vec::with_capacity(256);
        wire::begin(&mut bytes, Kind::History);
        write_products(&mut bytes, &map.products);
        // The digits of a cell below its resolution are all ones.
        let shift = 3 * (15 - u32::from(map.resolution.min(15)));
        put_varint_u64(&mut bytes, u64::from(shift));
        Self { bytes, shift, at: i64::MIN, cell: 0 }
    }

    fn put(&mut self, tick: &HistoryTick, row: &HistoryRow) {
        let out = &mut self.bytes;
        if self.at != tick.at {
            (self.at, self.cell) = (tick.at, 0);
            out.push(TICK);
            put_varint_i64(out, tick.at);
            put_varint_u64(out, tick.version);
        }
        out.push(row.product);
        let cell = row.cell.0 >> self.shift;
        put_varint_i64(out, cell.wrapping_sub(self.cell).cast_signed());
        self.cell = cell;
        let numbers = [row.demand, row.supply, u32::from(row.multiplier.hundredths())];
        numbers.into_iter().for_each(|number| put_varint_u64(out, u64::from(number)));
    }

    fn end(mut self, items: &mut Vec<(HistoryKey, Vec<u8>)>) {
        wire::seal(&mut self.bytes);
        let part = items.iter().filter(|(key, _)| key.at == self.at).count();
        let part = u32::try_from(part).expect("a tick has fewer items than cells");
        items.push((HistoryKey { at: self.at, part }, self.bytes));
    }
}

/// Begins a tick, where a row has its product.
const TICK: u8 = u8::MAX;

impl HistoryItem {
    /// Decodes an item that [`items`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] if `bytes` are anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut input = wire::open(bytes, Kind::History)?;
        let products = read_products(&mut input)?;
        let shift = input.varint_up_to(45, "a shift")?;
        let mut item = Self { products, ticks: Vec::new() };
        let mut last = 0_u64;
        while !input.is_done() {
            let product = input.byte("a product")?;
            if product == TICK {
                let (at, version) = (input.instant("a tick")?, input.varint_u64("a version")?);
                item.ticks.push(HistoryTick { at, version, rows: Vec::new() });
                last = 0;
                continue;
            }
            if usize::from(product) >= item.products.len() {
                return Err(input.invalid("a product"));
            }
            last = last.wrapping_add(input.varint_i64("a cell")?.cast_unsigned());
            let cell = Cell(last << shift | ((1 << shift) - 1));
            let (demand, supply) = (input.varint_u32("a demand")?, input.varint_u32("a supply")?);
            let multiplier = input.varint_up_to(u64::from(u16::MAX), "a multiplier")?;
            let multiplier = u16::try_from(multiplier).ok().and_then(Multiplier::new);
            let multiplier = multiplier.ok_or(input.invalid("a multiplier"))?;
            let tick = item.ticks.last_mut().ok_or(input.invalid("a row before a tick"))?;
            tick.rows.push(HistoryRow { product, cell, demand, supply, multiplier });
        }
        Ok(item)
    }
}
