/** The page of the simulated city, as a person opens it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Opened, PHONE, launch, until } from "./harness/browser.ts";
import { type SurgeMap, explain, priceOf } from "./harness/rule.ts";
import { Server } from "./harness/server.ts";

let browser: Browser;
let server: Server;

before(async () => {
  // The stadium empties three seconds after the start.
  [browser, server] = await Promise.all([launch(), Server.start("--speed", "20")]);
});

after(async () => {
  await browser.close();
  await server.stop();
});

const map = () => server.json<SurgeMap>("/v1/cities/nyc/surge");

test("hexagons appear and a price changes without a reload", async () => {
  const opened = await Opened.at(browser, server.url);
  assert.match(await opened.page.title(), /Equilibrium/);
  await until("hexagons are painted", async () => (await opened.painted()).all > 1_000);
  const before = await opened.facts();
  await until("the price rises", async () => (await opened.facts()).highest >= Math.max(3, before.highest));
  await until("the colour shows", async () => (await opened.painted()).colored > 500);
  assert.match(await opened.page.locator(".now h2").innerText(), /Riders outnumber drivers around \S/);
  assert.match(await opened.status(), /Live\s+prices \d+ s old/);
  assert.equal((await opened.page.locator(".story li.done").count()) >= 3, true);
  opened.assertQuiet();
  await opened.close();
});

test("the page shows the server's map", async () => {
  const opened = await Opened.at(browser, server.url);
  await until("its totals are those of the map", async () => {
    const [{ riders, drivers }, { cells }] = await Promise.all([opened.facts(), map()]);
    const total = (member: "demand" | "supply") => cells.reduce((sum, row) => sum + row[member], 0);
    return riders === total("demand") && drivers === total("supply");
  });
  await opened.close();
});

test("click and keys open the same cell", async () => {
  const opened = await Opened.at(browser, server.url);
  const { page } = opened;
  await until("a place is busy", async () => (await page.locator(".places li").count()) > 0);
  await page.keyboard.press("n");
  await page.locator(".cell").waitFor();
  const busiest = opened.cell();
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "map");

  await page.keyboard.press("ArrowRight");
  await until("the neighbour is spoken", async () => (await page.locator("#visited").innerText()).includes("×"));
  await page.keyboard.press("Enter");
  const neighbour = await until("the neighbour is open", async () => opened.cell() ?? undefined);
  assert.notEqual(neighbour, busiest);
  assert.equal(await page.locator(".cell code").innerText(), neighbour);
  assert.equal(await page.evaluate(() => document.activeElement?.id), "cell-heading");

  await page.keyboard.press("Escape");
  await until("the panel is closed", async () => (await page.locator(".cell").count()) === 0);
  // The middle of what the panels left free, where the map had moved the cell to.
  await page.mouse.click((360 + 1440 - 404) / 2, (84 + 900 - 76) / 2);
  assert.equal(await until("a click opens it", async () => opened.cell() ?? undefined), neighbour);
  opened.assertQuiet();
  await opened.close();
});

test("an open cell's arithmetic leads to its price", async () => {
  const opened = await Opened.at(browser, server.url);
  const { page } = opened;
  await until("a place is busy", async () => (await page.locator(".places li").count()) > 0);
  await page.locator(".places button").first().click();
  await page.locator(".why").waitFor();
  const cell = await until("it is open", async () => opened.cell() ?? undefined);
  const compared = await until("page and server show the same tick", async () => {
    const earlier = await map();
    const shown = await page.evaluate(() => ({
      counts: [...document.querySelectorAll(".counts tbody tr")].map((row) =>
        [...row.querySelectorAll("td")].map((of) => of.textContent),
      ),
      steps: [...document.querySelectorAll("output")].map((step) => step.textContent),
      large: document.querySelector(".cell .multiplier strong")?.textContent,
    }));
    const price = await priceOf(server, cell);
    const later = await map();
    const [riders] = [shown.counts[0]?.[1]];
    const row = later.cells.find((known) => known.cell === cell);
    const isSameTick = earlier.version === later.version && riders === row?.demand.toLocaleString("en");
    return isSameTick ? { shown, price, map: later } : undefined;
  });
  const { shown, price } = compared;
  const expected = explain(cell, compared.map);
  const counts = expected.counts.map(({ demand, supply }) => [
    demand.toLocaleString("en"),
    supply.toLocaleString("en"),
  ]);
  assert.deepEqual(
    shown.counts.map(([, ...rest]) => rest),
    counts,
  );
  assert.deepEqual(shown.steps, [expected.pressure.toFixed(2), `${expected.raw.toFixed(2)}×`, `${price.toFixed(1)}×`]);
  assert.equal(shown.large, `${price.toFixed(1)}×`);
  await until("its plots are drawn", async () => (await page.locator(".plots canvas").count()) === 2);
  opened.assertQuiet();
  await opened.close();
});

test("zoomed in, names and numbers show; the address keeps the cell", async () => {
  const opened = await Opened.at(browser, server.url);
  const { page } = opened;
  await page.keyboard.press("n");
  const cell = await until("a cell is open", async () => opened.cell() ?? undefined);
  await page.reload();
  await page.locator(".why").waitFor();
  assert.equal(await page.locator(".cell code").innerText(), cell);
  await opened.close();
});

test("keys: the theme is kept, help opens and closes, letters can be switched off", async () => {
  const opened = await Opened.at(browser, server.url);
  const { page } = opened;
  const theme = () => page.evaluate(() => document.documentElement.dataset["theme"]);
  await page.keyboard.press("t");
  await until("it is dark", async () => (await theme()) === "dark");
  await page.reload();
  assert.equal(await theme(), "dark");
  await page.locator(".facts").waitFor();

  await page.keyboard.press("?");
  const help = page.locator("dialog");
  await help.waitFor();
  assert.match(await help.innerText(), /NYC Open Data/);
  await help.getByRole("checkbox").uncheck();
  await page.keyboard.press("Escape");
  await until("help is closed", async () => (await help.count()) === 0);
  await page.keyboard.press("t");
  await page.keyboard.press("n");
  assert.deepEqual([await theme(), opened.cell()], ["dark", null]);
  opened.assertQuiet();
  await opened.close();
});

test("the page works without WebGL", async () => {
  const without = await launch("--disable-3d-apis");
  const opened = await Opened.at(without, server.url);
  const context = await opened.page.evaluate(() => document.createElement("canvas").getContext("webgl"));
  assert.equal(context, null);
  await until("hexagons are painted", async () => (await opened.painted()).all > 1_000);
  opened.assertQuiet();
  await without.close();
});

for (const [name, options] of [
  ["light", { viewport: { width: 1440, height: 900 }, colorScheme: "light" }],
  ["dark", { viewport: { width: 1440, height: 900 }, colorScheme: "dark" }],
  ["phone", { ...PHONE, colorScheme: "light" }],
] as const) {
  test(`${name}: people of all senses can use it, at the start and with a cell open`, async () => {
    const opened = await Opened.at(browser, server.url, options);
    await until("a place is busy", async () => (await opened.page.locator(".places li").count()) > 0);
    await opened.assertAccessible(`${name}, start`);
    await opened.keepPicture(`${name}-start`);
    await opened.page.locator(".places button").first().click();
    await until("plots are drawn", async () => (await opened.page.locator(".plots canvas").count()) === 2);
    await opened.assertAccessible(`${name}, cell`);
    await opened.keepPicture(`${name}-cell`);
    const overflow = await opened.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(overflow, false);
    opened.assertQuiet();
    await opened.close();
  });
}
