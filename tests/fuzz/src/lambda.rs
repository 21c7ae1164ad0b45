//! Payloads of Lambda: events of Kinesis, and requests of API Gateway.

use equilibrium_domain::event::record_batch::RecordRef;
use equilibrium_http::{Problem, Request};
use equilibrium_lambda::api_gateway::{ApiGatewayRequest, encode_response};
use equilibrium_lambda::kinesis::decode::decode_event;
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::{Record, ShardId};
use serde_json::Value;

use crate::select;

/// What is read agrees with a general reader, and with what is written from it.
pub fn target(input: &[u8]) {
    let (selected, payload) = select(input);
    if selected % 2 == 0 { kinesis(payload) } else { api_gateway(payload) }
}

fn kinesis(payload: &[u8]) {
    let Ok(batch) = decode_event(payload) else { return };
    assert!(batch.iter().map(|record| record.data.len()).sum::<usize>() <= payload.len());
    let records: Vec<Record> = batch.iter().map(owned).collect();
    let stream = Stream { arn: "arn".into(), region: "region".into(), role_arn: "role".into() };
    let envelope = Envelope::new(&stream, ShardId::numbered(0));
    let mut written = Vec::new();
    envelope.write(&records, &mut written);
    let again = decode_event(&written).expect("a written event is read");
    assert!(again.iter().map(owned).eq(records));
}

fn owned(record: RecordRef<'_>) -> Record {
    let RecordRef { sequence, arrival_ms, data } = record;
    Record { sequence: sequence.to_owned(), partition_key: "key".into(), data: data.into(), arrival_ms }
}

fn api_gateway(payload: &[u8]) {
    let Ok(read) = ApiGatewayRequest::read(payload) else { return };
    let request: Request<'_> = read.request();
    // The general reader has limits in the members that are skipped: how deeply they nest, how great a number is.
    let Ok(general) = serde_json::from_slice::<Value>(payload) else { return };
    assert_eq!(general["requestContext"]["http"]["method"], request.method);
    assert!(general["rawPath"].as_str().is_some_and(|path| path.ends_with(request.path)));
    assert_eq!(general["rawQueryString"].as_str().unwrap_or_default(), request.query);
    if general["isBase64Encoded"] != true {
        assert_eq!(general["body"].as_str().unwrap_or_default().as_bytes(), request.body);
    }
    let response = encode_response(&request.respond(Err(Problem::not_found())));
    let response: Value = serde_json::from_slice(&response).expect("the response is JSON");
    assert_eq!(response["statusCode"], 404);
}
