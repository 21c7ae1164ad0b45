//! Queues, metrics and the status of the cache: the dead-letter queue, the on-failure destination, CloudWatch and
//! ElastiCache.

use std::time::Duration;

use aws_sdk_elasticache::Client as ElastiCache;
use aws_sdk_sqs::Client as Sqs;
use equilibrium_app::capacity::ports::LoadSource;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::contract;
use equilibrium_app::count::ports::{DeadLetter, DeadLetterQueue};
use equilibrium_app::health::cache_status::CacheState;
use equilibrium_app::telemetry::metrics::{
    EVENTS_ACCEPTED, EVENTS_LATE, ITERATOR_AGE, QUOTES_ISSUED, TICKS_CLOSED,
};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_aws::cloudwatch::{Greatest, Metrics};
use equilibrium_aws::dead_letters::SqsDeadLetterQueue;
use equilibrium_aws::elasticache::cache_status;
use equilibrium_aws::load::DeploymentLoad;
use equilibrium_aws::on_failure::SqsOnFailureDestination;
use equilibrium_domain::capacity::system::Settings;
use equilibrium_domain::event::Refusal;
use equilibrium_domain::event::sequence::Sequence;
use equilibrium_event_source::poller::OnFailure;
use equilibrium_event_source::record::{Discarded, Reason};
use equilibrium_lambda::kinesis::record::ShardId;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(20);

/// Creates a queue; returns a client, its name and its URL.
async fn queue() -> (Sqs, String, String) {
    let (client, name) = (Sqs::new(&sdk_config(&emulator().endpoint)), unique_name("queue"));
    let created = client.create_queue().queue_name(&name).send().await.unwrap();
    (client, name, created.queue_url.unwrap())
}

async fn messages(client: &Sqs, url: &str) -> Vec<Value> {
    let mut bodies = Vec::new();
    loop {
        let received =
            client.receive_message().queue_url(url).max_number_of_messages(10).send().await.unwrap();
        if received.messages().is_empty() {
            return bodies;
        }
        for message in received.messages() {
            bodies.push(serde_json::from_str(message.body().unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn the_queue_meets_the_contract_of_the_dead_letter_queue() {
    let (client, _, url) = queue().await;
    let queue = SqsDeadLetterQueue::at(&sdk_config(&emulator().endpoint), url.clone(), DEADLINE);
    let parse = |message: Value| {
        let text = |field: &str| message[field].as_str().unwrap().to_owned();
        let count = |field: &str| usize::try_from(message[field].as_u64().unwrap()).unwrap();
        DeadLetter {
            line: base64_simd::STANDARD.decode_to_vec(text("line")).unwrap(),
            length: count("length"),
            code: Refusal::CODES.into_iter().find(|code| *code == text("code")).unwrap(),
            message: text("message"),
            sequence: Sequence::new(&text("sequence")).unwrap(),
            index: count("index"),
            arrival_ms: message["arrival_ms"].as_i64().unwrap(),
        }
    };
    let read = async || messages(&client, &url).await.into_iter().map(parse).collect();
    contract::dead_letter_queue(&queue, read).await;
}

#[tokio::test]
async fn dead_letters_arrive_in_their_queue() {
    let (client, _, url) = queue().await;
    let dead_letters = SqsDeadLetterQueue::at(&sdk_config(&emulator().endpoint), url.clone(), DEADLINE);
    let dead_letter = |index: usize| DeadLetter {
        line: vec![0xff, b'{', b'"'],
        length: 3,
        code: "malformed_json",
        message: "not UTF-8".into(),
        sequence: Sequence::new("4967").unwrap(),
        index,
        arrival_ms: 1_772_816_410_612,
    };
    dead_letters.send((0..25).map(dead_letter).collect()).await.unwrap();
    let mut received = messages(&client, &url).await;
    received.sort_by_key(|message| message["index"].as_u64());
    assert_eq!(received.len(), 25);
    assert_eq!(
        received[7],
        json!({"line": "/3si", "length": 3, "code": "malformed_json", "message": "not UTF-8",
            "sequence": "4967", "index": 7, "arrival_ms": 1_772_816_410_612_i64})
    );
}

#[tokio::test]
async fn discarded_batches_are_reported_in_lambdas_format() {
    let (client, name, url) = queue().await;
    let arns = ["arn:aws:lambda:us-east-1:0:function:count", "arn:aws:kinesis:us-east-1:0:stream/events"];
    let [function, stream] = arns.map(str::to_owned);
    let config = sdk_config(&emulator().endpoint);
    let queue = SqsOnFailureDestination::find(&config, &name, function, stream, DEADLINE).await.unwrap();
    let sequence = |digits| Sequence::new(digits).unwrap();
    queue
        .report(Discarded {
            shard: ShardId::numbered(3),
            reason: Reason::TooOld,
            first: sequence("100"),
            last: sequence("117"),
            count: 9,
            first_arrival_ms: 1_772_816_410_612,
            last_arrival_ms: 1_772_816_411_000,
            attempts: 4,
        })
        .await;
    let [message] = &messages(&client, &url).await[..] else { panic!("not one message") };
    assert_eq!(
        message["KinesisBatchInfo"],
        json!({"shardId": "shardId-000000000003", "startSequenceNumber": "100", "endSequenceNumber": "117",
            "approximateArrivalOfFirstRecord": "2026-03-06T17:00:10.612Z",
            "approximateArrivalOfLastRecord": "2026-03-06T17:00:11.000Z",
            "batchSize": 9, "streamArn": arns[1]})
    );
    assert_eq!(
        message["requestContext"],
        json!({"functionArn": arns[0], "condition": "RecordAgeExceeded", "approximateInvokeCount": 4})
    );
}

#[tokio::test]
async fn a_missing_on_failure_queue_is_an_error_at_the_start() {
    let config = sdk_config(&emulator().endpoint);
    let found =
        SqsOnFailureDestination::find(&config, "no-such-queue", String::new(), String::new(), DEADLINE).await;
    assert_eq!(found.map(drop), Err(Unavailable));
}

#[tokio::test]
async fn metrics_are_read_as_they_were_written() {
    let of = |deployment: &str| Metrics::new(&sdk_config(&emulator().endpoint), deployment.into(), DEADLINE);
    let (metrics, other_deployment) = (of("production"), of("staging"));
    // The start of a recent minute.
    let minute = (system_now_ms() / 60_000 - 3) * 60_000;
    for (at_ms, value) in [(minute, 250.0), (minute + 20_000, 900.0), (minute + 61_000, 40.0)] {
        metrics.put("metrics-test", ITERATOR_AGE, at_ms, value).await.unwrap();
    }
    let period = Duration::from_mins(1);
    let range = (minute, minute + 120_000);
    let greatest = metrics.greatest("metrics-test", ITERATOR_AGE, range, period).await.unwrap();
    assert_eq!(
        greatest,
        [Greatest { at_ms: minute, value: 900.0 }, Greatest { at_ms: minute + 60_000, value: 40.0 }]
    );
    assert_eq!(metrics.greatest("another", ITERATOR_AGE, range, period).await.unwrap(), []);
    let elsewhere = other_deployment.greatest("metrics-test", ITERATOR_AGE, range, period).await;
    assert_eq!(elsewhere.unwrap(), [], "deployments of one account share no metric");
    assert_eq!(metrics.greatest("metrics-test", EVENTS_LATE, range, period).await.unwrap(), []);
}

#[tokio::test]
async fn the_load_of_a_deployment_is_that_of_its_busiest_minutes() {
    let (config, deployment) = (sdk_config(&emulator().endpoint), unique_name("load"));
    let metrics = Metrics::new(&config, deployment.clone(), DEADLINE);
    let load = DeploymentLoad::new(&config, deployment, Settings::DEFAULT, DEADLINE);
    let now_ms = system_now_ms();
    assert_eq!(load.observed(now_ms).await.unwrap().events_per_s, None);
    let busy_ms = (now_ms / 300_000 - 3) * 300_000;
    for (at_ms, value) in [(busy_ms - 300_000, 3_000.0), (busy_ms, 30_000.0), (busy_ms + 60_000, 60_000.0)] {
        metrics.put("ingest", EVENTS_ACCEPTED, at_ms, value).await.unwrap();
    }
    metrics.put("quote", QUOTES_ISSUED, busy_ms, 600.0).await.unwrap();
    metrics.put("surge", TICKS_CLOSED, busy_ms, 120.0).await.unwrap();
    let observed = load.observed(now_ms).await.unwrap();
    assert_eq!((observed.events_per_s, observed.quotes_per_s), (Some(300.0), Some(2.0)));
    assert_eq!((observed.cities, observed.confirmations_per_s), (Some(2.0), None));
}

#[tokio::test]
async fn the_status_of_a_cache_is_read() {
    let (client, id) = (ElastiCache::new(&sdk_config(&emulator().endpoint)), unique_name("cache"));
    assert_eq!(cache_status(&client, &id, DEADLINE).await, Ok(None));
    let group = client.create_replication_group().replication_group_id(&id);
    group.replication_group_description("maps").num_cache_clusters(2).send().await.unwrap();
    let status = cache_status(&client, &id, DEADLINE).await.unwrap().unwrap();
    assert_eq!(status.state, CacheState::Available);
    assert!(status.serves());
    assert!(status.shards[0].primary.is_some());
}

#[tokio::test]
async fn unreachable_services_are_unavailable_within_the_deadline() {
    // Nothing listens on port 1.
    let config = sdk_config("http://127.0.0.1:1");
    let deadline = Duration::from_secs(3);
    let metrics = Metrics::new(&config, "test".into(), deadline);
    let (put, read, status) = tokio::time::timeout(2 * deadline, async {
        tokio::join!(
            metrics.put("count", ITERATOR_AGE, 0, 1.0),
            metrics.greatest("count", ITERATOR_AGE, (0, 60_000), Duration::from_mins(1)),
            status_of_cache(&config, deadline),
        )
    })
    .await
    .unwrap();
    assert_eq!((put, read, status), (Err(Unavailable), Err(Unavailable), Err(Unavailable)));
    let load = DeploymentLoad::new(&config, "test".into(), Settings::DEFAULT, deadline);
    assert_eq!(load.observed(system_now_ms()).await, Err(Unavailable));
}

async fn status_of_cache(config: &aws_config::SdkConfig, deadline: Duration) -> Result<(), Unavailable> {
    cache_status(&ElastiCache::new(config), "cache", deadline).await.map(drop)
}
