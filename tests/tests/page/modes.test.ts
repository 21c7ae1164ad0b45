/** What the page says when no tick closes any more: prices age, until the timetable or the base price takes their place. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Opened, launch, until } from "./harness/browser.ts";
import { askForRides } from "./harness/market.ts";
import { Server } from "./harness/server.ts";

let browser: Browser;
let server: Server;

before(async () => {
  // Prices are delayed after 30 s and of no use after 5 min, here after 1 s and 10 s.
  [browser, server] = await Promise.all([launch(), Server.start("--feed", "none", "--speed", "30")]);
});

after(async () => {
  await browser.close();
  await server.stop();
});

test("prices are live, then delayed, then flat, and live again with the next tick", async () => {
  const opened = await Opened.at(browser, server.url);
  const { page } = opened;
  const isLive = async () => {
    await askForRides(server, "nyc", "standard", 40.8296, -73.9262, 40);
    return (await opened.status()).startsWith("Live") && (await opened.facts()).highest > 1.5;
  };
  await until("prices are live and high", isLive);
  await page.keyboard.press("n");
  await page.locator(".why").waitFor();

  await until("prices are delayed", async () => /Delayed\s+last good prices, \d+ s old/.test(await opened.status()));
  assert.equal((await opened.facts()).highest > 1.5, true);
  assert.equal(await page.locator("#map.faded").count(), 1);
  await opened.keepPicture("delayed");
  await opened.assertAccessible("delayed");

  await until("prices are flat", async () => (await opened.status()).startsWith("Flat 1.0×"));
  await until("the map is flat", async () => (await opened.facts()).highest === 1);
  assert.match(await page.locator(".now").innerText(), /All prices are flat[^]*No tick has closed for 5 min/);
  assert.match(await page.locator(".course figcaption").innerText(), /price 1\.0×/);
  assert.match(await page.locator(".cell .multiplier").innerText(), /1\.0×[^]*no surge: counts are too old/);
  assert.equal(await page.locator(".why").count(), 0);
  await opened.keepPicture("flat");
  await opened.assertAccessible("flat");

  await until("prices are live again", isLive);
  assert.equal(await page.locator(".why").count(), 1);
  opened.assertQuiet();
  await opened.close();
});
