//! A city's pricing state as a snapshot, and its configuration as entries and snapshots hold it.

use std::sync::Arc;

use super::lane_progress::LaneProgress;
use super::{CityPricing, PricingConfig, product_table, read_lanes};
use crate::event::sequence::Sequence;
use crate::id::CityId;
use crate::policy::Policy;
use crate::surge::feed_guard::FeedGuard;
use crate::surge::grid::Grid;
use crate::wire::{self, Corrupt, Kind, Reader, put_bytes, put_u64_le, put_varint_i64, put_varint_u64};

impl CityPricing {
    /// Reads the state back from its snapshot, as a range of lanes does. Returns the snapshot.
    pub(super) fn compact(&mut self) -> Result<Vec<u8>, Corrupt> {
        let mut snapshot = self.log.begin_snapshot(Kind::CitySnapshot);
        put_bytes(&mut snapshot, self.city.as_str().as_bytes());
        write_config(&mut snapshot, &self.config);
        self.log.put_position(&mut snapshot);
        self.write(&mut snapshot);
        wire::seal(&mut snapshot);
        self.read(&snapshot)?;
        Ok(snapshot)
    }

    pub(super) fn read(&mut self, snapshot: &[u8]) -> Result<(), Corrupt> {
        let (mut input, config) = open_snapshot(&self.city, snapshot)?;
        self.grid = Grid::new(&config.policy);
        if *self.config != config {
            self.products = product_table(&config.policy);
            self.config = Arc::new(config);
        }
        self.log.read_position(&mut input, snapshot.len())?;
        self.read_state(&mut input)
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        let last = self.last_processed.as_ref().map_or("", Sequence::as_str);
        put_bytes(out, last.as_bytes());
        put_varint_u64(out, self.version);
        for instant in [self.closed, self.began_ms] {
            put_varint_u64(out, u64::from(instant.is_some()));
            put_varint_i64(out, instant.unwrap_or(0));
        }
        put_u64_le(out, self.now_ms.cast_unsigned());
        put_varint_u64(out, self.lanes.len() as u64);
        self.lanes.iter().for_each(|lane| lane.write(out));
        self.guard.write(out);
        self.grid.write(out);
    }

    fn read_state(&mut self, input: &mut Reader<'_>) -> Result<(), Corrupt> {
        let last = input.text("a sequence number")?;
        self.last_processed = match last {
            "" => None,
            last => Some(Sequence::new(last).ok_or(input.invalid("a sequence number"))?),
        };
        self.version = input.varint_u64("a version")?;
        for instant in [&mut self.closed, &mut self.began_ms] {
            let is_known = input.varint_up_to(1, "an instant's mark")? == 1;
            let known = input.instant("an instant")?;
            *instant = is_known.then_some(known);
        }
        self.now_ms = input.u64_le("an arrival time")?.cast_signed();
        let lanes = read_lanes(input)?;
        self.lanes = lanes.iter().map(|_| LaneProgress::read(input)).collect::<Result<_, _>>()?;
        self.guard = FeedGuard::read(input)?;
        self.grid.read(input)?;
        if !input.is_done() {
            return Err(input.invalid("bytes after the map"));
        }
        self.next = self.find_next();
        self.count_lanes();
        Ok(())
    }
}

/// Opens a snapshot of the city, and reads its configuration.
pub(super) fn open_snapshot<'a>(
    city: &CityId,
    snapshot: &'a [u8],
) -> Result<(Reader<'a>, PricingConfig), Corrupt> {
    let mut input = wire::open(snapshot, Kind::CitySnapshot)?;
    if input.text("a city")? != city.as_str() {
        return Err(input.invalid("another city's snapshot"));
    }
    let config = read_config(&mut input)?;
    Ok((input, config))
}

pub(super) fn write_config(out: &mut Vec<u8>, config: &PricingConfig) {
    put_varint_u64(out, config.max_hold_ms.unsigned_abs());
    put_bytes(out, config.policy.to_json().to_string().as_bytes());
    put_varint_u64(out, config.policy_version);
}

pub(super) fn read_config(input: &mut Reader<'_>) -> Result<PricingConfig, Corrupt> {
    let max_hold_ms = input.varint_up_to(i64::MAX.unsigned_abs(), "a hold")?.cast_signed();
    let policy = input.text("a policy")?;
    let policy = serde_json::from_str(policy).ok().and_then(|policy| Policy::from_json(&policy).ok());
    let policy = policy.ok_or(input.invalid("a policy"))?;
    Ok(PricingConfig { policy, policy_version: input.varint_u64("a version")?, max_hold_ms })
}
