//! Documents and their projections.

use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::decimal::Decimal;
use super::growth::{Law, Scale};
use super::projection::Severity;
use super::{Basis, Component, Document, Metric};

/// The figures of the original design.
const REFERENCE: &str = include_str!("../../../../events/capacity/reference.json");

fn scale(text: &str) -> Scale {
    Scale::parse(text).unwrap()
}

/// A document of one component with these metrics, of which members that are not given have usual values.
fn document(metrics: Value) -> String {
    let usual = json!({"name": "load", "value": 1, "threshold": 10, "law": "linear", "basis": "measured"});
    let mut metrics = metrics;
    for metric in metrics.as_array_mut().unwrap() {
        for (key, value) in usual.as_object().unwrap() {
            metric.as_object_mut().unwrap().entry(key).or_insert_with(|| value.clone());
        }
    }
    json!({"components": [{"component": "store", "kind": "database", "metrics": metrics}]}).to_string()
}

fn projected(metrics: Value, at: &str) -> Vec<String> {
    let document = Document::read(&document(metrics)).unwrap();
    let projection = document.project(scale(at));
    projection.components[0].metrics.iter().map(|metric| metric.projected.to_string()).collect()
}

fn pointers(text: &str) -> Vec<String> {
    Document::read(text).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn the_original_design_has_five_bottlenecks_at_ten_times_its_load() {
    let document = Document::read(REFERENCE).unwrap();
    let projection = document.project(Scale::TEN);
    let found: Vec<_> = projection
        .bottlenecks
        .iter()
        .map(|it| (it.component, it.metric, it.projected.to_string(), it.threshold.to_string(), it.severity))
        .collect();
    let critical = |component, metric, projected: &str, threshold: &str| {
        (component, metric, projected.to_owned(), threshold.to_owned(), Severity::Critical)
    };
    let expected = [
        critical("Kafka", "disk_usage", "240", "80"),
        critical("Flink", "memory_usage", "200", "80"),
        critical("Redis", "memory_usage", "120", "80"),
        critical("Kafka", "partition_utilization", "100", "80"),
        critical("PostgreSQL", "connection_pool_utilization", "100", "90"),
    ];
    assert_eq!(found, expected);
    let within: Vec<_> = projection
        .components
        .iter()
        .flat_map(|component| &component.metrics)
        .filter(|metric| metric.projected <= metric.threshold)
        .map(|metric| (metric.projected.to_string(), metric.threshold.to_string()))
        .collect();
    let within: Vec<_> = within.iter().map(|(projected, threshold)| (&**projected, &**threshold)).collect();
    assert_eq!(within, [("75", "80"), ("500", "1000"), ("120", "120")]);
    assert!(document.project(Scale::ONE).bottlenecks.is_empty());
}

#[test]
fn figures_grow_by_their_laws() {
    let metrics = json!([
        {"name": "constant", "value": 3, "law": "constant"},
        {"name": "linear", "value": 0.1, "law": "linear"},
        {"name": "root", "value": 2, "law": "power", "exponent": 0.5},
        {"name": "square", "value": 2, "law": "product"},
        {"name": "with_constant", "value": 2, "law": "product", "with": "constant"},
        {"name": "with_root", "value": 2, "law": "product", "with": "store/root"},
        {"name": "given", "value": 7, "law": "linear", "factor_at": {"100": 3, "7": 2}},
    ]);
    assert_eq!(projected(metrics.clone(), "100"), ["3", "10", "20", "20000", "200", "2000", "21"]);
    assert_eq!(projected(metrics, "4"), ["3", "0.4", "4", "32", "8", "16", "28"]);
}

#[test]
fn a_product_refers_to_a_figure_of_another_component() {
    let text = r#"{"components": [
        {"component": "a", "kind": "k", "metrics": [{"name": "x", "value": 1, "threshold": 1, "law": "product",
            "with": "b/y", "basis": "assumed"}]},
        {"component": "b", "kind": "k", "metrics": [{"name": "y", "value": 1, "threshold": 1, "law": "constant",
            "factor_at": {"10": 5}, "basis": "assumed"}]}]}"#;
    let document = Document::read(text).unwrap();
    let projection = document.project(Scale::TEN);
    assert_eq!(projection.components[0].metrics[0].projected, Decimal::whole(50));
}

#[test]
fn only_what_is_over_its_threshold_is_a_bottleneck() {
    for (value, severity) in [
        ("0.3", None),
        ("0.30000000000000004", Some(Severity::High)),
        ("0.329999999999999", Some(Severity::High)),
        ("0.33", Some(Severity::Critical)),
        ("0.4", Some(Severity::Critical)),
    ] {
        let metric = json!([{"value": value.parse::<f64>().unwrap(), "threshold": 0.3, "law": "constant"}]);
        let document = Document::read(&document(metric)).unwrap();
        let found = document.project(Scale::TEN).bottlenecks.first().map(|it| it.severity);
        assert_eq!(found, severity, "{value}");
    }
    // As floats, 1.1 · 100 is more than 110, and ten times 0.07 more than 0.7.
    let metrics = json!([{"value": 11, "threshold": 100}, {"name": "b", "value": 0.07, "threshold": 0.7}]);
    let document = Document::read(&document(metrics)).unwrap();
    let projection = document.project(Scale::TEN);
    let found: Vec<_> = projection.bottlenecks.iter().map(|it| (it.metric, it.severity)).collect();
    assert_eq!(found, [("load", Severity::Critical)]);
}

#[test]
fn bottlenecks_of_one_ratio_are_sorted_by_name() {
    let metrics = json!([
        {"name": "b", "value": 3, "threshold": 10},
        {"name": "c", "value": 4, "threshold": 10},
        {"name": "a", "value": 0.3, "threshold": 1},
    ]);
    let document = Document::read(&document(metrics)).unwrap();
    let projection = document.project(Scale::TEN);
    let names: Vec<_> = projection.bottlenecks.iter().map(|it| it.metric).collect();
    assert_eq!(names, ["c", "a", "b"]);
}

#[test]
fn a_scale_beyond_ten_is_an_extrapolation() {
    let document = Document::read(&document(json!([{}]))).unwrap();
    assert!(!document.project(Scale::TEN).extrapolated);
    assert!(document.project(scale("10.5")).extrapolated);
}

#[test]
fn a_scale_is_a_number_from_one_to_a_million() {
    for text in ["1", "10", "2.5", "1e6", "1000000"] {
        assert!(Scale::parse(text).is_ok(), "{text}");
    }
    for text in ["", "0", "0.999", "-10", "1000001", "ten", "1e7", "NaN", "inf", " 10", "10x"] {
        assert!(Scale::parse(text).is_err(), "{text}");
    }
}

#[test]
fn every_wrong_field_is_reported_by_its_pointer() {
    let metric = |member: &str, value: Value| {
        let mut metric = json!({});
        metric[member] = value;
        document(json!([metric]))
    };
    for (member, value) in [
        ("name", json!(7)),
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("name", json!("\u{1b}[2J")),
        ("value", json!(-1)),
        ("value", json!("80")),
        ("value", json!(1e16)),
        ("value", json!(true)),
        ("threshold", json!(0)),
        ("threshold", json!(-80)),
        ("threshold", json!(1e300)),
        ("law", json!("exponential")),
        ("basis", json!("guessed")),
        ("factor_at", json!([3])),
        ("impact", json!(3)),
        ("remedies", json!("add shards")),
        ("points", json!([])),
    ] {
        let text = metric(member, value);
        assert_eq!(pointers(&text), [format!("/components/0/metrics/0/{member}")], "{text}");
    }
    for (members, expected) in [
        (json!({"law": "power"}), "exponent"),
        (json!({"law": "power", "exponent": 1.5}), "exponent"),
        (json!({"law": "power", "exponent": -0.5}), "exponent"),
        (json!({"law": "product", "with": "nothing"}), "with"),
        (json!({"law": "product", "with": "load"}), "with"),
        (json!({"factor_at": {"10": -3}}), "factor_at/10"),
        (json!({"factor_at": {"ten": 3}}), "factor_at/ten"),
        (json!({"factor_at": {"0.5": 3}}), "factor_at/0.5"),
        (json!({"remedies": ["add shards", 4]}), "remedies/1"),
    ] {
        let text = document(json!([members]));
        assert_eq!(pointers(&text), [format!("/components/0/metrics/0/{expected}")], "{text}");
    }
}

#[test]
fn missing_fields_and_repeated_names_are_reported_at_once() {
    assert_eq!(pointers("{}"), ["/components"]);
    assert_eq!(pointers("[]"), [""]);
    assert_eq!(pointers("{"), [""]);
    assert_eq!(pointers(""), [""]);
    assert_eq!(pointers(r#"{"components": {}}"#), ["/components"]);
    let empty = r#"{"components": [{"metrics": [{}]}, 7]}"#;
    let at = "/components/0";
    let expected =
        ["component", "kind", "metrics/0/name", "metrics/0/value", "metrics/0/threshold", "metrics/0/law"];
    let mut expected: Vec<String> = expected.iter().map(|field| format!("{at}/{field}")).collect();
    expected.extend([format!("{at}/metrics/0/basis"), "/components/1".to_owned()]);
    assert_eq!(pointers(empty), expected);
    assert_eq!(pointers(&document(json!([{}, {}]))), ["/components/0/metrics/1/name"]);
    assert_eq!(pointers(r#"{"components": [], "components": []}"#), ["/components"]);
    let circle =
        json!([{"name": "a", "law": "product", "with": "b"}, {"name": "b", "law": "product", "with": "a"}]);
    let expected = ["/components/0/metrics/0/with", "/components/0/metrics/1/with"];
    assert_eq!(pointers(&document(circle)), expected);
}

#[test]
fn null_members_are_absent_and_other_members_are_ignored() {
    let metric = json!([{"exponent": null, "factor_at": null, "with": null, "impact": null, "remedies": null,
        "points": null, "unit": "percent"}]);
    let document = Document::read(&document(metric)).unwrap();
    let metric = &document.components[0].metrics[0];
    assert_eq!((&metric.impact, metric.remedies.len(), metric.factor_at.len()), (&None, 0, 0));
}

#[test]
fn measured_points_give_a_scaling_law() {
    let points: Vec<Value> =
        [1u32, 2, 4, 8].into_iter().map(|n| json!({"n": n, "throughput": 100.0 * f64::from(n)})).collect();
    let document = Document::read(&document(json!([{"points": points}]))).unwrap();
    let projection = document.project(Scale::TEN);
    let scaling = projection.components[0].metrics[0].scaling.unwrap();
    assert!((scaling.needed_throughput - 8_000.0).abs() < 1e-6, "{scaling:?}");
}

fn any_law() -> impl Strategy<Value = Law> {
    prop_oneof![
        Just(Law::Constant),
        Just(Law::Linear),
        (0.0f64..=1.0).prop_map(|exponent| Law::Power { exponent }),
        Just(Law::Product { with: None }),
        Just(Law::Product { with: Some("0".to_owned()) }),
    ]
}

fn any_document() -> impl Strategy<Value = Document> {
    let metric = (0u32.., 1u32.., any_law());
    prop::collection::vec(metric, 1..20).prop_map(|metrics| {
        let mut metrics: Vec<Metric> = metrics
            .into_iter()
            .enumerate()
            .map(|(index, (value, threshold, law))| Metric {
                name: index.to_string(),
                value: Decimal::new(value.into(), -3),
                threshold: Decimal::new(threshold.into(), -2),
                law,
                factor_at: Vec::new(),
                basis: Basis::Measured,
                impact: None,
                remedies: Vec::new(),
                points: Vec::new(),
            })
            .collect();
        metrics[0].law = Law::Linear;
        Document { components: vec![Component { name: "c".to_owned(), kind: "k".to_owned(), metrics }] }
    })
}

proptest! {
    #[test]
    fn figures_grow_with_the_scale(document in any_document(), low in 1u32..1_000, more in 0u32..1_000) {
        let [one, other] = [low, low + more].map(|number| document.project(scale(&number.to_string())));
        for (one, other) in one.components[0].metrics.iter().zip(&other.components[0].metrics) {
            prop_assert!(one.projected <= other.projected);
        }
        prop_assert!(one.bottlenecks.len() <= other.bottlenecks.len());
    }

    #[test]
    fn bottlenecks_are_sorted_and_complete(document in any_document(), at in 1u32..100) {
        let projection = document.project(scale(&at.to_string()));
        for pair in projection.bottlenecks.windows(2) {
            let ratios = [&pair[1], &pair[0]].map(|it| (it.projected, it.threshold));
            let order = Decimal::compare_ratios(ratios[0], ratios[1]);
            prop_assert!(order != Ordering::Greater);
            prop_assert!(order != Ordering::Equal || pair[0].metric < pair[1].metric);
        }
        let metrics = &projection.components[0].metrics;
        let over = metrics.iter().filter(|metric| metric.projected > metric.threshold).count();
        prop_assert_eq!(projection.bottlenecks.len(), over);
        prop_assert_eq!(&projection, &document.project(scale(&at.to_string())));
    }

    #[test]
    fn the_scale_one_changes_nothing(document in any_document()) {
        let projection = document.project(Scale::ONE);
        for metric in &projection.components[0].metrics {
            prop_assert_eq!(metric.projected, metric.now);
        }
    }

    #[test]
    fn no_text_is_a_panic(text in "[\\[\\]{}:,\"0-9a-z-]{0,60}") {
        drop(Document::read(&text));
    }
}
