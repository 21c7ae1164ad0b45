//! Every function and route of `infra/deployment.json` has its crate, its stack, its payloads and its routers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifests::{entries, members};
use super::repository::{File, assert_found, assert_none, file, files};

const LIST: &str = "infra/deployment.json";
const WATCH_ROUTER: &str = "workspace.metadata.lambda.watch.router";
/// The member of `functions/` that calls the others.
const COMMAND_LINE: &str = "local";
/// Where `equilibrium serve` calls the functions.
const HOST: &str = "functions/local/src/host/";
/// Where the local host and the functions look a path up.
const ROUTE_TABLE: &str = "shared/http/src/routes.rs";
/// What a client can rely on.
const CONTRACT: &str = "docs/contract.md";

#[derive(Debug)]
struct Route {
    method: String,
    path: String,
    function: String,
}

fn list(files: &[File]) -> Value {
    serde_json::from_str(&file(files, LIST).text).unwrap()
}

fn routes(list: &Value) -> Vec<Route> {
    let text = |route: &Value, field: &str| route[field].as_str().unwrap().to_owned();
    let routes = list["routes"].as_array().unwrap().iter().map(|route| Route {
        method: text(route, "method"),
        path: text(route, "path"),
        function: text(route, "function"),
    });
    routes.collect()
}

/// What a function of the list lacks elsewhere.
fn incomplete_functions(files: &[File]) -> Vec<String> {
    let list = list(files);
    let members = members(files);
    let routes = routes(&list);
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let mut findings = Vec::new();
    for (name, settings) in list["functions"].as_object().unwrap() {
        let mut lacks = |what: String| findings.push(format!("{LIST}: the function {name} lacks {what}"));
        let folder = format!("functions/{name}");
        if !members.contains(&folder.as_str()) {
            lacks(format!("its member in Cargo.toml: add \"{folder}\""));
            continue;
        }
        let package = format!("name = {}", settings["package"]);
        if !file(files, &format!("{folder}/Cargo.toml")).text.lines().any(|line| line == package) {
            lacks(format!("its package: write `{package}` into {folder}/Cargo.toml"));
        }
        if !has(&format!("infra/lib/functions/{name}.ts")) {
            lacks(format!("its construct: write infra/lib/functions/{name}.ts"));
        }
        let own: Vec<&Route> = routes.iter().filter(|route| &route.function == name).collect();
        let own_payload = |file: &File| file.path.starts_with("events/") && is_payload(file, name);
        if own.is_empty() && !files.iter().any(own_payload) {
            lacks(format!("a sample payload: add events/TRIGGER/{name}.json"));
        }
        for route in own.iter().filter(|route| !files.iter().any(|file| is_request(file, route))) {
            lacks(format!("a sample of {} {}: add one to events/http", route.method, route.path));
        }
        let call = if own.is_empty() { "handle_event" } else { "respond" };
        let call = format!("equilibrium_{name}::{call}(");
        if !files.iter().any(|file| file.path.starts_with(HOST) && file.text.contains(&call)) {
            lacks(format!("its call in the local host: write `{call}…)` into {HOST}"));
        }
    }
    let unlisted = members.iter().filter_map(|member| member.strip_prefix("functions/"));
    // Without a process of its own, a function answers in the local host only.
    let is_deployed = |name: &str| name != COMMAND_LINE && has(&format!("functions/{name}/src/main.rs"));
    let unlisted = unlisted.filter(|&name| is_deployed(name) && list["functions"].get(name).is_none());
    findings.extend(
        unlisted.map(|name| format!("{LIST}: functions/{name} is not listed: add it to \"functions\"")),
    );
    findings
}

/// Whether a file is named for the function: `count-bad-record.json` for `count`.
fn is_payload(file: &File, function: &str) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let rest = name.strip_prefix(function);
    rest.is_some_and(|rest| rest.starts_with(['-', '.'])) && file.has_extension("json")
}

/// Whether a file is a request of API Gateway for the route.
fn is_request(file: &File, route: &Route) -> bool {
    if !file.path.starts_with("events/http/") {
        return false;
    }
    let Ok(payload) = serde_json::from_str::<Value>(&file.text) else { return false };
    let path = payload["rawPath"].as_str().unwrap_or_default();
    let matches = |(part, given): (&str, &str)| part == given || part.starts_with('{');
    payload["requestContext"]["http"]["method"] == route.method
        && path.split('/').count() == route.path.split('/').count()
        && route.path.split('/').zip(path.split('/')).all(matches)
}

/// Routes that `cargo lambda watch` or the route table lacks, or that the former gives to another function.
fn wrong_routes(files: &[File]) -> Vec<String> {
    let list = list(files);
    let entries = entries(&file(files, "Cargo.toml").text, WATCH_ROUTER);
    let watched: BTreeMap<&str, &str> = entries
        .iter()
        .map(|(_, path, function)| (path.trim_matches('"'), function.trim_matches('"')))
        .collect();
    let routes = routes(&list);
    let mut findings = Vec::new();
    for Route { path, function, .. } in &routes {
        if watched.get(path.as_str()) != Some(&function.as_str()) {
            let line = format!("\"{path}\" = \"{function}\"");
            findings
                .push(format!("{LIST}: {path} is not watched: add {line} to [{WATCH_ROUTER}] of Cargo.toml"));
        }
        if !files.iter().any(|file| file.path == ROUTE_TABLE && file.text.contains(&format!("\"{path}\""))) {
            findings.push(format!("{LIST}: {path} is not in the route table: add it to {ROUTE_TABLE}"));
        }
    }
    for (line, path, _) in entries {
        if !routes.iter().any(|route| route.path == path.trim_matches('"')) {
            findings.push(format!("Cargo.toml:{line}: {path} is watched but not deployed: add it to {LIST}"));
        }
    }
    findings
}

/// Routes that the contract does not mention.
fn undocumented_routes(files: &[File]) -> Vec<String> {
    let contract = &file(files, CONTRACT).text;
    let is_mentioned = |route: &Route| {
        let call = format!("{} {}", route.method, route.path);
        contract.match_indices(&call).any(|(at, _)| contract[at + call.len()..].starts_with(['`', '?']))
    };
    let missing = routes(&list(files)).into_iter().filter(|route| !is_mentioned(route));
    let describe = missing.map(|Route { method, path, .. }| {
        format!("{LIST}: {CONTRACT} does not define `{method} {path}`: write what it answers")
    });
    describe.collect()
}

#[test]
fn every_function_has_its_crate_construct_payloads_and_call() {
    assert_none(&incomplete_functions(files()));
}

#[test]
fn every_router_knows_every_route() {
    assert_none(&wrong_routes(files()));
}

#[test]
fn every_route_is_in_the_contract() {
    assert_none(&undocumented_routes(files()));
}

/// A deployment of one function behind a route and one behind a stream, with one file replaced.
fn sample(replaced: &str, text: &str) -> Vec<File> {
    let list = r#"{"functions": {"hello": {"package": "equilibrium-hello"}, "sum": {"package": "equilibrium-sum"}},
        "routes": [{"method": "GET", "path": "/v1/hello", "function": "hello"}], "defaultFunction": "hello"}"#;
    let manifest = format!(
        "[workspace]\nmembers = [\n    \"functions/hello\",\n    \"functions/sum\",\n]\n[{WATCH_ROUTER}]\n\"/v1/hello\" = \"hello\"\n"
    );
    let request = r#"{"rawPath": "/v1/hello", "requestContext": {"http": {"method": "GET"}}}"#;
    let files = [
        (LIST, list),
        ("Cargo.toml", &manifest),
        ("functions/hello/Cargo.toml", "name = \"equilibrium-hello\""),
        ("functions/sum/Cargo.toml", "name = \"equilibrium-sum\""),
        ("functions/local/src/host/router.rs", "equilibrium_hello::respond(request)"),
        ("functions/local/src/host/pipeline.rs", "equilibrium_sum::handle_event(payload)"),
        (CONTRACT, "| `GET /v1/hello?name=` | a greeting |"),
        (ROUTE_TABLE, "Route { path: \"/v1/hello\" }"),
        ("events/http/get-hello.json", request),
        ("events/kinesis/sum-bad.json", "{}"),
        ("infra/lib/functions/hello.ts", ""),
        ("infra/lib/functions/sum.ts", ""),
    ];
    let replace = |(path, original)| File::new(path, if path == replaced { text } else { original });
    files.map(replace).into_iter().filter(|file| file.path != replaced || !text.is_empty()).collect()
}

#[test]
fn what_a_function_lacks_is_found() {
    assert_none(&incomplete_functions(&sample("", "")));
    for (replaced, text, expected) in [
        ("Cargo.toml", "[workspace]\nmembers = [\n    \"functions/sum\",\n]\n", "hello lacks its member"),
        ("functions/sum/Cargo.toml", "name = \"sum\"", "sum lacks its package"),
        ("infra/lib/functions/hello.ts", "", "hello lacks its construct"),
        ("events/kinesis/sum-bad.json", "", "sum lacks a sample payload"),
        ("events/http/get-hello.json", "", "hello lacks a sample of GET /v1/hello"),
        ("functions/local/src/host/router.rs", "", "hello lacks its call"),
        ("functions/local/src/host/pipeline.rs", "", "sum lacks its call"),
    ] {
        let found = incomplete_functions(&sample(replaced, text));
        assert_found(&found, &[format!("{LIST}: the function {expected}")]);
    }
    let members = "[workspace]\nmembers = [\"functions/hello\", \"functions/sum\", \"functions/new\", \"functions/local\"]\n";
    assert_none(&incomplete_functions(&sample("Cargo.toml", members)));
    let mut files = sample("Cargo.toml", members);
    files.push(File::new("functions/new/src/main.rs", ""));
    assert_found(&incomplete_functions(&files), &[format!("{LIST}: functions/new is not listed")]);
}

#[test]
fn a_route_that_a_router_lacks_is_found() {
    assert_none(&wrong_routes(&sample("", "")));
    let found = wrong_routes(&sample(ROUTE_TABLE, "Route { path: \"/v1/hello/{name}\" }"));
    assert_found(&found, &[format!("{LIST}: /v1/hello is not in the route table")]);
    let watched = format!("[{WATCH_ROUTER}]\n\"/v1/bye\" = \"hello\"\n\"/v1/hello\" = \"sum\"\n");
    let found = wrong_routes(&sample("Cargo.toml", &watched));
    assert_found(&found, &[format!("{LIST}: /v1/hello is not watched"), "Cargo.toml:2: \"/v1/bye\"".into()]);
}

#[test]
fn a_route_that_the_contract_lacks_is_found() {
    assert_none(&undocumented_routes(&sample("", "")));
    for contract in ["`POST /v1/hello`", "`GET /v1/hello/{name}`", "none"] {
        let found = undocumented_routes(&sample(CONTRACT, contract));
        assert_found(&found, &[format!("{LIST}: {CONTRACT} does not define `GET /v1/hello`")]);
    }
}
