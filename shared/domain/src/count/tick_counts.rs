//! What a lane tells of a city's ticks: how many drivers and riders it counted, and where.
//!
//! A report is absolute: it says what the lane counts at a tick, whatever it said before, so that one
//! sent twice changes nothing.

use crate::count::sightings::{Count, Place};
use crate::id::{CityId, LaneCount, LaneId};
use crate::wire::products::{MAX_PRODUCTS, ProductTable};
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_varint_i64, put_varint_u64};

/// Largest record sent, in bytes: Kinesis takes 1 MiB unless told otherwise, partition key included.
pub const MAX_RECORD_BYTES: usize = 1_000_000;

/// Most rows of one part of a report: at 20 bytes a row at the worst, a part fits a record twice.
const MAX_PART_ROWS: usize = 16_384;

/// A report, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TickCounts {
    /// The lane counted nobody at any tick from the first to the last.
    Empty {
        /// The first tick.
        from: i64,
        /// The last tick.
        to: i64,
    },
    /// What the lane counted at one tick.
    Tick {
        /// The tick.
        at: i64,
        /// Whether this is the first part of the report.
        first: bool,
        /// Whether this is its last.
        last: bool,
        /// Drivers by place, ascending.
        supply: Vec<Count>,
        /// Riders by place, ascending.
        demand: Vec<Count>,
    },
}

mod tag {
    pub const EMPTY: u8 = 0;
    /// Or-ed together: a tick's part, first, last.
    pub const PART: u8 = 1;
    pub const FIRST: u8 = 2;
    pub const LAST: u8 = 4;
}

/// Reports of one city and lane, in the order of their ticks, written.
#[derive(Clone, Debug, Default)]
pub struct TickCountsWriter {
    bytes: Vec<u8>,
    /// Where each report or part ends.
    ends: Vec<usize>,
    /// Empty ticks not yet written: the run may go on.
    run: Option<(i64, i64)>,
}

impl TickCountsWriter {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.run.is_none()
    }

    /// Reports the ticks `from..=to`, `tick_ms` apart, as empty.
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

    /// Reports a tick.
    pub fn add_tick(
        &mut self,
        at: i64,
        tick_ms: i64,
        supply: impl Iterator<Item = Count>,
        demand: impl Iterator<Item = Count>,
    ) {
        let mut rows: Vec<(bool, Count)> = supply.map(|count| (false, count)).collect();
        rows.extend(demand.map(|count| (true, count)));
        if rows.is_empty() {
            self.add_empty(at, at, tick_ms);
            return;
        }
        self.end_run();
        let parts = rows.chunks(MAX_PART_ROWS).count();
        for (number, part) in rows.chunks(MAX_PART_ROWS).enumerate() {
            let first = if number == 0 { tag::FIRST } else { 0 };
            let last = if number + 1 == parts { tag::LAST } else { 0 };
            self.bytes.push(tag::PART | first | last);
            put_varint_i64(&mut self.bytes, at);
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

/// Rows of one kind: the step from the last row's cell, without the bits that end every cell of one
/// resolution; whether the products are the last row's; how many.
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

fn read_rows(input: &mut Reader<'_>, shift: u32, dictionary: usize) -> Result<Vec<Count>, Corrupt> {
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
        if products == 0 || (dictionary < MAX_PRODUCTS && products >> dictionary != 0) || place <= last {
            return Err(input.invalid("a row's place"));
        }
        let entities = input.varint_u32("a row's count")?;
        if entities == 0 {
            return Err(input.invalid("a row that counts nobody"));
        }
        counts.push(Count { place, entities });
        last = place;
    }
    Ok(counts)
}

/// The reports of one city.
#[derive(Clone, Debug)]
pub struct CityCounts {
    /// The city.
    pub city: CityId,
    /// What the bits of `products` stand for.
    pub products: ProductTable,
    /// The reports.
    pub ticks: TickCountsWriter,
}

impl CityCounts {
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        put_bytes(&mut head, self.city.as_str().as_bytes());
        self.products.write(&mut head);
        head
    }
}

/// What a record takes beside heads and reports: three bytes for the length of a section's, and the seal.
const REST_BYTES: usize = 11;

/// Writes the sections into as few records as hold them.
#[must_use]
pub fn records(lane: LaneId, lanes: LaneCount, sections: Vec<CityCounts>) -> Vec<Vec<u8>> {
    let begin = || {
        let mut record = Vec::new();
        wire::begin(&mut record, Kind::Counts);
        put_varint_u64(&mut record, u64::from(lane.0));
        put_varint_u64(&mut record, u64::from(lanes.get()));
        record
    };
    let mut records = Vec::new();
    let mut record = begin();
    let bare = record.len();
    for mut section in sections {
        section.ticks.end_run();
        let head = section.head();
        let TickCountsWriter { bytes, ends, .. } = &section.ticks;
        let mut start = 0;
        let mut next = 0;
        while next < ends.len() {
            // As many reports as the record still takes, but at least one of a new record.
            let taken = record.len() + head.len() + REST_BYTES;
            let fits = ends[next..].partition_point(|end| taken + end - start <= MAX_RECORD_BYTES);
            if fits == 0 && record.len() > bare {
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
    if record.len() > bare {
        wire::seal(&mut record);
        records.push(record);
    }
    records
}

/// A record of counts, opened.
#[derive(Debug)]
pub struct CountsRecord<'a> {
    /// The lane that counted.
    pub lane: LaneId,
    /// Each city's part, in its own words: what a city's checkpoint keeps of it.
    pub cities: Vec<CityCountsRef<'a>>,
}

/// One city's part of a record.
#[derive(Clone, Debug)]
pub struct CityCountsRef<'a> {
    /// The city.
    pub city: CityId,
    /// What the bits of `products` stand for.
    pub products: ProductTable,
    /// Reports as written; [`read_tick_counts`] reads them.
    pub ticks: &'a [u8],
}

/// Opens a record of counts of a stream of `lanes`.
///
/// # Errors
/// [`Corrupt`] where it is none.
pub fn open(record: &[u8], lanes: LaneCount) -> Result<CountsRecord<'_>, Corrupt> {
    let mut input = wire::open(record, Kind::Counts)?;
    let lane = input.varint_up_to(u64::from(lanes.get()) - 1, "a lane")?;
    let lane = LaneId(u16::try_from(lane).map_err(|_| input.invalid("a lane"))?);
    if input.varint_u64("a lane count")? != u64::from(lanes.get()) {
        return Err(input.invalid("another stream's counts"));
    }
    let mut cities = Vec::new();
    while !input.is_done() {
        let city = CityId::new(input.text("a city")?).ok_or(input.invalid("a city"))?;
        let products = ProductTable::read(&mut input)?;
        cities.push(CityCountsRef { city, products, ticks: input.bytes("reports")? });
    }
    Ok(CountsRecord { lane, cities })
}

/// Reads a section's reports.
///
/// # Errors
/// [`Corrupt`] where they are none, or name a product beyond the dictionary.
pub fn read_tick_counts(reports: &[u8], dictionary: usize) -> Result<Vec<TickCounts>, Corrupt> {
    let mut input = Reader::new(reports);
    let mut read = Vec::new();
    while !input.is_done() {
        let tag = input.byte("a report")?;
        let at = input.instant("a tick")?;
        if tag == tag::EMPTY {
            let span = input.varint_up_to(1 << 60, "a run of ticks")?;
            read.push(TickCounts::Empty { from: at, to: at + span.cast_signed() });
            continue;
        }
        if tag & tag::PART == 0 || tag > tag::PART | tag::FIRST | tag::LAST {
            return Err(input.invalid("a report"));
        }
        #[expect(clippy::cast_possible_truncation)]
        let shift = input.varint_up_to(62, "a shift")? as u32;
        let supply = read_rows(&mut input, shift, dictionary)?;
        let demand = read_rows(&mut input, shift, dictionary)?;
        let (first, last) = (tag & tag::FIRST != 0, tag & tag::LAST != 0);
        read.push(TickCounts::Tick { at, first, last, supply, demand });
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
