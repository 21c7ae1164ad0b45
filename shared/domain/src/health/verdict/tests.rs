//! Hysteresis and staleness of verdicts.

use proptest::prelude::*;

use super::Finding::{Degraded, Healthy, Unhealthy};
use super::*;

const INTERVAL_MS: i64 = 60_000;

fn look(finding: Finding) -> Look {
    match finding {
        Healthy => Look::good(7),
        Degraded => Look::poor(Some(900), "slow"),
        Unhealthy => Look::bad("no answer"),
    }
}

/// The own status after each of `findings`, seen 10 s apart.
fn statuses(findings: &[Finding]) -> Vec<Status> {
    let mut verdict = Verdict::unknown(Component::Pricing, 0, INTERVAL_MS);
    let mut statuses = Vec::new();
    for (n, finding) in (1..).zip(findings) {
        verdict = verdict.after(&look(*finding), n * 10_000, INTERVAL_MS);
        statuses.push(verdict.own());
    }
    statuses
}

#[test]
fn a_verdict_needs_three_bad_looks_or_two_good_ones() {
    use Status::Unknown;
    const H: Status = Status::Healthy;
    const D: Status = Status::Degraded;
    const U: Status = Status::Unhealthy;
    let cases: [(&[Finding], &[Status]); 9] = [
        (&[Healthy, Healthy], &[Unknown, H]),
        (&[Unhealthy; 3], &[Unknown, Unknown, U]),
        (&[Unhealthy, Unhealthy, Degraded], &[Unknown, Unknown, D]),
        (&[Healthy, Healthy, Unhealthy, Unhealthy, Healthy], &[Unknown, H, H, H, H]),
        (&[Healthy, Healthy, Unhealthy, Unhealthy, Unhealthy], &[Unknown, H, H, H, U]),
        (&[Healthy, Healthy, Degraded, Unhealthy, Unhealthy, Unhealthy], &[Unknown, H, H, H, D, U]),
        (&[Unhealthy, Unhealthy, Unhealthy, Healthy, Healthy], &[Unknown, Unknown, U, U, H]),
        (&[Unhealthy, Unhealthy, Unhealthy, Healthy, Degraded], &[Unknown, Unknown, U, U, D]),
        (&[Healthy, Unhealthy, Healthy, Unhealthy, Healthy], &[Unknown; 5]),
    ];
    for (findings, expected) in cases {
        assert_eq!(statuses(findings), expected, "{findings:?}");
    }
}

#[test]
fn a_verdict_older_than_two_intervals_is_unknown_and_its_looks_no_longer_count() {
    let mut verdict = Verdict::unknown(Component::Kinesis, 0, INTERVAL_MS);
    for n in 1..=3 {
        verdict = verdict.after(&look(Unhealthy), n * 10_000, INTERVAL_MS);
    }
    let last_ms = 30_000;
    assert!(!verdict.is_stale(last_ms + 2 * INTERVAL_MS));
    let late_ms = last_ms + 2 * INTERVAL_MS + 1;
    assert_eq!((verdict.view(late_ms).status, verdict.own()), (Status::Unknown, Status::Unhealthy));
    let next = verdict.after(&look(Unhealthy), late_ms, INTERVAL_MS);
    assert_eq!(next.own(), Status::Unknown, "one look after a gap is one of three");
    let ahead = verdict.view(last_ms - 2 * INTERVAL_MS - 1);
    assert_eq!(ahead.status, Status::Unknown, "a clock that was set back does not keep a verdict for ever");
}

#[test]
fn the_error_is_that_of_the_newest_bad_look() {
    let mut verdict = Verdict::unknown(Component::Pricing, 0, INTERVAL_MS);
    for n in 1..=3 {
        verdict = verdict.after(&look(Unhealthy), n * 10_000, INTERVAL_MS);
    }
    verdict = verdict.after(&look(Healthy), 40_000, INTERVAL_MS);
    assert_eq!((verdict.own_error().as_deref(), verdict.response_time_ms), (Some("no answer"), Some(7)));
    verdict = verdict.after(&look(Healthy), 50_000, INTERVAL_MS);
    assert_eq!(verdict.own_error(), None);
}

#[test]
fn a_stored_verdict_reads_back() {
    let verdict =
        Verdict::unknown(Component::ElastiCache, 5, INTERVAL_MS).after(&look(Degraded), 10, INTERVAL_MS);
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
}

fn finding() -> impl Strategy<Value = Finding> {
    prop_oneof![Just(Healthy), Just(Degraded), Just(Unhealthy)]
}

proptest! {
    #[test]
    fn a_status_changes_only_to_what_enough_looks_in_a_row_found(findings in prop::collection::vec(finding(), 0..40)) {
        let statuses = statuses(&findings);
        for (n, pair) in statuses.windows(2).enumerate() {
            let (before, after) = (pair[0], pair[1]);
            if before == after {
                continue;
            }
            let newest = n + 2;
            let became = after.finding();
            prop_assert!(became.is_some(), "looks never make a verdict unknown");
            let is_worse = before.finding().map_or(became > Some(Healthy), |before| became > Some(before));
            let count = if is_worse { WORSE_AFTER } else { BETTER_AFTER };
            let row = &findings[newest - count..newest];
            let bound = if is_worse { row.iter().min() } else { row.iter().max() };
            prop_assert_eq!(bound.copied(), became);
        }
    }

    #[test]
    fn equal_looks_settle_within_three(before in prop::collection::vec(finding(), 0..10), last in finding()) {
        let mut findings = before;
        findings.extend([last; 3]);
        prop_assert_eq!(statuses(&findings).last().copied(), Some(last.into()));
    }
}
