//! The Kinesis event byte for byte, and responses as Lambda interprets them.
#![allow(clippy::unwrap_used)]

use base64_simd::STANDARD;
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_lambda::kinesis::encode::{Envelope, FRAME_BYTES, InvocationOutcome, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn an_event_is_encoded_as_lambda_does() {
    let record = Record {
        sequence: Sequence::new("49590338271490256608559692538361571095921575989136588898").unwrap(),
        partition_key: "a \"b\"\\\u{7}é".into(),
        data: b"Hello, this is a test.".to_vec(),
        arrival_ms: 1_545_084_650_987,
    };
    let mut payload = b"kept:".to_vec();
    Envelope::new(&stream(), ShardId::numbered(6)).write([&record], &mut payload);
    let expected = concat!(
        r#"kept:{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"a \"b\"\\\u0007é","#,
        r#""sequenceNumber":"49590338271490256608559692538361571095921575989136588898","#,
        r#""data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==","approximateArrivalTimestamp":1545084650.987},"#,
        r#""eventSource":"aws:kinesis","eventVersion":"1.0","#,
        r#""eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898","#,
        r#""eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::000000000000:role/count","#,
        r#""awsRegion":"us-east-1","#,
        r#""eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/events"}]}"#,
    );
    assert_eq!(String::from_utf8(payload).unwrap(), expected);
}

#[test]
fn arrival_times_have_three_decimals_on_either_side_of_the_epoch() {
    for (ms, written) in [
        (0, "0.000"),
        (7, "0.007"),
        (999, "0.999"),
        (1_000, "1.000"),
        (10_050, "10.050"),
        (-1, "-0.001"),
        (-1_500, "-1.500"),
        (i64::MAX, "9223372036854775.807"),
        (i64::MIN, "-9223372036854775.808"),
    ] {
        let record =
            Record { sequence: 1.into(), partition_key: "".into(), data: Vec::new(), arrival_ms: ms };
        let mut payload = Vec::new();
        Envelope::new(&stream(), ShardId::numbered(0)).write([&record], &mut payload);
        let text = String::from_utf8(payload).unwrap();
        assert!(text.contains(&format!(r#""approximateArrivalTimestamp":{written}}}"#)), "{ms}: {text}");
    }
}

proptest! {
    #[test]
    fn a_payload_has_the_announced_length_and_the_records_content(
        records in prop::collection::vec((any::<u64>(), ".{0,20}", prop::collection::vec(any::<u8>(), 0..60), any::<i64>()), 0..5)
    ) {
        let envelope = Envelope::new(&stream(), ShardId::numbered(3));
        let records: Vec<Record> = records
            .into_iter()
            .map(|(n, key, data, arrival_ms)| Record { sequence: n.into(), partition_key: key.into(), data, arrival_ms })
            .collect();
        let mut payload = Vec::new();
        envelope.write(&records, &mut payload);
        let announced: usize = records.iter().map(|record| envelope.record_bytes(record)).sum();
        prop_assert_eq!(payload.len(), FRAME_BYTES + announced + records.len().saturating_sub(1));
        let event: Value = serde_json::from_slice(&payload).unwrap();
        prop_assert_eq!(event["Records"].as_array().unwrap().len(), records.len());
        for (written, record) in event["Records"].as_array().unwrap().iter().zip(&records) {
            let kinesis = &written["kinesis"];
            prop_assert_eq!(kinesis["partitionKey"].as_str().unwrap(), &*record.partition_key);
            prop_assert_eq!(kinesis["sequenceNumber"].as_str().unwrap(), record.sequence.as_str());
            let data = STANDARD.decode_to_vec(kinesis["data"].as_str().unwrap()).unwrap();
            prop_assert_eq!(&data, &record.data);
        }
    }
}

#[test]
fn an_empty_or_null_response_is_a_success() {
    for response in [
        "",
        " \n",
        "null",
        "{}",
        r#"{"batchItemFailures":null}"#,
        r#"{"batchItemFailures":[]}"#,
        r#"{"other":1}"#,
    ] {
        assert_eq!(
            InvocationOutcome::read(response.as_bytes(), true),
            InvocationOutcome::Success,
            "{response}"
        );
    }
}

#[test]
fn an_item_without_a_sequence_number_fails_the_whole_batch() {
    for item in [
        r#"{"itemIdentifier":""}"#,
        r#"{"itemIdentifier":null}"#,
        r#"{"id":"1"}"#,
        "{}",
        "null",
        "7",
        r#"{"itemIdentifier":7}"#,
    ] {
        let response = format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"1"}},{item}]}}"#);
        assert_eq!(
            InvocationOutcome::read(response.as_bytes(), true),
            InvocationOutcome::Failure,
            "{response}"
        );
    }
    for response in ["{", "7", "[]", r#""ok""#, r#"{"batchItemFailures":{}}"#] {
        assert_eq!(
            InvocationOutcome::read(response.as_bytes(), true),
            InvocationOutcome::Failure,
            "{response}"
        );
    }
}

#[test]
fn reported_items_apply_only_with_report_batch_item_failures() {
    let response = br#"{"batchItemFailures":[{"itemIdentifier":"12"},{"itemIdentifier":"9"}]}"#;
    assert_eq!(InvocationOutcome::read(response, true), InvocationOutcome::Items(vec![12.into(), 9.into()]));
    assert_eq!(InvocationOutcome::read(response, false), InvocationOutcome::Success);
    assert_eq!(
        InvocationOutcome::read(br#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, false),
        InvocationOutcome::Success
    );
    assert_eq!(InvocationOutcome::read(b"not json", false), InvocationOutcome::Failure);
}

fn stream() -> Stream {
    Stream {
        arn: "arn:aws:kinesis:us-east-1:000000000000:stream/events".into(),
        region: "us-east-1".into(),
        role_arn: "arn:aws:iam::000000000000:role/count".into(),
    }
}
