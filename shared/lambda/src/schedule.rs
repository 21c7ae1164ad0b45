//! What EventBridge Scheduler hands to a function (EventBridge Scheduler user guide, "Managing targets").

use serde::Deserialize;

#[derive(Deserialize)]
struct Scheduled<'a> {
    source: &'a str,
    #[serde(rename = "detail-type")]
    detail_type: &'a str,
}

/// Whether a payload is the event of a schedule.
#[must_use]
pub fn is_scheduled(payload: &[u8]) -> bool {
    serde_json::from_slice(payload).is_ok_and(|event: Scheduled<'_>| {
        event.source == "aws.scheduler" && event.detail_type == "Scheduled Event"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_of_a_schedule_is_recognised() {
        let sample = include_bytes!("../../../events/schedule/health.json");
        assert!(is_scheduled(sample));
        for other in ["", "{}", r#"{"version": "2.0", "rawPath": "/v1/health"}"#] {
            assert!(!is_scheduled(other.as_bytes()), "{other}");
        }
    }
}
