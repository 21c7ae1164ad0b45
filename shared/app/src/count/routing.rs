//! The lane of each record of a batch.

use std::collections::BTreeMap;

use equilibrium_domain::event::record_batch::{RecordBatch, RecordRef};
use equilibrium_domain::event::watermark::{self, CityWatermark};
use equilibrium_domain::event::{self, Event, Lines, MarketEvent, Refusal};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::wire;

use super::batch_result::BatchResult;

/// The records of a batch by lane, each in the order of the log.
#[derive(Default)]
pub(super) struct RoutedBatch<'a> {
    pub(super) lanes: BTreeMap<LaneId, Vec<LaneRecord<'a>>>,
}

/// A record, parsed as far as its lane shows.
pub(super) struct LaneRecord<'a> {
    pub(super) record: RecordRef<'a>,
    pub(super) content: Content<'a>,
}

pub(super) enum Content<'a> {
    /// A watermark record.
    Watermarks(Vec<(CityId, CityWatermark)>),
    /// Events: the lines before the first event of a known type, that event and its line, and the lines after it.
    Events { lead: Vec<LeadLine<'a>>, first: MarketEvent<'a>, line: Line<'a>, rest: Lines<'a> },
}

/// A line of a record, and its index among the record's lines that are not blank.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) index: usize,
    pub(super) bytes: &'a [u8],
}

/// A line without a lane: an event of an unknown type, or a refused one.
pub(super) enum LeadLine<'a> {
    Unknown,
    Refused(Line<'a>, Refusal),
}

impl<'a> RoutedBatch<'a> {
    /// Routes every record of `batch`. The events of a record are all of one lane (CONTRACT §1), that of the first. A
    /// record that does not follow the one before it in its lane is a repeat, and skipped.
    pub(super) fn route(batch: &'a RecordBatch<'_>, lanes: LaneCount, result: &mut BatchResult) -> Self {
        let mut routed = Self::default();
        for record in batch.iter() {
            let Some((lane, content)) = lane_of(&record, lanes, result) else {
                result.metrics.unroutable += 1;
                continue;
            };
            let records = routed.lanes.entry(lane).or_default();
            if records.last().is_none_or(|last: &LaneRecord<'_>| last.record.sequence < record.sequence) {
                records.push(LaneRecord { record, content });
            } else {
                result.metrics.skipped += 1;
            }
        }
        routed
    }
}

/// Parses a record as far as its lane shows; `None` where nothing in it has a lane.
fn lane_of<'a>(
    record: &RecordRef<'a>,
    lanes: LaneCount,
    result: &mut BatchResult,
) -> Option<(LaneId, Content<'a>)> {
    if wire::is_frame(record.data) {
        // A whole frame that this lane count or version cannot read holds no lines.
        let Ok((lane, watermarks)) = watermark::read(record.data, lanes) else {
            result.refuse(record, 0, record.data, &Refusal::MalformedJson { at: 0 });
            return None;
        };
        return Some((lane, Content::Watermarks(watermarks)));
    }
    let mut rest = Lines::new(record.data);
    let mut lead = Vec::new();
    while let Some(bytes) = rest.next() {
        if event::is_blank(bytes) {
            continue;
        }
        let line = Line { index: lead.len(), bytes };
        match event::read(bytes) {
            Ok(Event::Market(first)) => {
                let lane = lanes.lane_of(first.what.entity());
                return Some((lane, Content::Events { lead, first, line, rest }));
            }
            Ok(Event::Unknown) => lead.push(LeadLine::Unknown),
            Err(refusal) => lead.push(LeadLine::Refused(line, refusal)),
        }
    }
    result.take_lead(record, &lead);
    None
}

impl BatchResult {
    /// Counts the lines of a record that have no lane.
    pub(super) fn take_lead(&mut self, record: &RecordRef<'_>, lead: &[LeadLine<'_>]) {
        for line in lead {
            match line {
                LeadLine::Unknown => self.metrics.unknown += 1,
                LeadLine::Refused(line, refusal) => self.refuse(record, line.index, line.bytes, refusal),
            }
        }
    }
}
