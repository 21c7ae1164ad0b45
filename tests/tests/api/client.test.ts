/** A client whose types are generated from the description of the API prices a ride, has it quoted and confirms the quote. */
import assert from "node:assert/strict";
import { test } from "node:test";

import createClient from "openapi-fetch";

import type { components, paths } from "./generated/api.d.ts";

type Quote = components["schemas"]["Quote"];

const baseUrl = process.env["EQUILIBRIUM_URL"];
assert.ok(baseUrl, "EQUILIBRIUM_URL is the address of a running `equilibrium serve`");
const client = createClient<paths>({ baseUrl });

const pickup = { lat: 40.7128, lng: -74.006 };

async function issue(): Promise<Quote> {
  const dropoff = { lat: 40.73, lng: -74.0 };
  const { data, error } = await client.POST("/v1/quotes", { body: { pickup, dropoff } });
  assert.ok(data, error?.detail);
  return data;
}

function confirm(quote: Quote, key?: string) {
  return client.POST("/v1/quotes/{id}/confirm", {
    params: { path: { id: quote.quote_id }, header: key === undefined ? {} : { "Idempotency-Key": key } },
    body: quote.requires_ack ? { ack_multiplier: quote.multiplier } : {},
  });
}

test("a place has a price", async () => {
  const { data, error } = await client.GET("/v1/price", { params: { query: pickup } });
  assert.ok(data, error?.detail);
  assert.equal(data.city, "nyc");
  assert.ok(data.multiplier >= 1);
  // @ts-expect-error: a price has no such mode.
  assert.ok(data.mode !== "stale");
});

test("a quote is issued, read and confirmed once", async () => {
  const quote = await issue();
  assert.equal(quote.status, "valid");
  const cents = (money: components["schemas"]["Money"]) => Math.round(Number(money.amount) * 100);
  const sum = quote.breakdown.reduce((sum, line) => sum + cents(line.amount), 0);
  assert.equal(sum, cents(quote.fare));

  const confirmed = await confirm(quote, "key-1");
  assert.equal(confirmed.data?.status, "confirmed");
  const repeated = await confirm(quote, "key-1");
  assert.deepEqual(repeated.data, confirmed.data);
  const refused = await confirm(quote);
  assert.equal(refused.response.status, 409);
  assert.equal(refused.error?.code, "already_confirmed");

  const read = await client.GET("/v1/quotes/{id}", { params: { path: { id: quote.quote_id } } });
  assert.deepEqual(read.data, confirmed.data);
});

test("a problem has a code that the description lists", async () => {
  const { error } = await client.GET("/v1/price", { params: { query: { lat: 0, lng: 0 } } });
  assert.equal(error?.code, "outside_service_area");
  // @ts-expect-error: a latitude is required.
  const { error: missing } = await client.GET("/v1/price", { params: { query: { lng: 0 } } });
  assert.equal(missing?.code, "missing_parameter");
  // @ts-expect-error: a price has no such problem.
  assert.ok(missing?.code !== "already_confirmed");
});

test("a map is read and asked for again by its entity tag", async () => {
  const params = { path: { city: "nyc" }, query: { product: "standard" } };
  const { data, response } = await client.GET("/v1/cities/{city}/surge", { params });
  assert.ok(data !== undefined && "cells" in data);
  assert.ok(data.cells.every((cell) => cell.multiplier > 0 && cell.supply >= 0));
  assert.ok(response.headers.get("etag"));
});
