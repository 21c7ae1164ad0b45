/** Takes the README's pictures from the running system: a window in light colours, an open cell in dark ones, a phone. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DESKTOP, Opened, PHONE, launch, until } from "./harness/browser.ts";
import type { SurgeMap } from "./harness/rule.ts";
import { Server } from "./harness/server.ts";

const FOLDER = fileURLToPath(new URL("../../../docs/pictures", import.meta.url));
/** The simulated city runs this much faster, so that its first minutes pass in one. */
const SPEED = "4";
/** What a picture shows: the hexagons around the stadium at its cap, and other places that are busy. */
const [MANY_AT_CAP, PLACES] = [7, 4];
const PATIENCE_MS = 180_000;

mkdirSync(FOLDER, { recursive: true });
const [server, browser] = await Promise.all([Server.start("--speed", SPEED), launch()]);
const open = (colorScheme: "light" | "dark", device: object) =>
  Opened.at(browser, server.url, { ...device, colorScheme });
const [light, dark, phone] = await Promise.all([open("light", DESKTOP), open("dark", DESKTOP), open("light", PHONE)]);
await until(
  "the stadium and its neighbours are at their cap",
  async () => {
    const { cells } = await server.json<SurgeMap>("/v1/cities/nyc/surge");
    const atCap = cells.filter(({ multiplier }) => multiplier === 5).length;
    return atCap >= MANY_AT_CAP && (await light.page.locator(".places li").count()) === PLACES;
  },
  PATIENCE_MS,
);
await dark.page.bringToFront();
await dark.page.keyboard.press("n");
await until("the plots are drawn", async () => (await dark.page.locator(".plots canvas").count()) === 2);
for (const [name, { page }] of Object.entries({ light, dark, phone })) {
  await page.bringToFront();
  // The map, its names and the plots are painted in the frames that follow.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const path = `${FOLDER}/${name}.png`;
  await page.screenshot({ path });
  execFileSync("pngquant", ["--force", "--skip-if-larger", "--quality", "85-100", "--output", path, path]);
  console.log(path);
}
await browser.close();
await server.stop();
