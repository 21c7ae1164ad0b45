// What is checked when `deployment.json` is loaded, and what a compiler cannot check.
import assert from "node:assert/strict";
import { test } from "node:test";
import json from "../deployment.json" with { type: "json" };
import { type AsJson, checked, deployment, type Deployment, mapValues } from "../lib/deployment.ts";

/** The list with one change. */
function changed(change: (list: AsJson<Deployment>) => void): AsJson<Deployment> {
  const list: AsJson<Deployment> = structuredClone(json);
  change(list);
  return list;
}

test("a reference to a name that is not listed is refused", () => {
  const refused: [(list: AsJson<Deployment>) => void, RegExp][] = [
    [(list) => (list.defaultFunction = "page"), /defaultFunction: no function page/],
    [(list) => (list.routes[0]!.function = "page"), /POST \/v1\/events: no function page/],
    [(list) => (list.mappings.count.stream = "pings"), /mapping count: no stream pings/],
    [(list) => (list.mappings.surge.onFailure = "lost"), /mapping surge: no queue lost/],
    [(list) => list.variables.EQUILIBRIUM_LANES.functions.push("page"), /EQUILIBRIUM_LANES: no function page/],
    [(list) => Object.assign(list.mappings, { page: list.mappings.count }), /mapping page: no function page/],
    [(list) => (list.tables.policies.partitionKey.type = "B"), /table policies: no key type B/],
  ];
  for (const [change, message] of refused) {
    assert.throws(() => checked(changed(change)), message);
  }
});

test("every fault of the list is named at once", () => {
  const list = changed((list) => {
    list.defaultFunction = "page";
    list.mappings.count.stream = "pings";
  });
  assert.throws(() => checked(list), /no function page; mapping count: no stream pings/);
});

test("a path with two functions is refused", () => {
  const list = changed((list) => list.routes.push({ method: "GET", path: "/v1/events", function: "price" }));
  assert.throws(() => checked(list), /GET \/v1\/events: the path has two functions/);
});

test("a path with two scopes is refused", () => {
  const list = changed((list) =>
    list.routes.push({ method: "GET", path: "/v1/events", function: "ingest", scope: "prices:read" }),
  );
  assert.throws(() => checked(list), /GET \/v1\/events: the path has two scopes/);
});

test("a mapping that keeps records longer than its stream is refused", () => {
  const list = changed((list) => (list.mappings.count.maximumRecordAgeSeconds = 24 * 3600));
  assert.throws(() => checked(list), /mapping count: records may outlive their stream/);
});

test("every route is listed once, in the syntax of OpenAPI", () => {
  const operations = deployment.routes.map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(operations, [...new Set(operations)]);
  for (const { method, path } of deployment.routes) {
    assert.match(method, /^[A-Z]+$/);
    assert.match(path, /^(\/([a-z0-9._-]+|\{[a-z_]+\}))+$/);
  }
});

test("a required variable has no default and at least one reader", () => {
  for (const [name, variable] of Object.entries(deployment.variables)) {
    assert.match(name, /^EQUILIBRIUM_[A-Z_]+$/);
    assert.ok(!(variable.required && variable.default !== undefined), name);
    assert.ok(variable.functions.length > 0, name);
  }
});

test("a record keeps its keys when its values are mapped", () => {
  assert.deepEqual(mapValues({ a: 1, b: 2 }, (key, value) => `${key}${value}`), { a: "a1", b: "b2" });
});
