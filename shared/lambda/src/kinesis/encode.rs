//! Encodes the Kinesis event as Lambda does, and decodes the function's response.
//!
//! Formats: AWS Lambda developer guide, "Using Lambda to process records from Amazon Kinesis Data Streams" (event) and
//! "Configuring partial batch response" (response).

use base64_simd::STANDARD;
use equilibrium_domain::event::sequence::Sequence;
use serde_json::Value;

use super::record::{Record, ShardId};

/// Bytes of a payload before its first and after its last record.
pub const FRAME_BYTES: usize = OPEN.len() + CLOSE.len();

const OPEN: &str = r#"{"Records":["#;
const CLOSE: &str = "]}";
const BEFORE_KEY: &str = r#"{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":""#;
const BEFORE_SEQUENCE: &str = r#"","sequenceNumber":""#;
const BEFORE_DATA: &str = r#"","data":""#;
const BEFORE_ARRIVAL: &str = r#"","approximateArrivalTimestamp":"#;
const BEFORE_SHARD: &str = r#"},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":""#;

/// The stream as events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// `eventSourceARN`.
    pub arn: Box<str>,
    /// `awsRegion`.
    pub region: Box<str>,
    /// `invokeIdentityArn`: the role that the mapping invokes with.
    pub role_arn: Box<str>,
}

/// Encodes one shard's records. The text that all of them share is formatted once.
#[derive(Clone, Debug)]
pub struct Envelope {
    shard: ShardId,
    before_id: Box<str>,
    after_id: Box<str>,
}

impl Envelope {
    /// The envelope of `shard`'s records.
    #[must_use]
    pub fn new(stream: &Stream, shard: ShardId) -> Self {
        let before_id = format!("{BEFORE_SHARD}{shard}:").into();
        let after_id = format!(
            r#"","eventName":"aws:kinesis:record","invokeIdentityArn":{},"awsRegion":{},"eventSourceARN":{}}}"#,
            Value::from(&*stream.role_arn),
            Value::from(&*stream.region),
            Value::from(&*stream.arn),
        );
        Self { shard, before_id, after_id: after_id.into() }
    }

    /// The shard of the records.
    #[must_use]
    pub fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// The exact number of bytes of `record` in a payload. A payload is [`FRAME_BYTES`], its records, and a comma
    /// between any two.
    #[must_use]
    pub fn record_bytes(&self, record: &Record) -> usize {
        BEFORE_KEY.len()
            + escaped_bytes(&record.partition_key)
            + BEFORE_SEQUENCE.len()
            + record.sequence.as_str().len() * 2
            + BEFORE_DATA.len()
            + STANDARD.encoded_length(record.data.len())
            + BEFORE_ARRIVAL.len()
            + seconds_bytes(record.arrival_ms)
            + self.before_id.len()
            + self.after_id.len()
    }

    /// Appends the payload of `records` to `out`.
    pub fn write<'a>(&self, records: impl IntoIterator<Item = &'a Record>, out: &mut Vec<u8>) {
        out.extend_from_slice(OPEN.as_bytes());
        for (index, record) in records.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.write_record(record, out);
        }
        out.extend_from_slice(CLOSE.as_bytes());
    }

    fn write_record(&self, record: &Record, out: &mut Vec<u8>) {
        let sequence = record.sequence.as_str().as_bytes();
        out.extend_from_slice(BEFORE_KEY.as_bytes());
        write_escaped(&record.partition_key, out);
        out.extend_from_slice(BEFORE_SEQUENCE.as_bytes());
        out.extend_from_slice(sequence);
        out.extend_from_slice(BEFORE_DATA.as_bytes());
        STANDARD.encode_append(&record.data, out);
        out.extend_from_slice(BEFORE_ARRIVAL.as_bytes());
        write_seconds(record.arrival_ms, out);
        out.extend_from_slice(self.before_id.as_bytes());
        out.extend_from_slice(sequence);
        out.extend_from_slice(self.after_id.as_bytes());
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn escaped_bytes(text: &str) -> usize {
    if !text.bytes().any(needs_escape) {
        return text.len();
    }
    Value::from(text).to_string().len() - 2
}

fn write_escaped(text: &str, out: &mut Vec<u8>) {
    if !text.bytes().any(needs_escape) {
        return out.extend_from_slice(text.as_bytes());
    }
    let quoted = Value::from(text).to_string();
    out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
}

fn seconds_bytes(ms: i64) -> usize {
    let seconds = ms.unsigned_abs() / 1_000;
    let digits = seconds.checked_ilog10().map_or(1, |log| log as usize + 1);
    usize::from(ms < 0) + digits + ".000".len()
}

/// Writes `ms` as seconds with three decimals: `1545084650987` is `1545084650.987`.
fn write_seconds(ms: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 24];
    let mut at = digits.len();
    let mut rest = ms.unsigned_abs();
    // Three decimals, the point, and at least one digit before it.
    while rest > 0 || digits.len() - at < 5 {
        if digits.len() - at == 3 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if ms < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

/// The outcome of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvocationOutcome {
    /// All records of the batch are done.
    Success,
    /// No record is known to be done.
    Failure,
    /// The records before the first of these are done. A sequence number that is not in the batch makes it a failure.
    Items(Vec<Sequence>),
    /// The function did not run.
    Refused,
}

impl InvocationOutcome {
    /// Decodes the function's response. Without `report_batch_item_failures` any JSON (or an empty response) is a
    /// success. With it, an empty or null list or response is a success, and an item without a sequence number, or a
    /// response of another shape, is a failure of the whole batch.
    #[must_use]
    pub fn read(response: &[u8], report_batch_item_failures: bool) -> Self {
        if response.trim_ascii().is_empty() {
            return Self::Success;
        }
        let response = match serde_json::from_slice(response) {
            Ok(_) if !report_batch_item_failures => return Self::Success,
            Ok(Value::Null) => return Self::Success,
            Ok(Value::Object(response)) => response,
            Ok(_) | Err(_) => return Self::Failure,
        };
        let items = match response.get("batchItemFailures") {
            None | Some(Value::Null) => return Self::Success,
            Some(Value::Array(items)) if items.is_empty() => return Self::Success,
            Some(Value::Array(items)) => items,
            Some(_) => return Self::Failure,
        };
        let sequence = |item: &Value| Sequence::new(item.get("itemIdentifier")?.as_str()?);
        items.iter().map(sequence).collect::<Option<_>>().map_or(Self::Failure, Self::Items)
    }
}
