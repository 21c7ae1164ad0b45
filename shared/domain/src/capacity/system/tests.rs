//! The system's own figures.

use proptest::prelude::*;

use super::*;
use crate::capacity::growth::Law;

fn scale(text: &str) -> Scale {
    Scale::parse(text).unwrap()
}

fn projected(capacity: &Capacity, at: &str) -> Vec<(String, Decimal, Decimal)> {
    let document = capacity.document(scale(at));
    let projection = document.project(scale(at));
    let metrics = projection.components.iter().flat_map(|component| {
        component.metrics.iter().map(|metric| {
            (format!("{} {}", component.component, metric.name), metric.projected, metric.threshold)
        })
    });
    metrics.collect()
}

#[test]
fn figures_have_remedies_and_are_within_their_thresholds_today() {
    let capacity = Capacity::new(Settings::DEFAULT, Observed::default());
    let document = capacity.document(Scale::ONE);
    for component in &document.components {
        for metric in &component.metrics {
            assert!(!metric.remedies.is_empty() && metric.impact.is_some(), "{metric:?}");
            assert!(metric.value > Decimal::ZERO, "{metric:?}");
        }
    }
    assert_eq!(document.project(Scale::ONE).bottlenecks, []);
}

#[test]
fn the_document_is_one_that_can_be_read() {
    let capacity = Capacity::new(Settings::DEFAULT, Observed::default());
    let document = capacity.document(Scale::TEN);
    for component in &document.components {
        for metric in &component.metrics {
            if let Law::Product { with: Some(with) } = &metric.law {
                assert!(document.referred(component, with).is_some(), "{with}");
                assert!(!document.is_circular(component, metric));
            }
        }
    }
}

#[test]
fn shards_are_the_first_bottleneck_of_a_deployment_with_two() {
    let capacity = Capacity::new(Settings::DEFAULT, Observed::default());
    let document = capacity.document(Scale::TEN);
    let projection = document.project(Scale::TEN);
    let first = &projection.bottlenecks[0];
    assert_eq!((first.component, first.metric), ("kinesis-events", "records_per_s_of_a_shard"));
    // Twelve shards take it.
    let settings = Settings { event_shards: 12, count_shards: 12, ..Settings::DEFAULT };
    let capacity = Capacity::new(settings, Observed::default());
    let document = capacity.document(Scale::TEN);
    let projection = document.project(Scale::TEN);
    assert!(projection.bottlenecks.iter().all(|it| it.component != "kinesis-events"), "{projection:?}");
}

#[test]
fn lanes_and_cities_multiply() {
    let cities = |cities: f64| Observed { cities: Some(cities), ..Observed::default() };
    let reports = |settings, observed: Observed| {
        let figures = projected(&Capacity::new(settings, observed), "1");
        let figure = figures.into_iter().find(|(name, ..)| name == "lanes reports_per_s");
        figure.map(|(_, value, _)| value).unwrap()
    };
    let one = reports(Settings::DEFAULT, cities(1.0));
    let both = reports(Settings { lanes: 256, ..Settings::DEFAULT }, cities(10.0));
    assert_eq!(both, one.times(Decimal::whole(40)));
}

#[test]
fn a_million_events_and_quotes_cost_cents() {
    let observed = Observed {
        events_per_s: Some(1e6),
        entities: Some(1e6),
        cities: Some(500.0),
        events_per_call: Some(500.0),
        ..Observed::default()
    };
    let settings = Settings { lanes: 1_024, event_shards: 400, count_shards: 16, ..Settings::DEFAULT };
    let cost = Capacity::new(settings, observed).cost(Scale::ONE);
    let amount =
        |amount: Option<crate::capacity::cost::Amount>| amount.unwrap().amount.parse::<f64>().unwrap();
    let events = amount(cost.per_million_events.clone());
    assert!((0.003..0.03).contains(&events), "{cost:?}");
    let quotes = amount(cost.per_million_quotes.clone());
    assert!((1.0..5.0).contains(&quotes), "{cost:?}");
}

#[test]
fn unusable_measurements_are_assumed() {
    let observed = Observed {
        events_per_s: Some(f64::NAN),
        quotes_per_s: Some(-1.0),
        figures: vec![("lambda", "concurrent_executions", f64::INFINITY)],
        ..Observed::default()
    };
    let capacity = Capacity::new(Settings::DEFAULT, observed);
    let usual = Capacity::new(Settings::DEFAULT, Observed::default());
    assert_eq!(projected(&capacity, "10"), projected(&usual, "10"));
    let document = capacity.document(Scale::ONE);
    assert_eq!(capacity.report(&document, Scale::ONE).load.assumed.len(), 7);
}

proptest! {
    #[test]
    fn more_load_is_never_less_of_anything(low in 1u32..1_000, more in 0u32..1_000, cities in 1u32..600) {
        let observed = Observed { cities: Some(cities.into()), ..Observed::default() };
        let capacity = Capacity::new(Settings::DEFAULT, observed);
        let [one, other] = [low, low + more].map(|at| projected(&capacity, &at.to_string()));
        for ((name, one, _), (_, other, _)) in one.iter().zip(&other) {
            if !name.ends_with("percent") || name.contains("utilisation") {
                prop_assert!(one <= other, "{}", name);
            }
        }
    }
}
