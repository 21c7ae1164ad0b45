//! AWS below the SDK, in simulated time: DynamoDB and Kinesis with their limits, their latencies and their units, under
//! the adapters that a deployment uses.

pub mod backtest;
mod crowd;
mod deployment;
mod dynamodb;
mod environments;
mod expressions;
mod faults;
pub mod figures;
mod item;
mod kinesis;
mod latency;
mod rate_limit;
mod shard_source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_simulator::rng::SplitMix64;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub use self::crowd::Crowd;
pub use self::deployment::{AwsDeployment, AwsOutcome, AwsScenario, Published, SavedSnapshot};
pub use self::dynamodb::{TableLimits, Units};
pub use self::environments::FunctionMetrics;
pub use self::faults::AwsFaults;
pub use self::shard_source::Iteration;

use self::dynamodb::DynamoDb;
use self::faults::RequestFault;
use self::kinesis::Kinesis;

/// The time at which a simulation begins, in milliseconds since the epoch: a multiple of every tick.
pub const START_MS: i64 = 1_772_816_400_000;

/// The clock of a simulation: Tokio's, which is paused and advances when every task waits.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedClock(Instant);

impl SimulatedClock {
    /// The clock, at the time that it has now.
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// The time in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(self) -> i64 {
        START_MS + i64::try_from(self.0.elapsed().as_millis()).expect("a simulation is short")
    }

    /// Waits until the time is `at_ms`.
    pub async fn wait_until(self, at_ms: i64) {
        let after = Duration::from_millis(u64::try_from(at_ms.saturating_sub(START_MS)).unwrap_or(0));
        tokio::time::sleep_until(self.0 + after).await;
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

/// An account of AWS.
#[derive(Clone, Debug)]
pub struct Aws {
    clock: SimulatedClock,
    services: Arc<Mutex<Services>>,
}

#[derive(Debug)]
struct Services {
    rng: SplitMix64,
    faults: AwsFaults,
    dynamodb: DynamoDb,
    kinesis: Kinesis,
}

/// A response of a service: its status and its body.
#[derive(Debug)]
struct ServiceResponse {
    status: u16,
    body: Value,
}

impl ServiceResponse {
    fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// An error that the SDK knows by its name.
    fn error(name: &str, message: &str) -> Self {
        Self { status: 400, body: json!({ "__type": name, "message": message }) }
    }

    fn internal_error() -> Self {
        Self { status: 500, body: json!({ "__type": "InternalServerError", "message": "try again" }) }
    }
}

impl Aws {
    /// An account whose requests suffer `faults`, with tables under `limits`.
    #[must_use]
    pub fn new(clock: SimulatedClock, seed: u64, faults: AwsFaults, limits: TableLimits) -> Self {
        // The SDK and the adapters draw their pauses between retries from this generator of the thread.
        fastrand::seed(seed);
        let services = Services {
            rng: SplitMix64::new(seed),
            faults,
            dynamodb: DynamoDb::new(limits),
            kinesis: Kinesis::default(),
        };
        Self { clock, services: Arc::new(Mutex::new(services)) }
    }

    /// Settings of the clients of a process. The SDK has one budget of retries for each region and process; here, a region
    /// is a process.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        static PROCESSES: AtomicU64 = AtomicU64::new(0);
        let region = format!("simulated-{}", PROCESSES.fetch_add(1, Ordering::Relaxed));
        let credentials = Credentials::new("simulated", "simulated", None, None, "simulation");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .region(Region::new(region))
            .retry_config(RetryConfig::standard())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(self.clone())
            .build()
    }

    /// The units that were consumed so far, by kind of item.
    #[must_use]
    pub fn units(&self) -> BTreeMap<String, Units> {
        self.services.lock().dynamodb.units().clone()
    }

    /// Creates a stream.
    pub fn create_stream(&self, name: &str, shards: usize) {
        self.services.lock().kinesis.create_stream(name, shards);
    }

    /// What a stream holds.
    ///
    /// # Panics
    /// If the stream does not exist.
    #[must_use]
    pub fn stream(&self, name: &str) -> Arc<StreamLog> {
        self.services.lock().kinesis.stream(name)
    }

    /// The records that the shards of a stream took, those of watermarks among them, and those that they refused.
    #[must_use]
    pub fn records(&self, name: &str) -> (u64, u64, u64) {
        self.services.lock().kinesis.records(name)
    }

    /// The bytes that the shards of a stream took.
    #[must_use]
    pub fn bytes(&self, name: &str) -> u64 {
        self.services.lock().kinesis.bytes(name)
    }

    async fn respond(&self, target: &str, body: &[u8]) -> ServiceResponse {
        let request: Value = serde_json::from_slice(body).expect("the SDK sends JSON");
        let (service, operation) = target.split_once('.').expect("a service and an operation");
        let (latency, fault) = {
            let mut services = self.services.lock();
            let Services { rng, faults, .. } = &mut *services;
            (latency::of(operation, body.len(), rng), faults.draw(rng))
        };
        // The service acts in the middle of the round trip.
        let half = latency / 2;
        sleep(half).await;
        if fault == Some(RequestFault::LostBefore) {
            return ServiceResponse::internal_error();
        }
        let now_ms = self.clock.now_ms();
        let response = {
            let mut services = self.services.lock();
            match service {
                "DynamoDB_20120810" => services.dynamodb.respond(operation, &request, now_ms),
                "Kinesis_20131202" => services.kinesis.respond(operation, &request, now_ms),
                other => panic!("no such service: {other}"),
            }
        };
        if fault == Some(RequestFault::LostAfter) {
            std::future::pending::<()>().await;
        }
        sleep(half).await;
        response
    }
}

impl HttpClient for Aws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let aws = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").expect("the SDK names the operation");
            let body = request.body().bytes().expect("the body is in memory");
            let ServiceResponse { status, body } = aws.respond(target, body).await;
            let status = status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
            let body = serde_json::to_vec(&body).expect("a value is written");
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}
