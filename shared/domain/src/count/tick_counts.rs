//! Tick counts: how many drivers and riders a lane counts at a city's ticks, by place, and the contact with its drivers.
//!
//! Tick counts are absolute: they do not depend on those of earlier ticks, so sending them twice changes nothing.

use crate::count::sightings::{Contact, Count, Place};
use crate::id::{CityId, LaneCount, LaneId};
use crate::wire::products::{MAX_PRODUCTS, ProductTable};
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// Largest record, in bytes: the default limit of Kinesis is 1 MiB, partition key included.
pub const MAX_RECORD_BYTES: usize = 1_000_000;

/// Most rows of one part of a tick's counts: at no more than 20 bytes per row, a record has room for two parts.
const MAX_PART_ROWS: usize = 16_384;

/// The counts of a tick, of a part of one, or of a run of empty ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TickCounts {
    /// No entity counts at any tick of a run.
    Empty {
        /// The first tick.
        from: i64,
        /// The last tick.
        to: i64,
    },
    /// The counts of one tick, or a part of them.
    Tick {
        /// The tick.
        at: i64,
        /// Whether this is the tick's first part.
        first: bool,
        /// Whether this is the tick's last part.
        last: bool,
        /// The contact with the lane's drivers; in the first part only.
        contact: Contact,
        /// Drivers by place, ascending.
        supply: Vec<Count>,
        /// Riders by place, ascending.
        demand: Vec<Count>,
    },
}

impl TickCounts {
    /// The same ticks without counts; `None` for a part that does not end its tick.
    #[must_use]
    pub fn emptied(&self) -> Option<Self> {
        match *self {
            Self::Empty { from, to } => Some(Self::Empty { from, to }),
            Self::Tick { at, last, .. } => last.then_some(Self::Empty { from: at, to: at }),
        }
    }
}

mod tag {
    /// A run of empty ticks.
    pub const EMPTY: u8 = 0;
    /// A part of a tick's counts; combined with the next two.
    pub const PART: u8 = 1;
    /// The first part of a tick.
    pub const FIRST: u8 = 2;
    /// The last part of a tick.
    pub const LAST: u8 = 4;
}

/// Encodes the tick counts of one city and lane, in the order of the ticks.
#[derive(Clone, Debug, Default)]
pub struct TickCountsWriter {
    bytes: Vec<u8>,
    /// The end of each run or part.
    ends: Vec<usize>,
    /// The newest run of empty ticks, which is not written yet because it may continue.
    run: Option<(i64, i64)>,
}

impl TickCountsWriter {
    /// Whether there are no tick counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.run.is_none()
    }

    /// Adds the empty ticks `from..=to`, which are `tick_ms` apart.
    pub fn add_empty(&mut self, from: i64, to: i64, tick_ms: i64) {
        if let Some((_, last)) = &mut self.run
            && *last + tick_ms == from
        {
            *last = to;
            return;
        }
        self.end_run();
        self.run = Some((from, to));
    }

    /// Adds a tick with the contact with its drivers and its counts by place, ascending.
    pub fn add_tick(
        &mut self,
        at: i64,
        tick_ms: i64,
        contact: Contact,
        supply: impl Iterator<Item = Count>,
        demand: impl Iterator<Item = Count>,
    ) {
        let mut rows: Vec<(bool, Count)> = supply.map(|count| (false, count)).collect();
        rows.extend(demand.map(|count| (true, count)));
        if rows.is_empty() && contact == Contact::default() {
            self.add_empty(at, at, tick_ms);
            return;
        }
        self.end_run();
        let parts = rows.len().div_ceil(MAX_PART_ROWS).max(1);
        for number in 0..parts {
            let part = &rows[number * MAX_PART_ROWS..rows.len().min((number + 1) * MAX_PART_ROWS)];
            let first = if number == 0 { tag::FIRST } else { 0 };
            let last = if number + 1 == parts { tag::LAST } else { 0 };
            self.bytes.push(tag::PART | first | last);
            put_varint_i64(&mut self.bytes, at);
            if number == 0 {
                put_varint_u64(&mut self.bytes, u64::from(contact.in_touch));
                put_varint_u64(&mut self.bytes, u64::from(contact.lost));
            }
            let demand = part.partition_point(|(demand, _)| !demand);
            let shift = part.iter().map(|(_, count)| count.place.cell.trailing_ones()).min().unwrap_or(0);
            put_varint_u64(&mut self.bytes, u64::from(shift));
            for rows in [&part[..demand], &part[demand..]] {
                put_rows(&mut self.bytes, rows, shift);
            }
            self.ends.push(self.bytes.len());
        }
    }

    fn end_run(&mut self) {
        if let Some((from, to)) = self.run.take() {
            self.bytes.push(tag::EMPTY);
            put_varint_i64(&mut self.bytes, from);
            put_varint_u64(&mut self.bytes, (to - from).unsigned_abs());
            self.ends.push(self.bytes.len());
        }
    }
}

/// Appends the rows of supply or of demand: the step from the previous row's cell, without the low bits, which are
/// equal in all cells of a resolution; the products, unless they are those of the previous row; the count.
fn put_rows(out: &mut Vec<u8>, rows: &[(bool, Count)], shift: u32) {
    put_varint_u64(out, rows.len() as u64);
    let mut last = Place::NOWHERE;
    for (_, Count { place, entities }) in rows {
        let same = place.products == last.products;
        put_varint_u64(out, ((place.cell >> shift) - (last.cell >> shift)) << 1 | u64::from(same));
        if !same {
            put_varint_u64(out, place.products);
        }
        put_varint_u64(out, u64::from(*entities));
        last = *place;
    }
}

fn read_rows(input: &mut Reader<'_>, shift: u32, table_len: usize) -> Result<Vec<Count>, Corrupt> {
    let rows = input.count("rows")?;
    let ones = (1_u64 << shift) - 1;
    let mut counts: Vec<Count> = Vec::with_capacity(rows);
    let mut last = Place::NOWHERE;
    for _ in 0..rows {
        let step = input.varint_u64("a step to a cell")?;
        let cell = (last.cell >> shift).checked_add(step >> 1).filter(|cell| *cell < 1 << (63 - shift));
        let cell = cell.ok_or(input.invalid("a cell"))? << shift | ones;
        let products = if step & 1 == 1 { last.products } else { input.varint_u64("products")? };
        let place = Place { cell, products };
        if products == 0 || (table_len < MAX_PRODUCTS && products >> table_len != 0) || place <= last {
            return Err(input.invalid("a row's place"));
        }
        let entities = input.varint_u32("a row's count")?;
        if entities == 0 {
            return Err(input.invalid("an empty row"));
        }
        counts.push(Count { place, entities });
        last = place;
    }
    Ok(counts)
}

/// The pending tick counts of one city.
#[derive(Clone, Debug)]
pub struct CityCounts {
    /// The city.
    pub city: CityId,
    /// The table of the sets of products.
    pub products: ProductTable,
    /// The tick counts.
    pub ticks: TickCountsWriter,
}

impl CityCounts {
    /// The beginning of the city's section of a record.
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        put_bytes(&mut head, self.city.as_str().as_bytes());
        self.products.write(&mut head);
        head
    }
}

/// The bytes of a section besides its head and its tick counts: three for their length, and the checksum of the record.
const OVERHEAD_BYTES: usize = 11;

/// Encodes the counts of `cities` as the smallest number of records.
#[must_use]
pub fn records(lane: LaneId, lanes: LaneCount, cities: Vec<CityCounts>) -> Vec<Vec<u8>> {
    let begin = || {
        let mut record = Vec::new();
        wire::begin(&mut record, Kind::Counts);
        put_varint_u64(&mut record, u64::from(lane.0));
        put_varint_u64(&mut record, u64::from(lanes.get()));
        record
    };
    let mut records = Vec::new();
    let mut record = begin();
    let empty_len = record.len();
    for mut city in cities {
        city.ticks.end_run();
        let head = city.head();
        let TickCountsWriter { bytes, ends, .. } = &city.ticks;
        let mut start = 0;
        let mut next = 0;
        while next < ends.len() {
            // As many runs and parts as the record has room for, but at least one in a new record.
            let used = record.len() + head.len() + OVERHEAD_BYTES;
            let fits = ends[next..].partition_point(|end| used + end - start <= MAX_RECORD_BYTES);
            if fits == 0 && record.len() > empty_len {
                wire::seal(&mut record);
                records.push(std::mem::replace(&mut record, begin()));
                continue;
            }
            next += fits.max(1);
            record.extend_from_slice(&head);
            put_bytes(&mut record, &bytes[start..ends[next - 1]]);
            start = ends[next - 1];
        }
    }
    if record.len() > empty_len {
        wire::seal(&mut record);
        records.push(record);
    }
    records
}

/// A record of tick counts, decoded up to its sections.
#[derive(Debug)]
pub struct CountsRecord<'a> {
    /// The lane of the counts.
    pub lane: LaneId,
    /// The number of lanes of its stream when it was counted.
    pub lanes: LaneCount,
    /// The section of each city.
    pub cities: Vec<CityCountsRef<'a>>,
}

/// The section of one city in a record.
#[derive(Clone, Debug)]
pub struct CityCountsRef<'a> {
    /// The city.
    pub city: CityId,
    /// The table of the sets of products.
    pub products: ProductTable,
    /// The encoded tick counts, which the city's checkpoint log keeps as they are; [`read_tick_counts`] decodes them.
    pub ticks: &'a [u8],
}

/// Decodes a record of tick counts.
///
/// # Errors
/// [`Corrupt`] if `record` is anything else.
pub fn open(record: &[u8]) -> Result<CountsRecord<'_>, Corrupt> {
    let mut input = wire::open(record, Kind::Counts)?;
    let lane = input.varint_u64("a lane")?;
    let lanes =
        LaneCount::new(input.varint_u32("a lane count")?).filter(|lanes| lane < u64::from(lanes.get()));
    let lanes = lanes.ok_or(input.invalid("a lane count"))?;
    let lane = LaneId(u16::try_from(lane).map_err(|_| input.invalid("a lane"))?);
    let mut cities = Vec::new();
    while !input.is_done() {
        let city = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let products = ProductTable::read(&mut input)?;
        cities.push(CityCountsRef { city, products, ticks: input.bytes("tick counts")? });
    }
    Ok(CountsRecord { lane, lanes, cities })
}

/// Decodes the tick counts of a section whose product table has `table_len` products.
///
/// # Errors
/// [`Corrupt`] if `bytes` are not tick counts, or name a product outside the table.
pub fn read_tick_counts(bytes: &[u8], table_len: usize) -> Result<Vec<TickCounts>, Corrupt> {
    let mut input = Reader::new(bytes);
    let mut ticks = Vec::new();
    while !input.is_done() {
        let tag = input.byte("a tag")?;
        let at = input.instant("a tick")?;
        if tag == tag::EMPTY {
            let span = input.varint_up_to(1 << 60, "a run of ticks")?;
            ticks.push(TickCounts::Empty { from: at, to: at + span.cast_signed() });
            continue;
        }
        if tag & tag::PART == 0 || tag > tag::PART | tag::FIRST | tag::LAST {
            return Err(input.invalid("a tag"));
        }
        let mut contact = Contact::default();
        if tag & tag::FIRST != 0 {
            contact.in_touch = input.varint_u32("the drivers in touch")?;
            contact.lost = input.varint_u32("the drivers lost")?;
        }
        #[expect(clippy::cast_possible_truncation)]
        let shift = input.varint_up_to(62, "a shift")? as u32;
        let supply = read_rows(&mut input, shift, table_len)?;
        let demand = read_rows(&mut input, shift, table_len)?;
        let (first, last) = (tag & tag::FIRST != 0, tag & tag::LAST != 0);
        ticks.push(TickCounts::Tick { at, first, last, contact, supply, demand });
    }
    Ok(ticks)
}

#[cfg(test)]
mod tests;
