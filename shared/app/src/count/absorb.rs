//! Absorbs records into the state of their range of lanes.

use equilibrium_domain::count::lane::{Absorbed, CityIndex, LaneState};
use equilibrium_domain::count::lane_range::LANES_PER_RANGE;
use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::event::record_batch::RecordRef;
use equilibrium_domain::event::watermark::CityWatermark;
use equilibrium_domain::event::{self, Event, MarketEvent, Refusal};
use equilibrium_domain::geo::locate::Locators;
use equilibrium_domain::id::{CityId, LaneId};

use super::batch_result::BatchResult;
use super::routing::{Content, LaneRecord, Line};
use crate::policy::policy_set::PolicySet;

/// Absorbs records into a range of lanes, by the policies in force.
pub(super) struct Absorber<'a> {
    range: &'a mut LaneRangeState,
    policies: &'a PolicySet,
    locators: &'a mut Locators,
    /// The city of each lane's last event: the next is most likely of the same.
    cities: [Option<(Vec<u8>, CityIndex)>; LANES_PER_RANGE as usize],
}

impl<'a> Absorber<'a> {
    pub(super) fn new(
        range: &'a mut LaneRangeState,
        policies: &'a PolicySet,
        locators: &'a mut Locators,
    ) -> Self {
        Self { range, policies, locators, cities: [const { None }; LANES_PER_RANGE as usize] }
    }

    pub(super) fn absorb(&mut self, record: &LaneRecord<'_>, result: &mut BatchResult) {
        let LaneRecord { lane, record, content } = record;
        let Some(state) = self.range.lane_mut(*lane) else { return };
        match content {
            Content::Watermarks(watermarks) => {
                result.has_unknown |= advance_watermarks(state, watermarks, self.policies);
            }
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

    fn count(
        &mut self,
        event: &MarketEvent<'_>,
        record: &RecordRef<'_>,
        line: Line<'_>,
        result: &mut BatchResult,
    ) {
        // An event of another range: counted here, its entity would count in two.
        let range = self.range.range();
        let lane = range.lane_count().lane_of(event.what.entity());
        let Some(position) = range.position(lane) else {
            result.metrics.misrouted += 1;
            return;
        };
        match self.absorb_event((lane, position), event, record.arrival_ms) {
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

    fn absorb_event(
        &mut self,
        (lane, position): (LaneId, usize),
        event: &MarketEvent<'_>,
        arrival_ms: i64,
    ) -> Result<Absorbed, Refusal> {
        let Some(lane) = self.range.neighbour_mut(lane) else { return Ok(Absorbed { is_outside: false }) };
        let known = &mut self.cities[position];
        let city = match known {
            Some((name, index)) if *name == *event.city => *index,
            _ => {
                let index = find_city(lane, &event.city, self.policies)?;
                *known = Some((event.city.to_vec(), index));
                index
            }
        };
        // An event never counts later than it arrived (CONTRACT §1).
        let time_ms = event.time.ms().min(arrival_ms);
        lane.absorb(city, event, time_ms, self.locators)
    }
}

/// Advances the cities' watermarks; a city without a policy has none. Returns whether there is one.
fn advance_watermarks(
    lane: &mut LaneState,
    watermarks: &[(CityId, CityWatermark)],
    policies: &PolicySet,
) -> bool {
    let mut has_unknown = false;
    for (city, watermark) in watermarks {
        if let Some(config) = policies.city(city.as_str()) {
            let index = lane.city_mut(city, &config.counting);
            lane.advance_watermark(index, watermark);
        } else {
            has_unknown = true;
        }
    }
    has_unknown
}

fn find_city(lane: &mut LaneState, name: &[u8], policies: &PolicySet) -> Result<CityIndex, Refusal> {
    let text = String::from_utf8_lossy(name);
    let unknown = || Refusal::UnknownCity { city: text.as_ref().into() };
    let city = CityId::new(&text).ok_or_else(unknown)?;
    let config = policies.city(&text).ok_or_else(unknown)?;
    Ok(lane.city_mut(&city, &config.counting))
}
