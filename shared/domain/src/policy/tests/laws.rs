//! The laws of a policy: their forms, their times, and their faults.

use super::*;
use crate::policy::law::{LawRule, LawTime};

fn law(rule: &Value) -> Value {
    json!({"id": "ny-396r", "source": "N.Y. Gen. Bus. Law § 396-r", "from": "2026-03-08", "rule": rule})
}

fn with_law(law: &Value) -> Value {
    set(sample(), "/laws", json!([law]))
}

/// Every form of a rule.
fn rules() -> [Value; 4] {
    [
        json!({"max_multiplier": 2.5}),
        json!({"range": [0.5, 2.0]}),
        json!({"max_over_baseline_percent": 10, "baseline_from": "2026-01-01", "baseline_until": "2026-02-01"}),
        json!({"max_of_prior_days": {"days": 60, "leaving_out": 3}}),
    ]
}

#[test]
fn every_form_of_a_law_is_read_exactly_and_written_as_it_was() {
    let laws = rules().map(|rule| read(&with_law(&law(&rule))).laws.remove(0));
    let time = |text| LawTime::parse(text, &read(&sample()).timezone).unwrap();
    assert_eq!(laws[0].rule, LawRule::MaxMultiplier(hundredths(250)));
    assert_eq!(laws[1].rule, LawRule::Range { min: hundredths(50), max: hundredths(200) });
    let (from, until) = (time("2026-01-01"), time("2026-02-01"));
    assert_eq!(laws[2].rule, LawRule::MaxOverBaseline { percent: 10, from, until });
    assert_eq!(laws[3].rule, LawRule::MaxOfPriorDays { days: 60, leaving_out: 3 });
    assert_eq!((laws[0].id.as_str(), laws[0].source.as_str()), ("ny-396r", "N.Y. Gen. Bus. Law § 396-r"));
    assert_eq!((laws[0].until, &laws[0].zone, &laws[0].product), (None, &None, &None));

    for rule in rules() {
        let mut law = law(&rule);
        for limits in [json!({}), json!({"until": "2027-01-01", "zone": "jfk", "product": "standard"})] {
            law.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
            let document = with_law(&law);
            let policy = read(&document);
            let written = policy.to_json();
            assert_eq!(written["laws"][0]["until"], law["until"]);
            assert_eq!(written["laws"][0]["zone"], law["zone"]);
            assert_eq!(written["laws"][0]["product"], law["product"]);
            assert_eq!(read(&written), policy);
        }
    }
}

#[test]
fn a_date_is_the_beginning_of_the_local_day_and_a_time_is_an_instant() {
    let ms = |text: &str, zone: &str| {
        let document = set(with_law(&set(law(&rules()[0]), "/from", json!(text))), "/timezone", json!(zone));
        read(&document).laws[0].from.ms()
    };
    let instant = |text: &str| crate::time::Timestamp::parse(text.as_bytes()).unwrap().ms();
    for (text, zone, at) in [
        ("2026-01-31", "America/New_York", "2026-01-31T05:00:00Z"),
        ("2026-07-31", "America/New_York", "2026-07-31T04:00:00Z"),
        ("2026-01-31", "Pacific/Fiji", "2026-01-30T12:00:00Z"),
        // Clocks went from midnight to one.
        ("2017-10-15", "America/Sao_Paulo", "2017-10-15T03:00:00Z"),
        ("2026-01-31T10:00:00+01:00", "America/New_York", "2026-01-31T09:00:00Z"),
        ("1970-01-01", "UTC", "1970-01-01T00:00:00Z"),
        ("9998-12-31", "UTC", "9998-12-31T00:00:00Z"),
    ] {
        assert_eq!(ms(text, zone), instant(at), "{text} {zone}");
    }
}

/// Asserts that the law with `value` at `pointer` has faults at `pointers` alone.
fn check_law(rule: &Value, pointer: &str, value: &Value, expected: &[&str]) {
    let faults = pointers(&with_law(&set(law(rule), pointer, value.clone())));
    let expected: Vec<String> = expected.iter().map(|pointer| format!("/laws/0{pointer}")).collect();
    assert_eq!(faults, expected, "{pointer} {value}");
}

#[test]
fn every_fault_of_a_law_is_reported_at_its_place() {
    let [max, range, baseline, prior] = rules();
    for time in ["2026-1-31", "2026-02-30", "20260131", "2026-01-31T10:00:00", "tomorrow", "", "1969-12-31"] {
        check_law(&max, "/from", &json!(time), &["/from"]);
        check_law(&max, "/until", &json!(time), &["/until"]);
        check_law(&baseline, "/rule/baseline_from", &json!(time), &["/rule/baseline_from"]);
    }
    check_law(&max, "/until", &json!("2026-03-08"), &["/until"]);
    check_law(&baseline, "/rule/baseline_until", &json!("2025-12-31"), &["/rule/baseline_until"]);
    check_law(&baseline, "/rule/baseline_until", &json!(null), &["/rule/baseline_until"]);
    check_law(
        &baseline,
        "/rule/max_over_baseline_percent",
        &json!(1.5),
        &["/rule/max_over_baseline_percent"],
    );
    check_law(&max, "/zone", &json!("lga"), &["/zone"]);
    check_law(&max, "/product", &json!("pool"), &["/product"]);
    check_law(&max, "/id", &json!("a b"), &["/id"]);
    check_law(&max, "/source", &json!("x".repeat(1_001)), &["/source"]);
    check_law(&max, "/note", &json!("?"), &["/note"]);
    check_law(&max, "/rule", &json!({}), &["/rule"]);
    check_law(&max, "/rule", &json!(null), &["/rule"]);
    check_law(&max, "/rule", &json!([]), &["/rule"]);
    check_law(&max, "/rule/range", &json!([0.5, 2.0]), &["/rule"]);
    check_law(&max, "/rule/max_multiplier", &json!(0), &["/rule/max_multiplier"]);
    check_law(&max, "/rule/baseline_from", &json!("2026-01-01"), &["/rule/baseline_from"]);
    check_law(&range, "/rule/range", &json!([2.0, 0.5]), &["/rule/range"]);
    check_law(&range, "/rule/range", &json!([0.5]), &["/rule/range"]);
    check_law(&range, "/rule/range", &json!([0, 1.234]), &["/rule/range/0", "/rule/range/1"]);
    check_law(&prior, "/rule/max_of_prior_days/days", &json!(401), &["/rule/max_of_prior_days/days"]);
    check_law(
        &prior,
        "/rule/max_of_prior_days/leaving_out",
        &json!(60),
        &["/rule/max_of_prior_days/leaving_out"],
    );
    check_law(
        &prior,
        "/rule/max_of_prior_days",
        &json!({}),
        &["/rule/max_of_prior_days/days", "/rule/max_of_prior_days/leaving_out"],
    );
    assert_eq!(
        pointers(&with_law(&json!({}))),
        ["id", "source", "from", "rule"].map(|key| format!("/laws/0/{key}"))
    );
    let twice = set(sample(), "/laws", json!([law(&max), law(&range)]));
    assert_eq!(pointers(&twice), ["/laws/1/id"]);
}

#[test]
fn the_fault_of_a_time_zone_is_not_repeated_by_every_law() {
    let document = set(with_law(&law(&rules()[2])), "/timezone", json!("Mars/Base"));
    assert_eq!(pointers(&document), ["/timezone"]);
}
