//! The levers of a recovery on AWS: fresh environments of `count` and `surge`, their mappings, and a bridge while one is away.
//!
//! A mapping takes minutes to begin, and its `State` does not tell whether it polls; no step waits for it.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::error::DisplayErrorContext;
use aws_sdk_lambda::primitives::{Blob, DateTime};
use aws_sdk_lambda::types::{
    DestinationConfig, EventSourceMappingConfiguration, EventSourcePosition, FunctionResponseType,
    LastUpdateStatus, OnFailure,
};
use equilibrium_app::checkpoint::ports::{CheckpointKey, CheckpointLog};
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::recover::ports::{Details, Levers, StreamState};
use equilibrium_app::recover::verify::{LogState, verify_log};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::id::LaneCount;
use equilibrium_domain::recovery::RecoveryId;
use equilibrium_event_source::mapping::EventSourceMapping;
use equilibrium_event_source::mapping_config::{MappingConfig, mappings};
use equilibrium_event_source::poller::{EventSourcePoller, NeverDiscard, Source};
use equilibrium_event_source::settings::Settings;
use equilibrium_lambda::kinesis::encode;
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::invoke::LambdaInvoker;
use crate::kinesis::{Connection, KinesisConsumer};

/// Limit of a call of Lambda's API.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Limit of an invocation by the bridge, as that of the functions.
const INVOCATION_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a function may take to replace its environments.
const UPDATE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a turn of the bridge takes: less than a lease is held.
const BRIDGE_TURN: Duration = Duration::from_secs(5);

/// The time between two polls of an idle shard by the bridge, in milliseconds.
const BRIDGE_POLL_MS: i64 = 500;

/// A lost mapping begins this long before the oldest position of a checkpoint, in milliseconds: arrivals are approximate.
const MARGIN_MS: i64 = 60_000;

/// A mapping that has processed nothing has this result.
const NOTHING_PROCESSED: &str = "No records processed";

type Bridge = EventSourcePoller<KinesisConsumer, LambdaInvoker, NeverDiscard>;

/// The levers of a deployment.
#[derive(Debug)]
pub struct AwsLevers<C, P> {
    sdk: SdkConfig,
    client: aws_sdk_lambda::Client,
    kinesis: Connection,
    deployment: String,
    lanes: LaneCount,
    logs: C,
    policies: P,
    bridge: Mutex<Option<Vec<Bridge>>>,
}

impl<C: CheckpointLog, P: PolicySource> AwsLevers<C, P> {
    /// Levers of the deployment with this name, and number of lanes of the stream of events.
    pub fn new(
        sdk: &SdkConfig,
        kinesis: Connection,
        (deployment, lanes): (String, LaneCount),
        (logs, policies): (C, P),
    ) -> Self {
        let client = aws_sdk_lambda::Client::new(sdk);
        Self {
            sdk: sdk.clone(),
            client,
            kinesis,
            deployment,
            lanes,
            logs,
            policies,
            bridge: Mutex::default(),
        }
    }

    fn name(&self, short: &str) -> String {
        format!("{}-{short}", self.deployment)
    }

    /// The mapping of a function from a stream, if there is one.
    async fn mapping(
        &self,
        function: &str,
        stream_arn: &str,
    ) -> Result<Option<EventSourceMappingConfiguration>, Unavailable> {
        let listed = self.client.list_event_source_mappings().function_name(self.name(function));
        let listed = listed.event_source_arn(stream_arn).send();
        let listed = within(CALL_TIMEOUT, "ListEventSourceMappings", listed).await?;
        Ok(listed.event_source_mappings.unwrap_or_default().into_iter().next())
    }

    fn consumer(&self, config: &MappingConfig) -> KinesisConsumer {
        KinesisConsumer::new(&self.kinesis, &self.name(&config.stream))
    }

    /// Makes the mapping of a function again. It reads from a whole second on.
    async fn create_mapping(
        &self,
        (function, config, stream_arn): (&str, &MappingConfig, &str),
        from_ms: Option<i64>,
    ) -> Result<(), Unavailable> {
        let request = self
            .client
            .create_event_source_mapping()
            .function_name(self.name(function))
            .event_source_arn(stream_arn)
            .batch_size(i32::try_from(config.batch_size).unwrap_or(i32::MAX))
            .maximum_batching_window_in_seconds(i32::try_from(config.batching_window_seconds).unwrap_or(0))
            .bisect_batch_on_function_error(config.bisect_on_error)
            .maximum_record_age_in_seconds(i32::try_from(config.maximum_record_age_seconds).unwrap_or(-1))
            .function_response_types(FunctionResponseType::ReportBatchItemFailures)
            .parallelization_factor(1);
        let queue = stream_arn.replacen(":kinesis:", ":sqs:", 1);
        let queue =
            queue.rsplit_once(':').map(|(account, _)| format!("{account}:{}", self.name(&config.on_failure)));
        let on_failure = OnFailure::builder().set_destination(queue).build();
        let request = request.destination_config(DestinationConfig::builder().on_failure(on_failure).build());
        let request = match from_ms {
            Some(from_ms) => request
                .starting_position(EventSourcePosition::AtTimestamp)
                .starting_position_timestamp(DateTime::from_secs(from_ms.div_euclid(1_000))),
            None => request.starting_position(EventSourcePosition::TrimHorizon),
        };
        within(CALL_TIMEOUT, "CreateEventSourceMapping", request.send()).await.map(drop)
    }

    async fn poller(
        &self,
        (function, config, stream_arn): (&str, &MappingConfig, String),
        from_ms: Option<i64>,
    ) -> Result<Bridge, Unavailable> {
        let consumer = self.consumer(config);
        let consumer = match from_ms {
            Some(from_ms) => consumer.starting_at(from_ms),
            None => consumer,
        };
        let target = LambdaInvoker::new(&self.sdk, None, self.name(function), INVOCATION_TIMEOUT);
        let stream = encode::Stream {
            region: stream_arn.split(':').nth(3).unwrap_or_default().into(),
            role_arn: stream_arn.as_str().into(),
            arn: stream_arn.as_str().into(),
        };
        // The mapping discards what is too old, if anything: the bridge gives nothing up.
        let settings = Settings { max_record_age_ms: None, ..config.settings(BRIDGE_POLL_MS) };
        let mapping = EventSourceMapping::new(settings, stream, Vec::new()).map_err(|_| Unavailable)?;
        Ok(EventSourcePoller::of(mapping, consumer, target, NeverDiscard))
    }

    /// The least arrival over logs of a kind up to which records are in their logs.
    async fn reached_ms(
        &self,
        is_of_kind: fn(&CheckpointKey) -> bool,
    ) -> Result<(Option<i64>, u64), Unavailable> {
        let keys = self.logs().await?.into_iter().filter(is_of_kind);
        let read = keys.map(|key| async move {
            let state = verify_log(&self.logs, &key).await?;
            Ok::<_, Unavailable>((state, self.logs.load(&key, None).await?.next()))
        });
        let (mut least, mut progress) = (None, 0);
        for (state, next) in try_join_all(read).await? {
            progress += next;
            if let LogState::Readable { reached_ms: Some(reached_ms) } = state {
                least = Some(least.map_or(reached_ms, |least: i64| least.min(reached_ms)));
            }
        }
        Ok((least, progress))
    }

    async fn stream(&self, config: &MappingConfig, now_ms: i64) -> Result<StreamState, Unavailable> {
        let is_of_lanes = |key: &CheckpointKey| matches!(key, CheckpointKey::Lanes(_));
        let is_of_cities = |key: &CheckpointKey| matches!(key, CheckpointKey::City(_));
        let is_events = config.stream == "events";
        let (reached_ms, progress) =
            self.reached_ms(if is_events { is_of_lanes } else { is_of_cities }).await?;
        let consumer = self.consumer(config);
        let shards = consumer.shards().await.map_err(|_| Unavailable)?;
        let oldest = shards.iter().map(|shard| consumer.oldest_retained(&shard.id));
        let oldest = try_join_all(oldest).await.map_err(|_| Unavailable)?;
        // The first record after the least that every log holds.
        let later = self.consumer(config).starting_at(reached_ms.unwrap_or(0) + 1);
        let waiting = shards.iter().map(|shard| later.read(&shard.id, None, 1));
        let waiting = try_join_all(waiting).await.map_err(|_| Unavailable)?;
        let first = waiting.iter().flat_map(|page| &page.records).map(|record| record.arrival_ms).min();
        Ok(StreamState {
            name: config.stream.clone(),
            waiting_ms: first.map(|arrival_ms| (now_ms - arrival_ms).max(0)),
            progress,
            retained_from_ms: oldest.into_iter().flatten().map(|oldest| oldest.arrival_ms).min(),
            discarded: 0,
        })
    }

    /// Has new environments replace those of a function: a change of its configuration does, even of its description.
    async fn renew(&self, function: &str, id: &RecoveryId) -> Result<(), Unavailable> {
        let name = self.name(function);
        let update = self.client.update_function_configuration().function_name(&name);
        let update = update.description(format!("recovery {id}")).send();
        within(CALL_TIMEOUT, "UpdateFunctionConfiguration", update).await?;
        let deadline = Instant::now() + UPDATE_TIMEOUT;
        loop {
            let read = self.client.get_function_configuration().function_name(&name).send();
            let read = within(CALL_TIMEOUT, "GetFunctionConfiguration", read).await?;
            match read.last_update_status {
                Some(LastUpdateStatus::InProgress) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(500)).await;
                }
                Some(LastUpdateStatus::Failed | LastUpdateStatus::InProgress) => return Err(Unavailable),
                _ => break,
            }
        }
        // A probe: no records, which change nothing.
        let probe =
            self.client.invoke().function_name(&name).payload(Blob::new(br#"{"Records":[]}"#.as_slice()));
        let answer = within(INVOCATION_TIMEOUT, "Invoke", probe.send()).await?;
        if answer.function_error.is_some() { Err(Unavailable) } else { Ok(()) }
    }
}

impl<C: CheckpointLog, P: PolicySource> Levers for AwsLevers<C, P> {
    async fn dead_instances(&self) -> Result<Vec<String>, Unavailable> {
        let mut dead = Vec::new();
        for (function, config) in mappings() {
            let arn = self.consumer(&config).arn().await.map_err(|_| Unavailable)?;
            if self.mapping(&function, &arn).await?.is_none() {
                dead.push(format!("{function} has no mapping from {}", config.stream));
            }
        }
        Ok(dead)
    }

    async fn streams(&self, now_ms: i64) -> Result<Vec<StreamState>, Unavailable> {
        let configs: Vec<MappingConfig> = mappings().into_values().collect();
        try_join_all(configs.iter().map(|config| self.stream(config, now_ms))).await
    }

    async fn logs(&self) -> Result<Vec<CheckpointKey>, Unavailable> {
        let ranges = (0..u16::MAX).map_while(|index| LaneRange::new(self.lanes, index));
        let policies = self.policies.policies(system_now_ms()).await?;
        let cities =
            policies.cities(None).map(|config| CheckpointKey::City(config.pricing.policy.city.clone()));
        Ok(ranges.map(CheckpointKey::Lanes).chain(cities).collect())
    }

    async fn isolate(&self) -> Result<Details, Unavailable> {
        // What runs has lost its logs: it ends when it finds that.
        Ok(Details::new())
    }

    async fn replace(&self, id: &RecoveryId) -> Result<Details, Unavailable> {
        let functions: Vec<String> = mappings().into_keys().collect();
        try_join_all(functions.iter().map(|function| self.renew(function, id))).await?;
        Ok(Details::from_iter([("probed".to_owned(), json!(functions))]))
    }

    async fn read_from(&self, least_arrival_ms: Option<i64>) -> Result<Details, Unavailable> {
        let from_ms = least_arrival_ms.map(|ms| ms - MARGIN_MS);
        let (mut created, mut bridges) = (Vec::new(), Vec::new());
        for (function, config) in mappings() {
            let arn = self.consumer(&config).arn().await.map_err(|_| Unavailable)?;
            let mapping = self.mapping(&function, &arn).await?;
            if mapping.is_none() {
                self.create_mapping((&function, &config, &arn), from_ms).await?;
                created.push(function.clone());
            }
            let is_away = mapping.is_none_or(|mapping| {
                mapping.last_processing_result.as_deref().is_none_or(|result| result == NOTHING_PROCESSED)
            });
            if is_away {
                bridges.push(self.poller((&function, &config, arn), from_ms).await?);
            }
        }
        let details =
            [("mappings_created".to_owned(), json!(created)), ("bridged".to_owned(), json!(bridges.len()))];
        *self.bridge.lock().await = Some(bridges).filter(|bridges| !bridges.is_empty());
        Ok(details.into_iter().collect())
    }

    async fn bridge(&self) -> Result<bool, Unavailable> {
        let mut bridges = self.bridge.lock().await;
        let Some(pollers) = &mut *bridges else { return Ok(false) };
        let ends = Instant::now() + BRIDGE_TURN;
        while Instant::now() < ends {
            for poller in &mut *pollers {
                poller.poll(system_now_ms()).await;
            }
            sleep(Duration::from_millis(BRIDGE_POLL_MS.unsigned_abs())).await;
        }
        for (function, config) in mappings() {
            let arn = self.consumer(&config).arn().await.map_err(|_| Unavailable)?;
            let mapping = self.mapping(&function, &arn).await?;
            let result = mapping.and_then(|mapping| mapping.last_processing_result);
            if result.is_none_or(|result| result == NOTHING_PROCESSED) {
                return Ok(true);
            }
        }
        *bridges = None;
        Ok(false)
    }

    async fn resume(&self) -> Result<Details, Unavailable> {
        Ok(Details::new())
    }
}

async fn within<T, E: std::error::Error>(
    limit: Duration,
    request: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Unavailable> {
    let answer = tokio::time::timeout(limit, call).await.map_err(|_| Unavailable)?;
    answer.map_err(|error| {
        tracing::warn!(request, error = DisplayErrorContext(&error).to_string(), "request failed");
        Unavailable
    })
}
