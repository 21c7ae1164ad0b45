//! The load of a deployment, from the metrics of its functions and of AWS.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::DisplayErrorContext;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use equilibrium_app::capacity::ports::LoadSource;
use equilibrium_app::telemetry::emf::{DEPLOYMENT, FUNCTION, NAMESPACE};
use equilibrium_app::telemetry::metrics::{
    EVENTS_ACCEPTED, Metric, QUOTES_CONFIRMED, QUOTES_ISSUED, TICKS_CLOSED,
};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::capacity::system::{Observed, Settings};
use futures_util::future::join_all;
use tokio::time::timeout;

/// The load is the greatest of these periods: `CloudWatch` keeps them 63 days.
const PERIOD: Duration = Duration::from_mins(5);
/// Over the last day.
const SPAN: Duration = Duration::from_hours(24);
/// The tick of a policy that states none (CONTRACT §3), by which closed ticks become cities.
const TICK: Duration = Duration::from_secs(5);

/// The metrics of a deployment.
#[derive(Clone, Debug)]
pub struct DeploymentLoad {
    client: Client,
    deployment: String,
    settings: Settings,
    deadline: Duration,
}

/// A metric of `CloudWatch`.
#[derive(Clone, Debug)]
struct Query {
    namespace: &'static str,
    metric: &'static str,
    dimensions: Vec<(&'static str, String)>,
    statistic: Statistic,
}

impl DeploymentLoad {
    /// The metrics of the deployment of this name and of these settings in `config`'s account and region; each call ends
    /// within `deadline`.
    #[must_use]
    pub fn new(config: &SdkConfig, deployment: String, settings: Settings, deadline: Duration) -> Self {
        Self { client: Client::new(config), deployment, settings, deadline }
    }

    fn own(&self, metric: Metric, function: &str) -> Query {
        let dimensions = vec![(DEPLOYMENT, self.deployment.clone()), (FUNCTION, function.to_owned())];
        Query { namespace: NAMESPACE, metric: metric.name, dimensions, statistic: Statistic::Sum }
    }

    /// A metric of AWS for a resource of this deployment.
    fn aws(
        &self,
        namespace: &'static str,
        metric: &'static str,
        (dimension, resource): (&'static str, &str),
    ) -> Query {
        let dimensions = vec![(dimension, format!("{}-{resource}", self.deployment))];
        Query { namespace, metric, dimensions, statistic: Statistic::Sum }
    }

    /// The greatest value of a period; `None` if there was none in the span.
    async fn greatest(&self, query: Query, now_ms: i64) -> Result<Option<f64>, Unavailable> {
        let dimension = |(name, value): (&str, String)| Dimension::builder().name(name).value(value).build();
        let [period_ms, span_ms] =
            [PERIOD, SPAN].map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        // Periods that are aligned are those in which CloudWatch keeps the sums.
        let end_ms = (now_ms.div_euclid(period_ms) + 1).saturating_mul(period_ms);
        let call = self
            .client
            .get_metric_statistics()
            .namespace(query.namespace)
            .metric_name(query.metric)
            .set_dimensions(Some(query.dimensions.into_iter().map(dimension).collect()))
            .start_time(DateTime::from_millis(end_ms.saturating_sub(span_ms)))
            .end_time(DateTime::from_millis(end_ms))
            .period(i32::try_from(PERIOD.as_secs()).unwrap_or(i32::MAX))
            .statistics(query.statistic.clone())
            .send();
        let read = timeout(self.deadline, call).await.map_err(|_| Unavailable)?.map_err(|error| {
            let error = DisplayErrorContext(&error).to_string();
            tracing::warn!(request = "GetMetricStatistics", error, "request failed");
            Unavailable
        })?;
        let value = |point: &aws_sdk_cloudwatch::types::Datapoint| match query.statistic {
            Statistic::Sum => point.sum(),
            _ => point.maximum(),
        };
        Ok(read.datapoints().iter().filter_map(value).reduce(f64::max))
    }
}

impl DeploymentLoad {
    /// The metrics that are a figure of the model themselves, with what divides the sum of a period.
    fn figures(&self) -> Vec<(&'static str, &'static str, Query, f64)> {
        let period_s = PERIOD.as_secs_f64();
        let shard = period_s * f64::from(self.settings.event_shards);
        let kinesis = |metric| self.aws("AWS/Kinesis", metric, ("StreamName", "events"));
        let dynamodb = |metric, table| self.aws("AWS/DynamoDB", metric, ("TableName", table));
        let (written, read) = ("ConsumedWriteCapacityUnits", "ConsumedReadCapacityUnits");
        let concurrency = Query {
            namespace: "AWS/Lambda",
            metric: "ConcurrentExecutions",
            dimensions: vec![],
            statistic: Statistic::Maximum,
        };
        let units = "write_units_per_s";
        vec![
            ("lambda", "concurrent_executions", concurrency, 1.0),
            ("kinesis-events", "records_per_s_of_a_shard", kinesis("IncomingRecords"), shard),
            ("kinesis-events", "bytes_in_per_s_of_a_shard", kinesis("IncomingBytes"), shard),
            ("dynamodb-checkpoints", units, dynamodb(written, "checkpoints"), period_s),
            ("dynamodb-checkpoints", "read_units_per_s", dynamodb(read, "checkpoints"), period_s),
            ("dynamodb-maps", units, dynamodb(written, "maps"), period_s),
            ("dynamodb-watermarks", units, dynamodb(written, "watermarks"), period_s),
            ("dynamodb-quotes", units, dynamodb(written, "quotes"), period_s),
        ]
    }

    /// The greatest rate a second of a sum.
    async fn rate(&self, query: Query, now_ms: i64) -> Result<Option<f64>, Unavailable> {
        Ok(self.greatest(query, now_ms).await?.map(|sum| sum / PERIOD.as_secs_f64()))
    }
}

impl LoadSource for DeploymentLoad {
    async fn observed(&self, now_ms: i64) -> Result<Observed, Unavailable> {
        let invocations = |function| self.aws("AWS/Lambda", "Invocations", ("FunctionName", function));
        let figures = self.figures().into_iter().map(async |(component, metric, query, divisor)| {
            // A metric that cannot be read is a figure of the model.
            let value = self.greatest(query, now_ms).await.ok().flatten()?;
            Some((component, metric, value / divisor))
        });
        let (events, calls, prices, quotes, confirmations, ticks, figures) = tokio::join!(
            self.rate(self.own(EVENTS_ACCEPTED, "ingest"), now_ms),
            self.rate(invocations("ingest"), now_ms),
            self.rate(invocations("price"), now_ms),
            self.rate(self.own(QUOTES_ISSUED, "quote"), now_ms),
            self.rate(self.own(QUOTES_CONFIRMED, "quote"), now_ms),
            self.rate(self.own(TICKS_CLOSED, "surge"), now_ms),
            join_all(figures),
        );
        let events_per_s = events?;
        let calls = calls.ok().flatten().filter(|calls| *calls > 0.0);
        Ok(Observed {
            events_per_s,
            events_per_call: events_per_s.zip(calls).map(|(events, calls)| events / calls),
            price_requests_per_s: prices.ok().flatten(),
            quotes_per_s: quotes.ok().flatten(),
            confirmations_per_s: confirmations.ok().flatten(),
            cities: ticks.ok().flatten().map(|ticks| ticks * TICK.as_secs_f64()),
            entities: None,
            figures: figures.into_iter().flatten().collect(),
        })
    }
}
