//! DynamoDB: tables with conditional writes, the size limits, the limits of a partition, and the units that a request
//! consumes ("Quotas in Amazon DynamoDB", "DynamoDB read and write operations").

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ServiceResponse;
use super::expressions::{holds, update, value_of};
use super::item::{Item, Key, SortKey, size};
use super::rate_limit::RateLimit;

/// Bytes of an item, names included.
const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Bytes of a page of a query.
const MAX_PAGE_BYTES: usize = 1024 * 1024;
/// Keys and bytes of a `BatchGetItem`.
const MAX_BATCH_KEYS: usize = 100;
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Actions and bytes of a transaction.
const MAX_TRANSACTION_ACTIONS: usize = 100;
const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// What one write unit writes and one read unit reads.
const WRITE_UNIT_BYTES: usize = 1024;
const READ_UNIT_BYTES: usize = 4 * 1024;
/// Units of a partition a second.
const PARTITION_WRITE_UNITS: i64 = 1_000;
const PARTITION_READ_UNITS: i64 = 3_000;
/// Seconds of unused capacity that a partition may use later, where it does.
const BURST_SECONDS: i64 = 300;

/// The tables, as the infrastructure defines them.
const DEPLOYMENT: &str = include_str!("../../../../infra/deployment.json");

/// Limits that depend on the history of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Whether unused capacity of up to five minutes may be used later. AWS does not promise it.
    pub has_burst: bool,
    /// Write units of a table a second: 4,000 for a new table on demand.
    pub table_write_units: i64,
    /// Read units of a table a second: 12,000 for a new table on demand.
    pub table_read_units: i64,
}

impl TableLimits {
    /// A new table on demand, whose partitions save no capacity.
    pub const NEW_TABLE: Self = Self { has_burst: false, table_write_units: 4_000, table_read_units: 12_000 };
}

/// Units that requests consumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Write units.
    pub written: u64,
    /// Halves of read units: an eventually consistent read consumes one for what a consistent one consumes two.
    pub half_read: u64,
    /// Requests that wrote, whether or not their condition held.
    pub writes: u64,
    /// Requests that read.
    pub reads: u64,
    /// Requests that were refused for a limit.
    pub throttled: u64,
}

#[derive(Debug)]
pub(super) struct DynamoDb {
    limits: TableLimits,
    tables: BTreeMap<String, Table>,
    units: BTreeMap<String, Units>,
}

#[derive(Debug)]
struct Table {
    partition_key: String,
    sort_key: Option<String>,
    items: BTreeMap<Key, Item>,
    partitions: BTreeMap<String, Capacity>,
    all: Option<Capacity>,
}

/// What is left of the limits of a partition or a table.
#[derive(Debug)]
struct Capacity {
    writes: RateLimit,
    reads: RateLimit,
}

impl DynamoDb {
    pub(super) fn new(limits: TableLimits) -> Self {
        Self { limits, tables: BTreeMap::new(), units: BTreeMap::new() }
    }

    pub(super) fn units(&self) -> &BTreeMap<String, Units> {
        &self.units
    }

    pub(super) fn respond(&mut self, operation: &str, request: &Value, now_ms: i64) -> ServiceResponse {
        let response = match operation {
            "PutItem" | "UpdateItem" => self.write(operation, request, now_ms),
            "GetItem" => self.get_item(request, now_ms),
            "Query" => self.query(request, now_ms),
            "BatchGetItem" => self.batch_get_item(request, now_ms),
            "TransactWriteItems" => self.transact_write_items(request, now_ms),
            other => panic!("the adapters use no {other}"),
        };
        response.map_or_else(|error| error, ServiceResponse::ok)
    }

    fn table(&mut self, request: &Value) -> &mut Table {
        let name = request["TableName"].as_str().expect("a table's name");
        self.tables.entry(name.to_owned()).or_insert_with(|| Table::new(name))
    }

    /// Consumes units of a partition, or refuses.
    fn consume(
        &mut self,
        request: &Value,
        partition: &str,
        use_: Use,
        now_ms: i64,
    ) -> Result<(), ServiceResponse> {
        let limits = self.limits;
        let label = label(request["TableName"].as_str().expect("a table's name"), partition);
        let is_admitted = self.table(request).consume(partition, use_, limits, now_ms);
        let units = self.units.entry(label).or_default();
        if !is_admitted {
            units.throttled += 1;
            return Err(throttled());
        }
        match use_ {
            Use::Write(written) => {
                units.written += written;
                units.writes += 1;
            }
            Use::Read(half_read) => {
                units.half_read += half_read;
                units.reads += 1;
            }
        }
        Ok(())
    }

    fn write(&mut self, operation: &str, request: &Value, now_ms: i64) -> Result<Value, ServiceResponse> {
        let written = self.prepare(operation, request)?;
        self.consume(request, &written.key.0, Use::Write(written.units()), now_ms)?;
        if !written.holds {
            let old = (request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD").then_some(written.old);
            let name = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
            let mut error = ServiceResponse::error(name, "The conditional request failed");
            if let Some(Some(old)) = old {
                error.body["Item"] = Value::Object(old);
            }
            return Err(error);
        }
        self.table(request).items.insert(written.key, written.item);
        Ok(json!({}))
    }

    /// What a put or an update would write.
    fn prepare(&mut self, operation: &str, request: &Value) -> Result<Write, ServiceResponse> {
        let table = self.table(request);
        let keys = if operation == "PutItem" { &request["Item"] } else { &request["Key"] };
        let key = table.key(keys);
        let old = table.items.get(&key).cloned();
        let condition = request["ConditionExpression"].as_str();
        let holds = condition.is_none_or(|condition| holds(condition, request, old.as_ref()));
        let mut item = keys.as_object().expect("an object").clone();
        if let Some(expression) = request["UpdateExpression"].as_str() {
            item.extend(old.clone().unwrap_or_default());
            update(expression, request, &mut item);
        }
        if size(&item) > MAX_ITEM_BYTES {
            return Err(invalid("Item size has exceeded the maximum allowed size"));
        }
        Ok(Write { key, old, item, holds })
    }

    fn get_item(&mut self, request: &Value, now_ms: i64) -> Result<Value, ServiceResponse> {
        let table = self.table(request);
        let key = table.key(&request["Key"]);
        let item = table.items.get(&key).cloned();
        let use_ = read_use(item.as_ref().map_or(0, size), &request["ConsistentRead"]);
        self.consume(request, &key.0, use_, now_ms)?;
        Ok(item.map_or(json!({}), |item| json!({ "Item": item })))
    }

    fn query(&mut self, request: &Value, now_ms: i64) -> Result<Value, ServiceResponse> {
        let table = self.table(request);
        let condition = request["KeyConditionExpression"].as_str().expect("a condition");
        let placeholder = condition.split(' ').nth(2).expect("a value");
        let partition = value_of(placeholder, request)["S"].as_str().expect("text").to_owned();
        let found = table.items.range((partition.clone(), SortKey::Absent)..);
        let found = found.take_while(|((of, _), _)| *of == partition);
        let mut found: Vec<(Key, Item)> = found
            .filter(|(_, item)| holds(condition, request, Some(item)))
            .map(|(key, item)| (key.clone(), item.clone()))
            .collect();
        let is_backward = request["ScanIndexForward"] == false;
        if is_backward {
            found.reverse();
        }
        if let Some(start) = request["ExclusiveStartKey"].as_object() {
            let start = table.key(&Value::Object(start.clone()));
            found.retain(|(key, _)| if is_backward { *key < start } else { *key > start });
        }
        let limit = request["Limit"]
            .as_u64()
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let (mut bytes, mut page, mut last) = (0, Vec::new(), None);
        let is_all = |page: &Vec<Value>| page.len() == found.len();
        for (key, item) in &found {
            bytes += size(item);
            page.push(Value::Object(item.clone()));
            last = Some(key.clone());
            if page.len() == limit || bytes >= MAX_PAGE_BYTES {
                break;
            }
        }
        let is_all = is_all(&page);
        let start = last.filter(|_| !is_all).map(|key| table.key_value(&key));
        self.consume(request, &partition, read_use(bytes, &request["ConsistentRead"]), now_ms)?;
        let mut answer = json!({ "Count": page.len(), "Items": page });
        if let Some(start) = start {
            answer["LastEvaluatedKey"] = start;
        }
        Ok(answer)
    }

    fn batch_get_item(&mut self, request: &Value, now_ms: i64) -> Result<Value, ServiceResponse> {
        let (mut responses, mut unprocessed) = (json!({}), json!({}));
        let mut bytes = 0;
        let requested = request["RequestItems"].as_object().expect("tables");
        if requested.values().map(|of| of["Keys"].as_array().map_or(0, Vec::len)).sum::<usize>()
            > MAX_BATCH_KEYS
        {
            return Err(invalid("Too many items requested for the BatchGetItem call"));
        }
        let (mut found_any, mut throttled_any) = (false, false);
        for (name, of) in requested {
            let of_table = json!({ "TableName": name });
            let (mut found, mut left) = (Vec::new(), Vec::new());
            for keys in of["Keys"].as_array().expect("keys") {
                let table = self.table(&of_table);
                let key = table.key(keys);
                let item = table.items.get(&key).cloned();
                let length = item.as_ref().map_or(0, size);
                let is_over = bytes + length > MAX_BATCH_BYTES;
                let use_ = read_use(length, &of["ConsistentRead"]);
                if is_over || self.consume(&of_table, &key.0, use_, now_ms).is_err() {
                    throttled_any |= !is_over;
                    left.push(keys.clone());
                    continue;
                }
                bytes += length;
                found_any = true;
                found.extend(item.map(Value::Object));
            }
            responses[name] = Value::Array(found);
            if !left.is_empty() {
                let mut of = of.clone();
                of["Keys"] = Value::Array(left);
                unprocessed[name] = of;
            }
        }
        if throttled_any && !found_any {
            return Err(throttled());
        }
        Ok(json!({ "Responses": responses, "UnprocessedKeys": unprocessed }))
    }

    fn transact_write_items(&mut self, request: &Value, now_ms: i64) -> Result<Value, ServiceResponse> {
        let actions = request["TransactItems"].as_array().expect("actions");
        if actions.len() > MAX_TRANSACTION_ACTIONS {
            return Err(invalid("Member must have length less than or equal to 100"));
        }
        let mut writes = Vec::new();
        for action in actions {
            let (operation, request) = if action["Put"].is_null() {
                ("UpdateItem", &action["Update"])
            } else {
                ("PutItem", &action["Put"])
            };
            writes.push((request, self.prepare(operation, request)?));
        }
        if writes.iter().map(|(_, write)| size(&write.item)).sum::<usize>() > MAX_TRANSACTION_BYTES {
            return Err(invalid("Collection size of items in the transaction exceeds 4 MB"));
        }
        // A write of a transaction consumes twice what it consumes alone.
        for (request, write) in &writes {
            self.consume(request, &write.key.0, Use::Write(2 * write.units()), now_ms)?;
        }
        if writes.iter().any(|(_, write)| !write.holds) {
            let reason = |holds| {
                if holds { json!({ "Code": "None" }) } else { json!({ "Code": "ConditionalCheckFailed" }) }
            };
            let reasons: Vec<Value> = writes.iter().map(|(_, write)| reason(write.holds)).collect();
            let name = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
            let mut error = ServiceResponse::error(name, "Transaction cancelled");
            error.body["CancellationReasons"] = Value::Array(reasons);
            return Err(error);
        }
        for (request, write) in writes {
            self.table(request).items.insert(write.key, write.item);
        }
        Ok(json!({}))
    }
}

/// What a request uses.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// Write units.
    Write(u64),
    /// Halves of read units.
    Read(u64),
}

/// A write that has not been made.
struct Write {
    key: Key,
    old: Option<Item>,
    item: Item,
    holds: bool,
}

impl Write {
    /// By the larger of the item before and after; a write whose condition fails consumes by the item that is there.
    fn units(&self) -> u64 {
        let old = self.old.as_ref().map_or(0, size);
        let larger = if self.holds { old.max(size(&self.item)) } else { old };
        larger.div_ceil(WRITE_UNIT_BYTES).max(1) as u64
    }
}

impl Table {
    fn new(name: &str) -> Self {
        let deployment: Value = serde_json::from_str(DEPLOYMENT).expect("deployment.json is JSON");
        let (_, table) = name.split_once('-').expect("a deployment and a table");
        let of = |key: &str| deployment["tables"][table][key]["name"].as_str().map(str::to_owned);
        Self {
            partition_key: of("partitionKey").unwrap_or_else(|| panic!("no table {table}")),
            sort_key: of("sortKey"),
            items: BTreeMap::new(),
            partitions: BTreeMap::new(),
            all: None,
        }
    }

    fn key(&self, item: &Value) -> Key {
        let partition = item[&self.partition_key]["S"].as_str().expect("a partition key");
        let sort = self.sort_key.as_ref().map_or(SortKey::Absent, |name| SortKey::of(&item[name]));
        (partition.to_owned(), sort)
    }

    fn key_value(&self, (partition, sort): &Key) -> Value {
        let mut value = json!({ &self.partition_key: { "S": partition } });
        if let Some(name) = &self.sort_key {
            value[name] = match sort {
                SortKey::Absent => Value::Null,
                SortKey::Number(number) => json!({ "N": number.to_string() }),
                SortKey::Text(text) => json!({ "S": text }),
            };
        }
        value
    }

    /// Takes the use from the limits of the partition and of the table, if both have room for it. Every partition key
    /// counts as a partition of its own: DynamoDB isolates a key that is in demand.
    fn consume(&mut self, partition: &str, use_: Use, limits: TableLimits, now_ms: i64) -> bool {
        let seconds = if limits.has_burst { BURST_SECONDS } else { 1 };
        let (writes, reads) = (limits.table_write_units, limits.table_read_units);
        let all = self.all.get_or_insert_with(|| Capacity::new(writes, reads, 1, now_ms));
        let of_partition = || Capacity::new(PARTITION_WRITE_UNITS, PARTITION_READ_UNITS, seconds, now_ms);
        let partition = self.partitions.entry(partition.to_owned()).or_insert_with(of_partition);
        let is_admitted = partition.has(use_, now_ms) && all.has(use_, now_ms);
        if is_admitted {
            partition.take(use_);
            all.take(use_);
        }
        is_admitted
    }
}

impl Capacity {
    fn new(writes: i64, reads: i64, seconds: i64, now_ms: i64) -> Self {
        // Reads are counted in halves.
        Self {
            writes: RateLimit::new(writes, seconds, now_ms),
            reads: RateLimit::new(2 * reads, seconds, now_ms),
        }
    }

    fn has(&mut self, use_: Use, now_ms: i64) -> bool {
        let (limit, units) = self.limit(use_);
        limit.has(units, now_ms)
    }

    fn take(&mut self, use_: Use) {
        let (limit, units) = self.limit(use_);
        limit.take(units);
    }

    fn limit(&mut self, use_: Use) -> (&mut RateLimit, i64) {
        let (limit, units) = match use_ {
            Use::Write(units) => (&mut self.writes, units),
            Use::Read(units) => (&mut self.reads, units),
        };
        (limit, i64::try_from(units).expect("an item is small"))
    }
}

fn read_use(bytes: usize, is_consistent: &Value) -> Use {
    let units = bytes.div_ceil(READ_UNIT_BYTES).max(1) as u64;
    Use::Read(if *is_consistent == true { 2 * units } else { units })
}

/// The kind of item: the table, and how its partition key begins.
fn label(table: &str, partition: &str) -> String {
    let (_, table) = table.split_once('-').expect("a deployment and a table");
    let kind = match (table, partition) {
        ("checkpoints", key) if key.contains('#') => " parts",
        ("checkpoints", key) if key.starts_with("city/") => " of cities",
        ("checkpoints", key) if key.starts_with("lane") => " of lanes",
        _ => "",
    };
    format!("{table}{kind}")
}

fn throttled() -> ServiceResponse {
    let name = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
    ServiceResponse::error(name, "The level of configured provisioned throughput for the table was exceeded")
}

fn invalid(message: &str) -> ServiceResponse {
    ServiceResponse::error("com.amazon.coral.validate#ValidationException", message)
}

#[cfg(test)]
mod tests;
