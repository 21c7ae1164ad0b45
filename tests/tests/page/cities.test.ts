/** Several cities and products, with and without a basemap. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Opened, launch, until } from "./harness/browser.ts";
import { askForRides } from "./harness/market.ts";
import { Server } from "./harness/server.ts";

/** Squares around two towns, and a basemap of the first: one quarter with a name. */
const square = (lng: number, lat: number, half: number) => ({
  type: "Polygon",
  coordinates: [
    [
      [lng - half, lat - half],
      [lng + half, lat - half],
      [lng + half, lat + half],
      [lng - half, lat + half],
      [lng - half, lat - half],
    ],
  ],
});
const CITIES = [
  {
    city: "rome",
    name: "Roma",
    timezone: "Europe/Rome",
    currency: "EUR",
    boundary: square(12.49, 41.9, 0.2),
    products: [{ id: "standard" }, { id: "xl" }],
    surge: { curve: "linear", slope: 0.25, ring_weights: [1, 0.5] },
    limits: { max_multiplier: 3 },
  },
  {
    city: "suva",
    name: "Suva",
    timezone: "Pacific/Fiji",
    currency: "FJD",
    boundary: square(178.44, -18.14, 0.2),
    products: [{ id: "standard" }],
  },
];
const BASEMAP = {
  type: "Topology",
  transform: { scale: [0.001, 0.001], translate: [12.39, 41.8] },
  arcs: [
    [
      [0, 0],
      [200, 0],
      [0, 200],
      [-200, 0],
      [0, -200],
    ],
  ],
  objects: {
    areas: {
      type: "GeometryCollection",
      geometries: [{ type: "Polygon", arcs: [[0]], properties: { n: "Centro", r: "Lazio" } }],
    },
  },
};

let browser: Browser;
let server: Server;
const folder = mkdtempSync(join(tmpdir(), "equilibrium-page-"));

before(async () => {
  writeFileSync(join(folder, "cities.json"), JSON.stringify(CITIES));
  writeFileSync(join(folder, "rome.topo.json"), JSON.stringify(BASEMAP));
  browser = await launch();
  server = await Server.start("--feed", "none", "--city", join(folder, "cities.json"), "--speed", "10");
});

after(async () => {
  await browser.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

test("before the first tick the page says what it waits for", async () => {
  const opened = await Opened.at(browser, server.url);
  assert.match(await opened.page.locator(".now h2").innerText(), /Waiting for the city’s first prices/);
  assert.match(await opened.status(), /Starting/);
  opened.assertQuiet();
  await opened.close();
});

test("a product has prices of its own, by the policy's own rule, on the basemap beside the city file", async () => {
  const opened = await Opened.at(browser, `${server.url}/?city=rome`);
  const { page } = opened;
  const isRising = async () => {
    await askForRides(server, "rome", "xl", 41.9, 12.49, 40);
    await page.getByRole("button", { name: "Xl" }).click();
    return (await opened.facts()).highest > 1.5;
  };
  await until("the price of the product rises", isRising, 60_000);
  assert.match(await page.locator(".now h2").innerText(), /around Centro/);
  await page.locator(".places button").first().click();
  await page.locator(".why").waitFor();
  assert.match(await page.locator(".why").innerText(), /1 \+ 0\.25 × \(\d+\.\d\d − 1\)/);
  assert.match(await page.locator(".why").innerText(), /from 1\.0× to 3\.0×/);
  assert.equal(await page.locator(".counts tbody tr").count(), 2);
  assert.equal(await page.locator(".story").count(), 0);
  await opened.keepPicture("basemap-beside");
  await page.getByRole("button", { name: "Standard" }).click();
  await until("the other product is in balance", async () => (await opened.facts()).highest === 1);
  opened.assertQuiet();
  await opened.close();
});

test("another city is chosen by name, and drawn on a graticule", async () => {
  const opened = await Opened.at(browser, server.url);
  const { page } = opened;
  await page.getByRole("combobox", { name: "City" }).selectOption("suva");
  await until("the address names it", async () => page.url().includes("city=suva"));
  const isRising = async () => {
    await askForRides(server, "suva", "standard", -18.14, 178.44, 40);
    return (await opened.facts()).highest > 1.5;
  };
  await until("its price rises", isRising, 60_000);
  assert.match(await page.locator(".now h2").innerText(), /around 18\.\d+° S, 178\.\d+° E/);
  await opened.keepPicture("graticule");
  opened.assertQuiet();
  await opened.close();
});
