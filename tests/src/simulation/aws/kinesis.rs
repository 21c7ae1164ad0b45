//! Kinesis: streams whose shards take a megabyte and a thousand records a second ("Quotas and limits", Kinesis Data
//! Streams; `PutRecords`, Kinesis API).

use std::collections::BTreeMap;
use std::sync::Arc;

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::wire;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_lambda::kinesis::record::ShardId;
use serde_json::{Value, json};

use super::ServiceResponse;
use super::rate_limit::RateLimit;

/// Records and bytes of one `PutRecords`.
const MAX_CALL_RECORDS: usize = 500;
const MAX_CALL_BYTES: usize = 10 * 1024 * 1024;
/// Bytes of a record and its partition key, unless a stream asks for more.
const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// Limits of a shard a second.
const SHARD_BYTES: i64 = 1024 * 1024;
const SHARD_RECORDS: i64 = 1_000;

#[derive(Debug, Default)]
pub(super) struct Kinesis {
    streams: BTreeMap<String, Stream>,
}

#[derive(Debug)]
struct Stream {
    log: Arc<StreamLog>,
    shards: BTreeMap<ShardId, (RateLimit, RateLimit)>,
    /// Records put, those of watermarks among them, and records refused.
    put: u64,
    watermarks: u64,
    refused: u64,
    /// Bytes put, with their partition keys.
    bytes: u64,
}

impl Kinesis {
    /// Creates a stream.
    pub(super) fn create_stream(&mut self, name: &str, shards: usize) {
        let log = Arc::new(StreamLog::new(shards));
        let stream = Stream { log, shards: BTreeMap::new(), put: 0, watermarks: 0, refused: 0, bytes: 0 };
        self.streams.insert(name.to_owned(), stream);
    }

    /// What a stream holds.
    pub(super) fn stream(&self, name: &str) -> Arc<StreamLog> {
        let stream = self.streams.get(name).expect("the stream exists");
        Arc::clone(&stream.log)
    }

    /// The records that the shards of a stream took, those of watermarks among them, and those that they refused.
    pub(super) fn records(&self, name: &str) -> (u64, u64, u64) {
        self.streams.get(name).map_or((0, 0, 0), |stream| (stream.put, stream.watermarks, stream.refused))
    }

    /// The bytes that the shards of a stream took.
    pub(super) fn bytes(&self, name: &str) -> u64 {
        self.streams.get(name).map_or(0, |stream| stream.bytes)
    }

    /// Puts one record of a call; `false` if its shard refuses it.
    pub(super) fn put(
        &mut self,
        stream: &str,
        partition_key: &str,
        (hash_key, data): (u128, Vec<u8>),
        now_ms: i64,
    ) -> bool {
        let stream = self.streams.get_mut(stream).expect("the stream exists");
        stream.put(Record { partition_key, hash_key, data }, now_ms)["ErrorCode"].is_null()
    }

    pub(super) fn respond(&mut self, operation: &str, request: &Value, now_ms: i64) -> ServiceResponse {
        assert_eq!(operation, "PutRecords", "the adapters use no other");
        let name = request["StreamName"].as_str().expect("a stream's name");
        let stream = self.streams.get_mut(name).expect("the stream exists");
        stream.put_records(request["Records"].as_array().expect("records"), now_ms)
    }
}

impl Stream {
    fn put_records(&mut self, records: &[Value], now_ms: i64) -> ServiceResponse {
        let records: Vec<Record<'_>> = records.iter().map(Record::read).collect();
        if records.len() > MAX_CALL_RECORDS {
            return invalid("Member must have length less than or equal to 500");
        }
        if records.iter().any(|record| record.bytes() > MAX_RECORD_BYTES)
            || records.iter().map(Record::bytes).sum::<usize>() > MAX_CALL_BYTES
        {
            return invalid("Records size exceeds the limit");
        }
        let results: Vec<Value> = records.into_iter().map(|record| self.put(record, now_ms)).collect();
        let failed = results.iter().filter(|result| !result["ErrorCode"].is_null()).count();
        ServiceResponse::ok(json!({ "FailedRecordCount": failed, "Records": results }))
    }

    fn put(&mut self, record: Record<'_>, now_ms: i64) -> Value {
        let shard = self.log.shard_of(record.hash_key).expect("the stream is open");
        let new = || (RateLimit::new(SHARD_BYTES, 1, now_ms), RateLimit::new(SHARD_RECORDS, 1, now_ms));
        let (bytes, count) = self.shards.entry(shard.clone()).or_insert_with(new);
        let length = i64::try_from(record.bytes()).expect("a record is small");
        if !bytes.has(length, now_ms) || !count.has(1, now_ms) {
            self.refused += 1;
            return json!({
                "ErrorCode": "ProvisionedThroughputExceededException",
                "ErrorMessage": format!("Rate exceeded for shard {shard}"),
            });
        }
        bytes.take(length);
        count.take(1);
        self.put += 1;
        self.bytes += u64::try_from(length).expect("a length");
        self.watermarks += u64::from(wire::is_frame(&record.data));
        let number = self.log.put(record.hash_key, record.partition_key, record.data, now_ms);
        let sequence = Sequence::from(number.expect("the stream is open"));
        json!({ "SequenceNumber": sequence.as_str(), "ShardId": shard.as_str() })
    }
}

struct Record<'a> {
    partition_key: &'a str,
    hash_key: u128,
    data: Vec<u8>,
}

impl<'a> Record<'a> {
    fn read(record: &'a Value) -> Self {
        let data = record["Data"].as_str().expect("Base64");
        let data = base64_simd::STANDARD.decode_to_vec(data).expect("Base64");
        let hash_key = record["ExplicitHashKey"].as_str().map_or(0, |key| key.parse().expect("a number"));
        Self { partition_key: record["PartitionKey"].as_str().expect("a partition key"), hash_key, data }
    }

    fn bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }
}

fn invalid(message: &str) -> ServiceResponse {
    ServiceResponse::error("InvalidArgumentException", message)
}
