//! The events of a schedule: of EventBridge Scheduler, and of a rule of EventBridge ("Managing targets", EventBridge Scheduler
//! user guide; "Creating an Amazon EventBridge rule that runs on a schedule", Amazon EventBridge user guide). A function
//! answers them with nothing.

use std::borrow::Cow;

use serde::Deserialize;

/// The response of an invocation by a schedule, which nothing reads.
pub const RESPONSE: &[u8] = b"null";

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Cow<'a, str>,
}

/// Whether `payload` is an event of a schedule.
#[must_use]
pub fn is_scheduled(payload: &[u8]) -> bool {
    serde_json::from_slice(payload).is_ok_and(|payload: Payload<'_>| {
        matches!(&*payload.source, "aws.scheduler" | "aws.events") && payload.detail_type == "Scheduled Event"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_schedule_is_known_by_source_and_type() {
        for event in [
            &include_bytes!("../../../events/schedule/capacity.json")[..],
            include_bytes!("../../../events/schedule/health.json"),
        ] {
            assert!(is_scheduled(event));
        }
        for other in [
            "",
            "null",
            "{}",
            r#"{"source":"aws.events"}"#,
            r#"{"source":"aws.ec2","detail-type":"Scheduled Event"}"#,
            r#"{"version":"2.0","rawPath":"/"}"#,
        ] {
            assert!(!is_scheduled(other.as_bytes()), "{other}");
        }
    }
}
