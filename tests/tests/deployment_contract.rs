//! `infra/deployment.json` agrees with the tables, streams, variables and routes that the functions use.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use equilibrium_app::config::Variables;
use equilibrium_app::quote::keys::MIN_KEY_BYTES;
use equilibrium_aws::dynamodb::Tables;
use equilibrium_aws::kinesis::Streams;
use equilibrium_aws::resources;
use equilibrium_aws::secrets::{pseudonym_key_name, quote_key_name};
use equilibrium_domain::pseudonym::KEY_BYTES;
use equilibrium_http::routes::{DEFAULT_FUNCTION, ROUTES, Route};
use serde_json::Value;

fn deployment() -> Value {
    serde_json::from_str(include_str!("../../infra/deployment.json")).unwrap()
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_functions_use_every_table_stream_and_secret_of_the_deployment() {
    let prefixed = |names: &Value| -> BTreeSet<String> {
        keys(names).into_iter().map(|name| format!("live-{name}")).collect()
    };
    let Tables { checkpoints, days, history, maps, overrides, policies, quotes, recoveries, watermarks } =
        Tables::named("live");
    assert_eq!(
        prefixed(&deployment()["tables"]),
        [checkpoints, days, history, maps, overrides, policies, quotes, recoveries, watermarks].into()
    );
    let Streams { events, counts, changes } = Streams::named("live");
    assert_eq!(prefixed(&deployment()["streams"]), [events, counts, changes].into());
    let secrets = [pseudonym_key_name("live"), quote_key_name("live")];
    assert_eq!(prefixed(&deployment()["secrets"]), secrets.into());
    assert_eq!(deployment()["secrets"]["pseudonym-key"]["hexDigits"], 2 * KEY_BYTES);
    assert_eq!(deployment()["secrets"]["quote-key"]["hexDigits"], 2 * MIN_KEY_BYTES);
}

#[test]
fn the_required_variables_are_all_that_the_functions_require() {
    let deployment = deployment();
    let variables = deployment["variables"].as_object().unwrap();
    let required: BTreeSet<&str> =
        variables.iter().filter(|(_, it)| it["required"] == true).map(|(name, _)| name.as_str()).collect();
    let mut reader = Variables::new(|name: &str| required.contains(name).then(|| "1".to_owned()));
    resources::deployment(&mut reader);
    resources::cache(&mut reader);
    reader.text("EQUILIBRIUM_DEAD_LETTERS_URL");
    assert_eq!(reader.lanes().get(), 64);
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn the_route_table_is_that_of_the_deployment() {
    let deployment = deployment();
    let text = |route: &Value, key: &str| route[key].as_str().unwrap().to_owned();
    let scope = |route: &Value| route.get("scope").map(|_| text(route, "scope"));
    let routes: Vec<([String; 3], Option<String>)> = deployment["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| (["method", "path", "function"].map(|key| text(route, key)), scope(route)))
        .collect();
    let table = ROUTES.map(|Route { method, path, function, scope, .. }| {
        let names = [method, path, function.name()].map(str::to_owned);
        (names, scope.map(|scope| scope.name().to_owned()))
    });
    assert_eq!(routes, table);
    assert_eq!(deployment["defaultFunction"], DEFAULT_FUNCTION.name());
}
