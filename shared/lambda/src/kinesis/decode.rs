//! Decodes the batch that Lambda delivers from a Kinesis stream, and encodes the response it expects.

use equilibrium_domain::event::record_batch::RecordBatch;
use equilibrium_domain::event::sequence::{Sequence, SequenceRef};
use equilibrium_domain::wire::json::{self, Malformed, Scan, Value};
use thiserror::Error;

/// The payload is not a Kinesis event.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KinesisEventError {
    /// It is not UTF-8 JSON.
    #[error("the payload is not UTF-8 JSON")]
    NotJson,
    /// It lacks `Records`, or one of its records lacks a field or has one of another type.
    #[error("not a Kinesis event: record {index} lacks {field}")]
    MissingField {
        /// The record's index, counted from 0.
        index: usize,
        /// The missing or invalid field.
        field: &'static str,
    },
}

impl From<Malformed> for KinesisEventError {
    fn from(_: Malformed) -> Self {
        Self::NotJson
    }
}

/// Decodes the JSON with which Lambda invokes a function ("Using AWS Lambda with Amazon Kinesis", AWS Lambda
/// developer guide). A record whose `data` is not Base64 has an empty payload.
///
/// # Errors
/// [`KinesisEventError`].
pub fn decode_event(payload: &[u8]) -> Result<RecordBatch<'_>, KinesisEventError> {
    let text = simdutf8::basic::from_utf8(payload).map_err(|_| KinesisEventError::NotJson)?;
    let mut batch = RecordBatch::with_capacity(payload.len() / 4 * 3);
    let mut found = false;
    let mut scan = Scan::new(text);
    scan.object(|key, scan| {
        if key.plain() != Some(b"Records") || !scan.is_array() {
            return skip(scan);
        }
        found = true;
        scan.array(|scan| decode_record(&mut batch, scan))
    })?;
    scan.end()?;
    if found { Ok(batch) } else { Err(KinesisEventError::MissingField { index: 0, field: "Records" }) }
}

fn decode_record<'a>(batch: &mut RecordBatch<'a>, scan: &mut Scan<'a>) -> Result<(), KinesisEventError> {
    let index = batch.len();
    let missing = Err(KinesisEventError::MissingField { index, field: "kinesis" });
    if !scan.is_object() {
        return missing;
    }
    scan.object(|key, scan| {
        if key.plain() == Some(b"kinesis") && scan.is_object() {
            decode_kinesis(batch, scan)
        } else {
            skip(scan)
        }
    })?;
    if batch.len() > index { Ok(()) } else { missing }
}

fn decode_kinesis<'a>(batch: &mut RecordBatch<'a>, scan: &mut Scan<'a>) -> Result<(), KinesisEventError> {
    let (mut sequence, mut data, mut arrival) = (None, None, None);
    scan.object(|key, scan| {
        match (key.plain(), scan.value()?) {
            (Some(b"sequenceNumber"), Value::String(text)) => sequence = text.plain(),
            (Some(b"data"), Value::String(text)) => data = text.decode(),
            (Some(b"approximateArrivalTimestamp"), Value::Number(digits)) => arrival = Some(digits),
            _ => {}
        }
        Ok::<(), KinesisEventError>(())
    })?;
    let index = batch.len();
    let missing = |field| KinesisEventError::MissingField { index, field };
    let sequence = sequence.and_then(|digits| SequenceRef::new(std::str::from_utf8(digits).ok()?));
    let sequence = sequence.ok_or(missing("sequenceNumber"))?;
    let arrival_ms = arrival.and_then(seconds_to_ms).ok_or(missing("approximateArrivalTimestamp"))?;
    batch.push_with(sequence, arrival_ms, |bytes| {
        if let Some(data) = data {
            append_decoded(&data, bytes);
        }
    });
    Ok(())
}

/// Appends the bytes that `base64` encodes; nothing if it is not Base64.
fn append_decoded(base64: &[u8], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + base64_simd::STANDARD.estimated_decoded_length(base64.len()), 0);
    let out = base64_simd::Out::from_slice(&mut bytes[start..]);
    let length = base64_simd::STANDARD.decode(base64, out).map_or(0, |decoded| decoded.len());
    bytes.truncate(start + length);
}

fn skip(scan: &mut Scan<'_>) -> Result<(), KinesisEventError> {
    scan.value()?;
    Ok(())
}

/// Converts seconds with decimals, as Lambda encodes an arrival, to whole milliseconds.
fn seconds_to_ms(digits: &[u8]) -> Option<i64> {
    // The latest instant that a record can have: the end of the year 9999.
    const LAST_SECOND: f64 = 253_402_300_800.0;
    let seconds = json::number(digits);
    // The product is below 2^53, so rounding gives the exact millisecond.
    #[expect(clippy::cast_possible_truncation)]
    (seconds.abs() <= LAST_SECOND).then(|| (seconds * 1000.0).round() as i64)
}

/// The response that has Lambda retry a batch from each of the records `failed` on ("Implementing partial batch
/// responses with Lambda and Kinesis", AWS Lambda developer guide).
#[must_use]
pub fn encode_failures<'a>(failed: impl IntoIterator<Item = &'a Sequence>) -> Vec<u8> {
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
    fn a_record_is_decoded_with_its_sequence_number_and_arrival() {
        let payload = payload("SGVsbG8=", "\"495\"", "1545084650.987");
        let batch = decode_event(payload.as_bytes()).unwrap();
        let record = batch.iter().next().unwrap();
        assert_eq!(record.data, b"Hello");
        assert_eq!(record.sequence.as_str(), "495");
        assert_eq!(record.arrival_ms, 1_545_084_650_987);
    }

    #[test]
    fn the_last_millisecond_of_9999_survives_the_conversion_from_seconds() {
        let payload = payload("", "\"1\"", "253402300799.999");
        let batch = decode_event(payload.as_bytes()).unwrap();
        assert_eq!(batch.record(0).arrival_ms, 253_402_300_799_999);
    }

    #[test]
    fn a_record_that_is_not_base64_has_an_empty_payload() {
        let payload = payload("%%%", "\"1\"", "1");
        let batch = decode_event(payload.as_bytes()).unwrap();
        assert_eq!(batch.record(0).data, b"");
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn a_payload_that_is_not_a_kinesis_event_names_the_missing_field() {
        let lacks = |payload: &str| decode_event(payload.as_bytes()).map(drop).unwrap_err();
        assert_eq!(lacks("{}"), KinesisEventError::MissingField { index: 0, field: "Records" });
        assert_eq!(lacks("[]"), KinesisEventError::NotJson);
        assert_eq!(
            lacks(r#"{"Records":[{}]}"#),
            KinesisEventError::MissingField { index: 0, field: "kinesis" }
        );
        assert_eq!(
            lacks(r#"{"Records":[3]}"#),
            KinesisEventError::MissingField { index: 0, field: "kinesis" }
        );
        let field = |sequence, arrival| match lacks(&payload("", sequence, arrival)) {
            KinesisEventError::MissingField { field, .. } => field,
            KinesisEventError::NotJson => "json",
        };
        assert_eq!(field("\"x\"", "1"), "sequenceNumber");
        assert_eq!(field("7", "1"), "sequenceNumber");
        assert_eq!(field("\"7\"", "\"1\""), "approximateArrivalTimestamp");
        assert_eq!(field("\"7\"", "1e12"), "approximateArrivalTimestamp");
        assert_eq!(decode_event(b"\xff").unwrap_err(), KinesisEventError::NotJson);
    }

    #[test]
    fn the_response_names_the_records_to_retry() {
        assert_eq!(encode_failures([]), br#"{"batchItemFailures":[]}"#);
        let failed = [Sequence::from(7), Sequence::from(9)];
        let json = encode_failures(&failed);
        assert_eq!(json, br#"{"batchItemFailures":[{"itemIdentifier":"7"},{"itemIdentifier":"9"}]}"#);
    }
}
