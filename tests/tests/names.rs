//! The names in `infra/names.json` are those that the functions look for.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use equilibrium_app::config::Variables;
use equilibrium_aws::dynamodb::Tables;
use equilibrium_aws::kinesis::Streams;
use equilibrium_aws::resources;
use serde_json::Value;

const NAMES: &str = include_str!("../../infra/names.json");

#[test]
fn tables_and_streams_are_called_alike() {
    let names: Value = serde_json::from_str(NAMES).unwrap();
    let called = |names: BTreeSet<&str>| -> BTreeSet<String> {
        names.into_iter().map(|name| format!("live-{name}")).collect()
    };
    let Tables { checkpoints, maps, policies } = Tables::named("live");
    let tables = names["tables"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(called(tables), [checkpoints, maps, policies].into());
    let Streams { events, counts, changes } = Streams::named("live");
    let streams = names["streams"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(called(streams), [events, counts, changes].into());
}

#[test]
fn the_functions_variables_are_called_alike() {
    let names: Value = serde_json::from_str(NAMES).unwrap();
    let set: Vec<&str> =
        names["variables"].as_object().unwrap().values().map(|name| name.as_str().unwrap()).collect();
    // With these alone nothing is missing.
    let mut variables = Variables::new(|name: &str| set.contains(&name).then(|| "1".to_owned()));
    resources::names(&mut variables);
    resources::cache(&mut variables);
    variables.text("EQUILIBRIUM_DEAD_LETTERS_URL");
    assert_eq!(variables.lanes().get(), 1);
    assert_eq!(variables.finish(), Ok(()));
}
