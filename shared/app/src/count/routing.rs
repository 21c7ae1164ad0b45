//! The lane of each record of a batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::event::record_batch::{RecordBatch, RecordRef};
use equilibrium_domain::event::sequence::SequenceRef;
use equilibrium_domain::event::watermark::{self, CityWatermark, WatermarkRecord};
use equilibrium_domain::event::{self, Event, Lines, MarketEvent, Refusal};
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::wire;

use super::batch_result::BatchResult;

/// The records of a batch by range of lanes, each in the order of the log.
#[derive(Default)]
pub(super) struct RoutedBatch<'a> {
    pub(super) ranges: BTreeMap<LaneRange, Vec<LaneRecord<'a>>>,
}

/// A record, parsed as far as its lane shows.
pub(super) struct LaneRecord<'a> {
    pub(super) lane: LaneId,
    pub(super) record: RecordRef<'a>,
    pub(super) content: Content<'a>,
}

pub(super) enum Content<'a> {
    /// A watermark record. It is one of several lanes, if they have doubled since.
    Watermarks(Arc<[(CityId, CityWatermark)]>),
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
    /// record that does not follow the one before it in its range is a repeat, and skipped.
    pub(super) fn route(batch: &'a RecordBatch<'_>, lanes: LaneCount, result: &mut BatchResult) -> Self {
        let mut routed = Self::default();
        let mut last: Option<SequenceRef<'_>> = None;
        for record in batch.iter() {
            if last.is_some_and(|last| record.sequence <= last) {
                result.metrics.checkpoint.skipped += 1;
                continue;
            }
            last = Some(record.sequence);
            if wire::is_frame(record.data) {
                routed.route_watermarks(record, lanes, result);
            } else {
                routed.route_events(record, lanes, result);
            }
        }
        routed
    }

    fn push(&mut self, lanes: LaneCount, record: LaneRecord<'a>) {
        self.ranges.entry(LaneRange::of(record.lane, lanes)).or_default().push(record);
    }

    fn route_watermarks(&mut self, record: RecordRef<'a>, lanes: LaneCount, result: &mut BatchResult) {
        // A whole frame of another kind or version holds no lines.
        let Ok(WatermarkRecord { lane, lanes: before, cities }) = watermark::read(record.data) else {
            result.refuse(&record, 0, record.data, &Refusal::MalformedJson { at: 0 });
            result.metrics.unroutable += 1;
            return;
        };
        let watermarks: Arc<[_]> = cities.into();
        for lane in lane.among(before, lanes) {
            let content = Content::Watermarks(Arc::clone(&watermarks));
            self.push(lanes, LaneRecord { lane, record, content });
        }
    }

    /// Parses a record as far as its lane shows.
    fn route_events(&mut self, record: RecordRef<'a>, lanes: LaneCount, result: &mut BatchResult) {
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
                    let content = Content::Events { lead, first, line, rest };
                    self.push(lanes, LaneRecord { lane, record, content });
                    return;
                }
                Ok(Event::Unknown) => lead.push(LeadLine::Unknown),
                Err(refusal) => lead.push(LeadLine::Refused(line, refusal)),
            }
        }
        result.take_lead(&record, &lead);
        result.metrics.unroutable += 1;
    }
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
