//! The whole system on an emulator, from request to price, with every function in a process of its own.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client as SecretsManager;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore};
use equilibrium_aws::dynamodb::{self, Policies, Tables};
use equilibrium_aws::kinesis::{self, KinesisConsumer, Streams};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_aws::secrets::pseudonym_key_name;
use equilibrium_domain::id::{CityId, LaneCount};
use equilibrium_event_source::poller::{EventSourcePoller, OnFailure, Target};
use equilibrium_event_source::record::Discarded;
use equilibrium_event_source::service::runtime_api::{Function, LambdaProcess};
use equilibrium_event_source::settings::{MAX_BATCH_SIZE, Settings};
use equilibrium_lambda::kinesis::encode::Stream;
use equilibrium_local::commands::replay::Replay;
use equilibrium_simulator::city::{City, Settings as CitySettings, policy};
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use equilibrium_tests::harness::redis::RedisServer;
use serde_json::{Value, json};
use tempfile::TempDir;

const PAST_MS: i64 = 120_000;
const DRIVERS: NonZeroU32 = NonZeroU32::new(300).unwrap();
const SHARDS: i32 = 2;
const LANES: &str = "8";
const BODY_EVENTS: usize = 500;
/// Limit of waiting for the map.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Demand, supply and multiplier by cell.
type Cells = BTreeMap<String, (u64, u64, f64)>;

/// An on-failure destination that fails the test.
pub struct NoDiscards;

impl OnFailure for NoDiscards {
    async fn report(&self, discarded: Discarded) {
        panic!("discarded: {discarded:?}");
    }
}

/// The program of a function, built with this test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(|deps| deps.parent()).unwrap().join(name);
    assert!(program.exists(), "{} is missing: build with --all-features", program.display());
    program
}

fn function(name: &str, environment: &[(&str, &str)]) -> LambdaProcess {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    LambdaProcess::new(Function {
        name: name.into(),
        program: program(name),
        environment,
        timeout: Duration::from_mins(1),
    })
}

/// The names of a stream in Kinesis events.
pub fn event_source(stream: &str) -> Stream {
    Stream {
        arn: format!("arn:aws:kinesis:us-east-1:000000000000:stream/{stream}").into(),
        region: "us-east-1".into(),
        role_arn: "arn:aws:iam::000000000000:role/equilibrium".into(),
    }
}

fn mapping(name: &str, connection: &kinesis::Connection, stream: &str, function: LambdaProcess) -> Mapping {
    let settings = Settings {
        batch_size: MAX_BATCH_SIZE,
        report_batch_item_failures: true,
        poll_ms: 50,
        ..Settings::default()
    };
    EventSourcePoller::new(
        settings,
        event_source(name),
        KinesisConsumer::new(connection, stream),
        function,
        NoDiscards,
    )
    .unwrap()
}

type Mapping = EventSourcePoller<KinesisConsumer, LambdaProcess, NoDiscards>;

/// Invokes a function with a request of API Gateway; the status and body of its response.
async fn request(function: &LambdaProcess, method: &str, path: &str, body: &str) -> (u64, Value) {
    let payload = json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "", "isBase64Encoded": false,
        "headers": {"content-type": "application/x-ndjson"},
        "requestContext": {"http": {"method": method}, "stage": "$default"},
        "body": body,
    });
    let response = function.invoke(payload.to_string().as_bytes()).await.unwrap();
    let response: Value = serde_json::from_slice(&response).unwrap();
    let body = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    (response["statusCode"].as_u64().unwrap(), body)
}

fn cell(row: &Value) -> (String, (u64, u64, f64)) {
    let values = (
        row["demand"].as_u64().unwrap(),
        row["supply"].as_u64().unwrap(),
        row["multiplier"].as_f64().unwrap(),
    );
    (row["cell"].as_str().unwrap().to_owned(), values)
}

/// The cells of a replay, by tick.
async fn replay(events: &str) -> BTreeMap<String, Cells> {
    let folder = TempDir::new().unwrap();
    let [file, city, out] = ["events", "city", "ticks"].map(|name| folder.path().join(name));
    fs::write(&file, events).unwrap();
    fs::write(&city, policy::JSON).unwrap();
    let replay = Replay { events: file, out: out.clone(), city: Some(city), lanes: LaneCount::ONE };
    assert_eq!(replay.run(&mut Vec::new()).await.unwrap().refused, 0);
    let mut ticks: BTreeMap<String, Cells> = BTreeMap::new();
    for line in fs::read_to_string(&out).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        ticks.entry(row["at"].as_str().unwrap().to_owned()).or_default().extend([cell(&row)]);
    }
    ticks
}

/// A deployment of every function as a process, with storage on the emulator and a cache.
struct Fixture {
    redis: RedisServer,
    kinesis: kinesis::Connection,
    streams: Streams,
    ingest: LambdaProcess,
    count: LambdaProcess,
    surge: LambdaProcess,
    price: LambdaProcess,
}

impl Fixture {
    async fn new() -> Self {
        let (emulator, redis) = (emulator(), RedisServer::start(&[]));
        let sdk = sdk_config(&emulator.endpoint);
        let deployment = unique_name("end-to-end");
        let (tables, streams) = (Tables::named(&deployment), Streams::named(&deployment));
        let dynamodb = dynamodb::Connection::new(&sdk, RetryPolicy::default());
        let kinesis = kinesis::Connection::new(&sdk, RetryPolicy::default());
        tables.create(&dynamodb).await.unwrap();
        streams.create(&kinesis, SHARDS).await.unwrap();
        let key = SecretsManager::new(&sdk).create_secret().name(pseudonym_key_name(&deployment));
        key.secret_string("000102030405060708090a0b0c0d0e0f").send().await.unwrap();
        let nyc = CityId::new("nyc").unwrap();
        Policies::new(&dynamodb, &tables).save(&nyc, NewVersion::local(policy::JSON), None).await.unwrap();

        let cache = redis.url();
        let dead_letters = format!("{}/000000000000/dead-letters", emulator.endpoint);
        let environment = [
            ("AWS_ENDPOINT_URL", emulator.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("EQUILIBRIUM_DEPLOYMENT", &deployment),
            ("EQUILIBRIUM_LANES", LANES),
            ("EQUILIBRIUM_MAX_HOLD_MS", "4000000000"),
            ("EQUILIBRIUM_CACHE_URLS", &cache),
            ("EQUILIBRIUM_AUTH", "off"),
            ("EQUILIBRIUM_RATE_LIMITS", "off"),
            ("EQUILIBRIUM_DEAD_LETTERS_URL", &dead_letters),
        ];
        let [ingest, count, surge, price] =
            ["ingest", "count", "surge", "price"].map(|name| function(name, &environment));
        Self { redis, kinesis, streams, ingest, count, surge, price }
    }
}

/// Invokes the functions until the map is as of the tick `last` or a later one.
async fn process_until(last: &str, mut count: Mapping, mut surge: Mapping, price: &LambdaProcess) -> Value {
    let started = Instant::now();
    loop {
        count.poll(system_now_ms()).await;
        surge.poll(system_now_ms()).await;
        let (status, map) = request(price, "GET", "/v1/cities/nyc/surge", "").await;
        assert_eq!(status, 200);
        if map["as_of"].as_str().is_some_and(|as_of| as_of >= last) {
            return map;
        }
        assert!(started.elapsed() < TIMEOUT, "the map is still as of {}", map["as_of"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_map_equals_that_of_a_replay_when_every_function_is_a_process() {
    let Fixture { redis, kinesis, streams, ingest, count, surge, price } = Fixture::new().await;
    let (mut events, now_ms) = (Vec::new(), system_now_ms());
    let settings = CitySettings { drivers: DRIVERS, crowd: 60, ..CitySettings::new(3, now_ms - PAST_MS) };
    City::new(&settings, &policy::policy()).advance(now_ms, &mut events);
    let events = String::from_utf8(events).unwrap();
    let ticks = replay(&events).await;

    let (status, before) = request(&price, "GET", "/v1/cities/nyc/surge", "").await;
    assert_eq!((status, &before["as_of"]), (200, &Value::Null));
    for body in events.split_inclusive('\n').collect::<Vec<_>>().chunks(BODY_EVENTS) {
        let (status, receipt) = request(&ingest, "POST", "/v1/events", &body.concat()).await;
        assert_eq!((status, receipt), (202, json!({"accepted": body.len(), "refused": []})));
    }

    // A replay closes one more tick than a live run.
    let last = *ticks.keys().nth_back(1).as_ref().unwrap();
    let count = mapping("events", &kinesis, &streams.events, count);
    let surge = mapping("counts", &kinesis, &streams.counts, surge);
    let map = process_until(last, count, surge, &price).await;

    let as_of = map["as_of"].as_str().unwrap();
    let cells: Cells = map["cells"].as_array().unwrap().iter().map(cell).collect();
    assert_eq!(map["completeness"], 1.0);
    assert!(cells == ticks[as_of], "the map as of {as_of} differs from the replay");
    assert!(redis.command(&["KEYS", "*"]).contains("nyc"), "the cache has a copy");
}
