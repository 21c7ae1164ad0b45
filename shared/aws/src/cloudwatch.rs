//! Metrics written to and read from `CloudWatch` by its API instead of the log.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::error::DisplayErrorContext;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit, Statistic};
use equilibrium_app::telemetry::emf::{DEPLOYMENT, FUNCTION, NAMESPACE};
use equilibrium_app::telemetry::metrics::{ITERATOR_AGE, Metric};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_event_source::iterator_age::IteratorAgeSink;
use tokio::time::timeout;

/// Metrics of a deployment's functions; the dimensions are those of the functions' own lines.
#[derive(Clone, Debug)]
pub struct Metrics {
    client: Client,
    deployment: String,
    deadline: Duration,
}

/// The greatest value of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Greatest {
    /// Start of the period, in milliseconds since the epoch.
    pub at_ms: i64,
    /// The value, in the metric's unit.
    pub value: f64,
}

impl Metrics {
    /// Metrics of the deployment of this name in `config`'s account and region; each call ends within `deadline`.
    #[must_use]
    pub fn new(config: &SdkConfig, deployment: String, deadline: Duration) -> Self {
        Self { client: Client::new(config), deployment, deadline }
    }

    fn dimensions(&self, function: &str) -> Vec<Dimension> {
        let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        vec![dimension(DEPLOYMENT, &self.deployment), dimension(FUNCTION, function)]
    }

    /// Puts one value of a function's metric at `at_ms`, in milliseconds since the epoch (`PutMetricData`,
    /// Amazon `CloudWatch` API reference).
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn put(
        &self,
        function: &str,
        metric: Metric,
        at_ms: i64,
        value: f64,
    ) -> Result<(), Unavailable> {
        let datum = MetricDatum::builder()
            .metric_name(metric.name)
            .unit(StandardUnit::from(metric.unit))
            .set_dimensions(Some(self.dimensions(function)))
            .timestamp(DateTime::from_millis(at_ms))
            .value(value)
            .build();
        let call = self.client.put_metric_data().namespace(NAMESPACE).metric_data(datum).send();
        let put = timeout(self.deadline, call).await.map_err(|_| Unavailable)?;
        put.map(drop).map_err(|error| log_unavailable("PutMetricData", &error))
    }

    /// The greatest value of a function's metric in each `period` between two times, in milliseconds since the
    /// epoch, the oldest first; periods without a value are omitted (`GetMetricStatistics`). Built ahead: health
    /// checks will be the first caller.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn greatest(
        &self,
        function: &str,
        metric: Metric,
        (from_ms, until_ms): (i64, i64),
        period: Duration,
    ) -> Result<Vec<Greatest>, Unavailable> {
        let call = self
            .client
            .get_metric_statistics()
            .namespace(NAMESPACE)
            .metric_name(metric.name)
            .set_dimensions(Some(self.dimensions(function)))
            .start_time(DateTime::from_millis(from_ms))
            .end_time(DateTime::from_millis(until_ms))
            .period(i32::try_from(period.as_secs()).unwrap_or(i32::MAX))
            .statistics(Statistic::Maximum)
            .send();
        let read = timeout(self.deadline, call).await.map_err(|_| Unavailable)?;
        let read = read.map_err(|error| log_unavailable("GetMetricStatistics", &error))?;
        let greatest = |point: &aws_sdk_cloudwatch::types::Datapoint| {
            Some(Greatest { at_ms: point.timestamp()?.to_millis().ok()?, value: point.maximum()? })
        };
        let mut points: Vec<Greatest> = read.datapoints().iter().filter_map(greatest).collect();
        points.sort_by_key(|point| point.at_ms);
        Ok(points)
    }
}

impl IteratorAgeSink for Metrics {
    async fn put_iterator_age(
        &self,
        function: &str,
        at_ms: i64,
        iterator_age_ms: i64,
    ) -> Result<(), Unavailable> {
        #[expect(clippy::cast_precision_loss, reason = "a day has fewer than 2^53 milliseconds")]
        let age = iterator_age_ms as f64;
        self.put(function, ITERATOR_AGE, at_ms, age).await
    }
}

fn log_unavailable<E: std::error::Error + 'static>(request: &'static str, error: &E) -> Unavailable {
    tracing::warn!(request, error = DisplayErrorContext(error).to_string(), "request failed");
    Unavailable
}
