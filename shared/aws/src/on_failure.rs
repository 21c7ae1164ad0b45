//! The on-failure destination: descriptions of discarded batches in a queue of Amazon SQS, in Lambda's format
//! (AWS Lambda developer guide, "Retain discarded batch records for a Kinesis Data Streams event source").

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use equilibrium_app::clock::system_now_ms;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::time::Timestamp;
use equilibrium_event_source::poller::OnFailure;
use equilibrium_event_source::record::{Discarded, Reason};
use serde_json::{Value, json};
use tokio::time::timeout;

/// The destination for the discarded batches of one function and stream.
#[derive(Clone, Debug)]
pub struct SqsOnFailureDestination {
    client: Client,
    url: String,
    deadline: Duration,
    function_arn: String,
    stream_arn: String,
}

impl SqsOnFailureDestination {
    /// The queue called `name`. A message that is not sent within `deadline` is only logged.
    ///
    /// # Errors
    /// [`Unavailable`] if the queue does not exist, or SQS does not answer within `deadline`.
    pub async fn find(
        config: &SdkConfig,
        name: &str,
        function_arn: String,
        stream_arn: String,
        deadline: Duration,
    ) -> Result<Self, Unavailable> {
        let client = Client::new(config);
        let found = timeout(deadline, client.get_queue_url().queue_name(name).send()).await;
        let found = found.map_err(|_| Unavailable)?.map_err(|error| {
            tracing::error!(name, error = DisplayErrorContext(&error).to_string(), "queue not found");
            Unavailable
        })?;
        let url = found.queue_url.ok_or(Unavailable)?;
        Ok(Self { client, url, deadline, function_arn, stream_arn })
    }

    fn document(&self, discarded: &Discarded, now_ms: i64) -> Value {
        let time = |ms: i64| Timestamp::from_ms(ms).map_or_else(|| ms.to_string(), |time| time.to_string());
        let Discarded { shard, reason, first, last, count, .. } = discarded;
        json!({
            "version": "1.0",
            "timestamp": time(now_ms),
            "requestContext": {
                "functionArn": self.function_arn,
                "condition": match reason {
                    Reason::RetriesExhausted => "RetryAttemptsExhausted",
                    Reason::TooOld => "RecordAgeExceeded",
                    // Not a condition of Lambda, whose reads are never larger than a payload.
                    Reason::TooLarge => "PayloadSizeExceeded",
                },
                "approximateInvokeCount": discarded.attempts,
            },
            "KinesisBatchInfo": {
                "shardId": shard.as_str(),
                "startSequenceNumber": first.as_str(),
                "endSequenceNumber": last.as_str(),
                "approximateArrivalOfFirstRecord": time(discarded.first_arrival_ms),
                "approximateArrivalOfLastRecord": time(discarded.last_arrival_ms),
                "batchSize": count,
                "streamArn": self.stream_arn,
            },
        })
    }
}

impl OnFailure for SqsOnFailureDestination {
    async fn report(&self, discarded: Discarded) {
        let document = self.document(&discarded, system_now_ms()).to_string();
        tracing::error!(document, "batch discarded");
        let call = self.client.send_message().queue_url(&self.url).message_body(&document).send();
        match timeout(self.deadline, call).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let error = DisplayErrorContext(&error).to_string();
                tracing::error!(error, "on-failure message not sent");
            }
            Err(_) => tracing::error!("on-failure message timed out"),
        }
    }
}
