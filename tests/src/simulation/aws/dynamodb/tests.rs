//! Limits and units of the simulated tables.

use serde_json::{Value, json};

use super::*;

fn tables() -> DynamoDb {
    DynamoDb::new(TableLimits::NEW_TABLE)
}

/// A put of `bytes` under a key of the checkpoints.
fn put(log: &str, n: u64, bytes: usize) -> Value {
    let entry = base64_simd::STANDARD.encode_to_string(vec![0; bytes]);
    json!({
        "TableName": "x-checkpoints",
        "Item": { "log": { "S": log }, "n": { "N": n.to_string() }, "entry": { "B": entry } },
    })
}

fn get(log: &str, n: u64, is_consistent: bool) -> Value {
    let key = json!({ "log": { "S": log }, "n": { "N": n.to_string() } });
    json!({ "TableName": "x-checkpoints", "Key": key, "ConsistentRead": is_consistent })
}

fn error(response: &ServiceResponse) -> &str {
    let name = response.body["__type"].as_str().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}

#[test]
fn an_item_has_400_kilobytes_at_most() {
    let mut tables = tables();
    // Names, keys and a number of one digit take 16 bytes.
    let names = "log".len() + "l".len() + "n".len() + 2 + "entry".len();
    let largest = MAX_ITEM_BYTES - names;
    assert_eq!(tables.respond("PutItem", &put("l", 1, largest), 0).status, 200);
    assert_eq!(error(&tables.respond("PutItem", &put("l", 1, largest + 1), 0)), "ValidationException");
}

#[test]
fn a_partition_takes_a_thousand_write_units_a_second() {
    let mut tables = tables();
    let mut write = |log: &str, n, now_ms| {
        let response = tables.respond("PutItem", &put(log, n, 100_000), now_ms);
        response.status == 200 || error(&response) != "ProvisionedThroughputExceededException"
    };
    // 98 units each.
    for n in 0..10 {
        assert!(write("a", n, 0), "{n}");
    }
    assert!(!write("a", 10, 0));
    assert!(write("b", 0, 0), "another partition");
    assert!(!write("a", 10, 50));
    assert!(write("a", 10, 100));
    let mut with_burst = DynamoDb::new(TableLimits { has_burst: true, ..TableLimits::NEW_TABLE });
    for n in 0..40 {
        assert_eq!(with_burst.respond("PutItem", &put("a", n, 100_000), 0).status, 200, "{n}");
    }
    // The table has a limit of its own.
    assert_eq!(with_burst.respond("PutItem", &put("a", 40, 100_000), 0).status, 400);
}

#[test]
fn units_are_of_a_kilobyte_written_and_four_read() {
    let mut tables = tables();
    tables.respond("PutItem", &put("lanes-4/0", 1, 5_000), 0);
    tables.respond("GetItem", &get("lanes-4/0", 1, true), 0);
    tables.respond("GetItem", &get("lanes-4/0", 1, false), 0);
    tables.respond("GetItem", &get("lanes-4/0", 2, true), 0);
    let units = tables.units()["checkpoints of lanes"];
    assert_eq!((units.written, units.writes), (5, 1));
    assert_eq!((units.half_read, units.reads), (4 + 2 + 2, 3));
    // A put in the place of a larger item consumes by that one; a refused one consumes by what is there.
    tables.respond("PutItem", &put("lanes-4/0", 1, 10), 0);
    assert_eq!(tables.units()["checkpoints of lanes"].written, 10);
    let mut refused = put("lanes-4/0", 1, 100_000);
    refused["ConditionExpression"] = "attribute_not_exists(log)".into();
    refused["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD".into();
    let response = tables.respond("PutItem", &refused, 0);
    assert_eq!(error(&response), "ConditionalCheckFailedException");
    assert_eq!(response.body["Item"]["n"]["N"], "1");
    assert_eq!(tables.units()["checkpoints of lanes"].written, 11);
}

#[test]
fn a_transaction_consumes_twice_the_units_and_writes_all_or_nothing() {
    let mut tables = tables();
    let mut second = put("lanes-4/1", 1, 500);
    second["ConditionExpression"] = "attribute_exists(log)".into();
    let both = json!({ "TransactItems": [{ "Put": put("lanes-4/0", 1, 500) }, { "Put": second }] });
    let cancelled = tables.respond("TransactWriteItems", &both, 0);
    assert_eq!(error(&cancelled), "TransactionCanceledException");
    assert_eq!(cancelled.body["CancellationReasons"][1]["Code"], "ConditionalCheckFailed");
    assert_eq!(tables.respond("GetItem", &get("lanes-4/0", 1, true), 0).body, json!({}));
    tables.respond("PutItem", &put("lanes-4/1", 1, 500), 0);
    let before = tables.units()["checkpoints of lanes"].written;
    assert_eq!(tables.respond("TransactWriteItems", &both, 0).status, 200);
    assert_eq!(tables.units()["checkpoints of lanes"].written - before, 4);
    let many = vec![json!({ "Put": put("lanes-4/0", 1, 5) }); 101];
    let many = json!({ "TransactItems": many });
    assert_eq!(error(&tables.respond("TransactWriteItems", &many, 0)), "ValidationException");
}

#[test]
fn a_batch_leaves_over_what_exceeds_the_limits() {
    let mut tables = tables();
    let keys = |count: u64| -> Value {
        let keys: Vec<Value> = (0..count).map(|n| get("a", n, true)["Key"].clone()).collect();
        json!({ "RequestItems": { "x-checkpoints": { "Keys": keys, "ConsistentRead": true } } })
    };
    for n in 0..80 {
        // A second between two writes: the partition takes each.
        tables.respond("PutItem", &put("a", n, 400_000), i64::try_from(n).unwrap() * 1_000);
    }
    // 98 read units each, of 3,000 a second.
    let read = tables.respond("BatchGetItem", &keys(80), 100_000).body;
    let found = read["Responses"]["x-checkpoints"].as_array().unwrap().len();
    let left = read["UnprocessedKeys"]["x-checkpoints"]["Keys"].as_array().unwrap().len();
    assert_eq!((found, left), (30, 50));
    let throttled = tables.respond("BatchGetItem", &keys(80), 100_000);
    assert_eq!(error(&throttled), "ProvisionedThroughputExceededException");
    assert_eq!(error(&tables.respond("BatchGetItem", &keys(101), 200_000)), "ValidationException");
}

#[test]
fn a_query_reads_a_megabyte_a_page() {
    let mut tables = tables();
    for n in 0..5 {
        tables.respond("PutItem", &put("a", n, 400_000), i64::try_from(n).unwrap() * 1_000);
    }
    let mut query = json!({
        "TableName": "x-checkpoints",
        "KeyConditionExpression": "#log = :log",
        "ExpressionAttributeNames": { "#log": "log" },
        "ExpressionAttributeValues": { ":log": { "S": "a" } },
        "ConsistentRead": true,
        "ScanIndexForward": false,
    });
    let page = tables.respond("Query", &query, 10_000).body;
    assert_eq!(page["Count"], 3);
    assert_eq!(page["Items"][0]["n"]["N"], "4");
    query["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
    let page = tables.respond("Query", &query, 10_000).body;
    assert_eq!((&page["Count"], &page["LastEvaluatedKey"]), (&json!(2), &Value::Null));
}
