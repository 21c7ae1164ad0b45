//! One look at a component: what a probe of it found.

use serde::{Deserialize, Serialize};

/// Longest error of a look, in bytes: it is stored and sent, and a target chooses it.
pub const MAX_ERROR_BYTES: usize = 256;

/// What a look found, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// It serves.
    Healthy,
    /// It serves in part, or slowly.
    Degraded,
    /// It does not serve.
    Unhealthy,
}

/// One look at a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it found.
    pub finding: Finding,
    /// How long the component took to answer, in milliseconds; `None` if it did not.
    pub response_time_ms: Option<u64>,
    /// Why the finding is not [`Finding::Healthy`].
    pub error: Option<String>,
}

impl Look {
    /// A look at a component that serves.
    #[must_use]
    pub fn good(response_time_ms: u64) -> Self {
        Self { finding: Finding::Healthy, response_time_ms: Some(response_time_ms), error: None }
    }

    /// A look at a component that serves in part.
    #[must_use]
    pub fn poor(response_time_ms: Option<u64>, error: &str) -> Self {
        Self { finding: Finding::Degraded, response_time_ms, error: Some(bounded(error)) }
    }

    /// A look at a component that does not serve.
    #[must_use]
    pub fn bad(error: &str) -> Self {
        Self { finding: Finding::Unhealthy, response_time_ms: None, error: Some(bounded(error)) }
    }

    /// The worse of two looks at one component, with the longer of both response times.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let response_time_ms = self.response_time_ms.max(other.response_time_ms);
        let worse = if other.finding > self.finding { other } else { self };
        Self { response_time_ms: worse.response_time_ms.and(response_time_ms), ..worse }
    }
}

/// The first [`MAX_ERROR_BYTES`] of a text, without control characters.
fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_bounded_and_printable() {
        let long = Look::bad(&format!("a\n{}", "é".repeat(200)));
        let error = long.error.unwrap();
        assert!(error.len() <= MAX_ERROR_BYTES && error.starts_with("a é"), "{error}");
    }

    #[test]
    fn the_worse_of_two_looks_counts() {
        let both = Look::good(5).and(Look::poor(Some(3), "slow"));
        assert_eq!(both, Look::poor(Some(5), "slow"));
        let first = Look::bad("first").and(Look::bad("second"));
        assert_eq!(first, Look::bad("first"));
    }
}
