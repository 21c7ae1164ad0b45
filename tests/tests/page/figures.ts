/**
 * Prints the page's figures: what it weighs, when it is first painted, and how many frames a second it draws while 5 000
 * cells change each second, at rest and while the map is dragged. The cells are made up here; all else is the running system.
 */
import { type ServerResponse, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { gridDisk, latLngToCell } from "h3-js";
import type { Page } from "playwright-core";
import { Opened, launch, until } from "./harness/browser.ts";
import { Server } from "./harness/server.ts";

const CELLS = 5_000;
const SECONDS = 10;
const LOADS = 5;

const server = await Server.start();
const browser = await launch();
await printLoads();
await printFrames();
await browser.close();
await server.stop();

async function printLoads(): Promise<void> {
  const loads: Load[] = [];
  for (let i = 0; i < LOADS; i += 1) loads.push(await load());
  const median = (of: (one: Load) => number) => loads.map(of).sort((a, b) => a - b)[Math.floor(LOADS / 2)] ?? 0;
  console.log(
    `page and files, compressed     ${(median(({ bytes }) => bytes) / 1_000).toFixed(1)} kB with a cell open`,
  );
  console.log(`first paint                    ${median(({ paintMs }) => paintMs).toFixed(0)} ms`);
  console.log(`hexagons painted               ${median(({ hexagonsMs }) => hexagonsMs).toFixed(0)} ms`);
}

interface Load {
  bytes: number;
  paintMs: number;
  hexagonsMs: number;
}

/** Opens the page with nothing cached. */
async function load(): Promise<Load> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const network = await context.newCDPSession(page);
  await network.send("Network.enable");
  const files = new Set<string>();
  let bytes = 0;
  network.on("Network.responseReceived", ({ requestId, response }) => {
    const { pathname } = new URL(response.url);
    if (pathname === "/" || pathname.startsWith("/assets/")) files.add(requestId);
  });
  network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (files.has(requestId)) bytes += encodedDataLength;
  });
  await page.goto(server.url);
  const shown = await page.waitForFunction(() => {
    const canvas = document.querySelector<HTMLCanvasElement>(".hexagons canvas");
    return canvas !== null && canvas.width > 0 && document.querySelector(".facts") !== null ? performance.now() : false;
  });
  const hexagonsMs = (await shown.jsonValue()) || NaN;
  const paintMs = await page.evaluate(
    () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
  );
  await page.locator("#map").focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await until("plots are drawn", async () => (await page.locator(".plots canvas").count()) === 2);
  await context.close();
  return { bytes, paintMs, hexagonsMs };
}

async function printFrames(): Promise<void> {
  const url = await crowded();
  const opened = await Opened.at(browser, url);
  await until("all cells are there", async () => (await opened.page.locator(".lede").innerText()).includes("of 5,000"));
  const busyMs = await busyClock(opened.page);
  const before = await busyMs();
  const atRest = await frames(opened.page, async () => undefined);
  const updateMs = ((await busyMs()) - before) / SECONDS;
  const panning = await frames(opened.page, (isOver) => drag(opened.page, isOver));
  for (const [name, { perSecond, p95Ms }] of [
    ["at rest", atRest],
    ["panning", panning],
  ] as const) {
    console.log(
      `5,000 cells a second, ${name}  ${perSecond.toFixed(1)} frames/s, 95th percentile ${p95Ms.toFixed(1)} ms`,
    );
  }
  console.log(`main thread for each second's changes  ${updateMs.toFixed(0)} ms`);
  await opened.close();
}

/** A clock of how long the page's main thread has worked. */
async function busyClock(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return (metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN) * 1_000;
  };
}

/** Counts frames for some seconds, while something is done. */
async function frames(page: Page, act: (isOver: () => boolean) => Promise<void>) {
  const counted = page.evaluate(
    (milliseconds) =>
      new Promise<number[]>((resolve) => {
        const times: number[] = [];
        requestAnimationFrame(function count(now: number) {
          times.push(now);
          if (now - (times[0] ?? now) < milliseconds) requestAnimationFrame(count);
          else resolve(times);
        });
      }),
    SECONDS * 1_000,
  );
  let isOver = false;
  const acting = act(() => isOver);
  const times = await counted;
  isOver = true;
  await acting;
  const gaps = times
    .slice(1)
    .map((time, i) => time - (times[i] ?? time))
    .sort((a, b) => a - b);
  return { perSecond: gaps.length / SECONDS, p95Ms: gaps[Math.floor(gaps.length * 0.95)] ?? NaN };
}

/** Drags the map to and fro. */
async function drag(page: Page, isOver: () => boolean): Promise<void> {
  await page.mouse.move(800, 450);
  await page.mouse.down();
  for (let i = 0; !isOver(); i += 1) await page.mouse.move(800 + 250 * Math.sin(i / 25), 450 + 150 * Math.sin(i / 40));
  await page.mouse.up();
}

/** The server, but with a map of 5 000 cells of which each changes each second. */
async function crowded(): Promise<string> {
  const cells = gridDisk(latLngToCell(40.75, -73.95, 8), 41).slice(0, CELLS);
  const streams = new Set<ServerResponse>();
  let version = 1;
  const change = () => {
    const now = new Date().toISOString();
    const rows = cells.map((cell) => ({
      cell,
      multiplier: 1 + Math.round(Math.random() * 40) / 10,
      demand: Math.floor(Math.random() * 90),
      supply: Math.floor(Math.random() * 90),
    }));
    return {
      city: "nyc",
      product: "standard",
      from: version - 1,
      version,
      bounds: 1,
      as_of: now,
      mode: "fresh",
      feed: "ok",
      completeness: 1,
      now,
      age_ms: 0,
      cells: rows,
      gone: [],
    };
  };
  const http = createServer((incoming, outgoing) => {
    const path = incoming.url?.split("?")[0];
    if (path === "/v1/stream") {
      outgoing.writeHead(200, { "content-type": "text/event-stream" }).write("retry: 1000\n\n");
      streams.add(outgoing);
      outgoing.on("close", () => streams.delete(outgoing));
    } else if (path === "/v1/cities/nyc/surge") {
      const map = change();
      const listed = map.cells.map((row) => ({ ...row, product: "standard" }));
      outgoing.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...map, cells: listed }));
    } else {
      const headers = { ...incoming.headers, host: new URL(server.url).host };
      request(server.url + incoming.url, { headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      }).end();
    }
  });
  setInterval(() => {
    version += 1;
    const event = `id: 1.nyc.${version}\nevent: surge_changed\ndata: ${JSON.stringify(change())}\n\n`;
    streams.forEach((stream) => stream.write(event));
  }, 1_000).unref();
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  http.unref();
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}
