//! The rows of verdicts.

use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::verdict::Verdict;

/// The verdict in a row, unless it has another form.
pub(crate) fn decode(row: &[u8]) -> Option<(Component, Verdict)> {
    let verdict: Verdict = serde_json::from_slice(row).ok()?;
    Some((verdict.component, verdict))
}
