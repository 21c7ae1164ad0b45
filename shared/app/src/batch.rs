//! The batch that Lambda delivers from a Kinesis stream, and the answer it expects.

use std::ops::Range;

use equilibrium_domain::event::sequence::{Sequence, SequenceRef};
use equilibrium_domain::wire::json::{self, Malformed, Scan, Value};
use thiserror::Error;

/// The payload is no batch of Kinesis records.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// It is not JSON.
    #[error("the payload is not UTF-8 JSON")]
    NoJson,
    /// It has no `Records`, or one without a sequence number.
    #[error("the payload has no Kinesis records: record {index} lacks {field}")]
    NoRecord {
        /// Counted from 0.
        index: usize,
        /// What is missing or wrong.
        field: &'static str,
    },
}

impl From<Malformed> for PayloadError {
    fn from(_: Malformed) -> Self {
        Self::NoJson
    }
}

/// Records of one shard, in order.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    bytes: Vec<u8>,
    records: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    sequence: SequenceRef<'a>,
    arrival: i64,
    data: Range<usize>,
}

/// A record of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place in the shard's log.
    pub sequence: SequenceRef<'a>,
    /// When the log took it, in milliseconds since the epoch.
    pub arrival: i64,
    /// What it carries.
    pub data: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Reads the JSON that Lambda hands to a function ("Using AWS Lambda with Amazon Kinesis", AWS Lambda
    /// developer guide). A record whose `data` is no Base64 carries nothing.
    ///
    /// # Errors
    /// [`PayloadError`].
    pub fn read(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let text = simdutf8::basic::from_utf8(payload).map_err(|_| PayloadError::NoJson)?;
        let mut batch = Self { bytes: Vec::with_capacity(payload.len() / 4 * 3), records: Vec::new() };
        let mut found = false;
        let mut scan = Scan::new(text);
        scan.object(|key, scan| {
            if key.plain() != Some(b"Records") || !scan.is_array() {
                return skip(scan);
            }
            found = true;
            scan.array(|scan| batch.record_at(scan))
        })?;
        scan.end()?;
        if found { Ok(batch) } else { Err(PayloadError::NoRecord { index: 0, field: "Records" }) }
    }

    fn record_at(&mut self, scan: &mut Scan<'a>) -> Result<(), PayloadError> {
        let index = self.records.len();
        if !scan.is_object() {
            return Err(PayloadError::NoRecord { index, field: "kinesis" });
        }
        scan.object(|key, scan| {
            if key.plain() == Some(b"kinesis") && scan.is_object() {
                self.kinesis_at(scan)
            } else {
                skip(scan)
            }
        })?;
        if self.records.len() > index {
            Ok(())
        } else {
            Err(PayloadError::NoRecord { index, field: "kinesis" })
        }
    }

    fn kinesis_at(&mut self, scan: &mut Scan<'a>) -> Result<(), PayloadError> {
        let (mut sequence, mut data, mut arrival) = (None, None, None);
        scan.object(|key, scan| {
            match (key.plain(), scan.value()?) {
                (Some(b"sequenceNumber"), Value::String(text)) => sequence = text.plain(),
                (Some(b"data"), Value::String(text)) => data = text.decode(),
                (Some(b"approximateArrivalTimestamp"), Value::Number(digits)) => arrival = Some(digits),
                _ => {}
            }
            Ok::<(), PayloadError>(())
        })?;
        let missing = |field| PayloadError::NoRecord { index: self.records.len(), field };
        let sequence = sequence.and_then(|digits| SequenceRef::new(std::str::from_utf8(digits).ok()?));
        let sequence = sequence.ok_or(missing("sequenceNumber"))?;
        let arrival = arrival.and_then(seconds_to_ms).ok_or(missing("approximateArrivalTimestamp"))?;
        let start = self.bytes.len();
        if let Some(data) = data {
            let room = base64_simd::STANDARD.estimated_decoded_length(data.len());
            self.bytes.resize(start + room, 0);
            let out = base64_simd::Out::from_slice(&mut self.bytes[start..]);
            let length = base64_simd::STANDARD.decode(&data, out).map_or(0, |decoded| decoded.len());
            self.bytes.truncate(start + length);
        }
        self.records.push(Entry { sequence, arrival, data: start..self.bytes.len() });
        Ok(())
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record at `index`, counted from 0.
    ///
    /// # Panics
    /// Where there are not so many.
    #[must_use]
    pub fn record(&self, index: usize) -> Record<'_> {
        let Entry { sequence, arrival, data } = &self.records[index];
        Record { sequence: *sequence, arrival: *arrival, data: &self.bytes[data.clone()] }
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len()).map(|index| self.record(index))
    }
}

fn skip(scan: &mut Scan<'_>) -> Result<(), PayloadError> {
    scan.value()?;
    Ok(())
}

/// Seconds with decimals, as Lambda writes an arrival, in whole milliseconds.
fn seconds_to_ms(digits: &[u8]) -> Option<i64> {
    // The farthest instant that a record can bear: the year 9999.
    const LAST_SECOND: f64 = 253_402_300_800.0;
    let seconds = json::number(digits);
    // Within 2^53 after the multiplication, so the rounded product is exact.
    #[expect(clippy::cast_possible_truncation)]
    (seconds.abs() <= LAST_SECOND).then(|| (seconds * 1000.0).round() as i64)
}

/// The answer for a batch of which the records from each of `failed` on must come again
/// ("Implementing partial batch responses with Lambda and Kinesis", AWS Lambda developer guide).
#[must_use]
pub fn answer<'a>(failed: impl IntoIterator<Item = &'a Sequence>) -> Vec<u8> {
    let mut text = String::from("{\"batchItemFailures\":[");
    for (at, sequence) in failed.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str("{\"itemIdentifier\":\"");
        text.push_str(sequence.as_str());
        text.push_str("\"}");
    }
    text.push_str("]}");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(data: &str, sequence: &str, arrival: &str) -> String {
        format!(
            r#"{{"Records":[{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":"1","sequenceNumber":{sequence},"data":"{data}","approximateArrivalTimestamp":{arrival}}},"eventSource":"aws:kinesis","eventID":"shardId-000000000006:1"}}]}}"#
        )
    }

    #[test]
    fn a_record_is_read_with_its_place_and_arrival() {
        let payload = payload("SGVsbG8=", "\"495\"", "1545084650.987");
        let batch = Batch::read(payload.as_bytes()).unwrap();
        let record = batch.iter().next().unwrap();
        assert_eq!(record.data, b"Hello");
        assert_eq!(record.sequence.as_str(), "495");
        assert_eq!(record.arrival, 1_545_084_650_987);
    }

    #[test]
    fn the_end_of_time_survives_its_way_through_seconds() {
        let payload = payload("", "\"1\"", "253402300799.999");
        let batch = Batch::read(payload.as_bytes()).unwrap();
        assert_eq!(batch.record(0).arrival, 253_402_300_799_999);
    }

    #[test]
    fn a_record_that_is_no_base64_carries_nothing() {
        let payload = payload("%%%", "\"1\"", "1");
        let batch = Batch::read(payload.as_bytes()).unwrap();
        assert_eq!(batch.record(0).data, b"");
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn a_payload_that_is_no_batch_says_what_it_lacks() {
        let lacks = |payload: &str| Batch::read(payload.as_bytes()).map(drop).unwrap_err();
        assert_eq!(lacks("{}"), PayloadError::NoRecord { index: 0, field: "Records" });
        assert_eq!(lacks("[]"), PayloadError::NoJson);
        assert_eq!(lacks(r#"{"Records":[{}]}"#), PayloadError::NoRecord { index: 0, field: "kinesis" });
        assert_eq!(lacks(r#"{"Records":[3]}"#), PayloadError::NoRecord { index: 0, field: "kinesis" });
        let field = |sequence, arrival| match lacks(&payload("", sequence, arrival)) {
            PayloadError::NoRecord { field, .. } => field,
            PayloadError::NoJson => "json",
        };
        assert_eq!(field("\"x\"", "1"), "sequenceNumber");
        assert_eq!(field("7", "1"), "sequenceNumber");
        assert_eq!(field("\"7\"", "\"1\""), "approximateArrivalTimestamp");
        assert_eq!(field("\"7\"", "1e12"), "approximateArrivalTimestamp");
        assert_eq!(Batch::read(b"\xff").unwrap_err(), PayloadError::NoJson);
    }

    #[test]
    fn the_answer_names_what_must_come_again() {
        assert_eq!(answer([]), br#"{"batchItemFailures":[]}"#);
        let failed = [Sequence::from(7), Sequence::from(9)];
        let json = answer(&failed);
        assert_eq!(json, br#"{"batchItemFailures":[{"itemIdentifier":"7"},{"itemIdentifier":"9"}]}"#);
    }
}
