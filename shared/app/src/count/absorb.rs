//! Absorbs records into the state of their lane.

use equilibrium_domain::count::lane::{Absorbed, CityIndex, LaneState};
use equilibrium_domain::event::record_batch::RecordRef;
use equilibrium_domain::event::watermark::CityWatermark;
use equilibrium_domain::event::{self, Event, MarketEvent, Refusal};
use equilibrium_domain::geo::locate::Locators;
use equilibrium_domain::id::{CityId, LaneCount};

use super::batch_result::BatchResult;
use super::routing::{Content, LaneRecord, Line};
use crate::policy::policy_set::PolicySet;

/// Absorbs records into a lane, by the policies in force.
pub(super) struct Absorber<'a> {
    lane: &'a mut LaneState,
    lanes: LaneCount,
    policies: &'a PolicySet,
    locators: &'a mut Locators,
    /// The city of the last event: the next is most likely of the same.
    city: Option<(Vec<u8>, CityIndex)>,
}

impl<'a> Absorber<'a> {
    pub(super) fn new(
        lane: &'a mut LaneState,
        lanes: LaneCount,
        policies: &'a PolicySet,
        locators: &'a mut Locators,
    ) -> Self {
        Self { lane, lanes, policies, locators, city: None }
    }

    pub(super) fn absorb(&mut self, record: &LaneRecord<'_>, result: &mut BatchResult) {
        let LaneRecord { record, content } = record;
        match content {
            Content::Watermarks(watermarks) => self.advance_watermarks(watermarks, result),
            Content::Events { lead, first, line, rest } => {
                result.take_lead(record, lead);
                self.count(first, record, *line, result);
                let rest = rest.clone().filter(|bytes| !event::is_blank(bytes));
                for (index, bytes) in (line.index + 1..).zip(rest) {
                    let line = Line { index, bytes };
                    match event::read(bytes) {
                        Ok(Event::Market(event)) => self.count(&event, record, line, result),
                        Ok(Event::Unknown) => result.metrics.unknown += 1,
                        Err(refusal) => result.refuse(record, line.index, line.bytes, &refusal),
                    }
                }
            }
        }
    }

    /// Advances the cities' watermarks; a city without a policy has none.
    fn advance_watermarks(&mut self, watermarks: &[(CityId, CityWatermark)], result: &mut BatchResult) {
        for (city, watermark) in watermarks {
            if let Some(config) = self.policies.city(city.as_str()) {
                let index = self.lane.city_mut(city, &config.counting);
                self.lane.advance_watermark(index, watermark);
            } else {
                result.has_unknown = true;
            }
        }
    }

    fn count(
        &mut self,
        event: &MarketEvent<'_>,
        record: &RecordRef<'_>,
        line: Line<'_>,
        result: &mut BatchResult,
    ) {
        if self.is_misrouted(event) {
            result.metrics.misrouted += 1;
            return;
        }
        match self.absorb_event(event, record.arrival_ms) {
            Ok(Absorbed { is_outside }) => {
                result.metrics.absorbed += 1;
                result.metrics.outside += u64::from(is_outside);
            }
            Err(refusal) => {
                result.has_unknown |=
                    matches!(refusal, Refusal::UnknownCity { .. } | Refusal::UnknownProduct { .. });
                result.refuse(record, line.index, line.bytes, &refusal);
            }
        }
    }

    /// Whether the event is of another lane: counted here, its entity would count in two.
    fn is_misrouted(&self, event: &MarketEvent<'_>) -> bool {
        self.lanes.lane_of(event.what.entity()) != self.lane.lane()
    }

    fn absorb_event(&mut self, event: &MarketEvent<'_>, arrival_ms: i64) -> Result<Absorbed, Refusal> {
        let city = match &self.city {
            Some((name, index)) if *name == *event.city => *index,
            _ => self.find_city(&event.city)?,
        };
        // An event never counts later than it arrived (CONTRACT §1).
        let time_ms = event.time.ms().min(arrival_ms);
        self.lane.absorb(city, event, time_ms, self.locators)
    }

    fn find_city(&mut self, name: &[u8]) -> Result<CityIndex, Refusal> {
        let text = String::from_utf8_lossy(name);
        let unknown = || Refusal::UnknownCity { city: text.as_ref().into() };
        let city = CityId::new(&text).ok_or_else(unknown)?;
        let config = self.policies.city(&text).ok_or_else(unknown)?;
        let index = self.lane.city_mut(&city, &config.counting);
        self.city = Some((name.to_vec(), index));
        Ok(index)
    }
}
