//! Drivers by the hundred thousand, who are put into the event stream as `ingest` packs them.

use std::fmt::Write;
use std::sync::Arc;

use equilibrium_app::ingest::record_packer::{RecordPacker, RecordSink};
use equilibrium_app::policy::policy_set::PolicySet;
use equilibrium_domain::id::{CityId, LaneCount, LaneId};
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_domain::time::Timestamp;
use equilibrium_simulator::rng::SplitMix64;

use super::{Aws, SimulatedClock};
use crate::simulation::PSEUDONYM_KEY;

/// How often events are put, in milliseconds.
const STEP_MS: i64 = 100;
/// The square in which the drivers are: latitude and longitude of its middle, and half of its side, in degrees.
const MIDDLE: (f64, f64) = (40.75, -73.95);
const HALF_SIDE: f64 = 0.2;

/// Drivers who send their places in turn.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// How many there are.
    pub drivers: u32,
    /// From one event of a driver to the next, in milliseconds.
    pub every_ms: i64,
}

/// The event stream, whose shards refuse nothing that comes at an even pace.
struct EventStream {
    aws: Aws,
    stream: String,
    lanes: LaneCount,
    clock: SimulatedClock,
}

impl RecordSink for EventStream {
    fn put(&mut self, lane: LaneId, record: Vec<u8>) {
        let hash_key = lane.hash_key(self.lanes);
        let mut services = self.aws.services.lock();
        let put =
            services.kinesis.put(&self.stream, &lane.to_string(), (hash_key, record), self.clock.now_ms());
        assert!(put, "a shard is beyond its limits");
    }
}

impl Crowd {
    /// Puts the drivers' events until `until_ms`, and returns their number.
    pub(super) async fn feed(
        self,
        (aws, stream, lanes): (&Aws, &str, LaneCount),
        (city, policies): (&CityId, &Arc<PolicySet>),
        (clock, until_ms, seed): (SimulatedClock, i64, u64),
    ) -> u64 {
        let sink = EventStream { aws: aws.clone(), stream: stream.to_owned(), lanes, clock };
        let key = Arc::new(PseudonymKey::new(PSEUDONYM_KEY));
        let mut packer = RecordPacker::replay(sink, lanes, Arc::clone(policies), key);
        let mut rng = SplitMix64::new(seed);
        let (mut sent, mut next, mut line) = (0, 0, String::new());
        let start_ms = clock.now_ms();
        let mut now_ms = start_ms;
        while now_ms < until_ms {
            now_ms += STEP_MS;
            clock.wait_until(now_ms).await;
            let due = i64::from(self.drivers) * (now_ms - start_ms) / self.every_ms;
            for _ in sent..due {
                let place = |middle: f64, rng: &mut SplitMix64| {
                    middle
                        + HALF_SIDE
                            * (f64::from(u32::try_from(rng.below(2_000)).unwrap_or(0)) / 1_000.0 - 1.0)
                };
                let (lat, lng) = (place(MIDDLE.0, &mut rng), place(MIDDLE.1, &mut rng));
                let time = Timestamp::from_ms(now_ms).expect("a usual time");
                line.clear();
                write!(
                    line,
                    r#"{{"type":"driver_location","id":"e","time":"{time}","city":"{city}","driver_id":"d{next}","lat":{lat:.4},"lng":{lng:.4},"status":"available"}}"#
                )
                .expect("text accepts every write");
                packer.line(line.as_bytes()).expect("the event is valid");
                next = (next + 1) % self.drivers;
            }
            sent = due;
            // The lanes' open records are put by setting the lanes that the stream has.
            packer.set_lanes(lanes);
        }
        u64::try_from(sent).unwrap_or(0)
    }
}
