/** The page on a network that fails, with servers that restart, and in several tabs. */
import assert from "node:assert/strict";
import { type TestContext, after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { BLANK, Opened, launch, until } from "./harness/browser.ts";
import { Proxy } from "./harness/proxy.ts";
import type { SurgeMap } from "./harness/rule.ts";
import { Server } from "./harness/server.ts";

let browser: Browser;

before(async () => {
  browser = await launch();
});

after(() => browser.close());

/** A server behind a network, and a page that is live. */
async function online(context: TestContext): Promise<{ server: Server; proxy: Proxy; opened: Opened }> {
  const server = await started(context);
  const proxy = await Proxy.before(server.url);
  context.after(() => proxy.stop());
  const opened = await Opened.at(browser, proxy.url);
  context.after(() => opened.close());
  await untilLive(opened);
  return { server, proxy, opened };
}

/** A server that stops at the end of the test. */
async function started(context: TestContext, ...parameters: string[]): Promise<Server> {
  const server = await Server.start("--speed", "5", ...parameters);
  context.after(() => server.stop());
  return server;
}

const untilLive = (opened: Opened) => until("the page is live", async () => (await opened.status()).startsWith("Live"));

/** Waits until the page shows what the server's map has. */
async function untilCurrent(opened: Opened, server: Server): Promise<void> {
  await until("the page shows the server's map", async () => {
    const [facts, { cells }] = await Promise.all([opened.facts(), server.json<SurgeMap>("/v1/cities/nyc/surge")]);
    const total = (member: "demand" | "supply") => cells.reduce((sum, row) => sum + row[member], 0);
    return facts.riders === total("demand") && facts.drivers === total("supply");
  });
}

test("prices come over the stream: the map is read once", async (context) => {
  const { server, proxy, opened } = await online(context);
  const before = await opened.facts();
  await until("ticks change the totals", async () => (await opened.facts()).drivers !== before.drivers);
  await untilCurrent(opened, server);
  assert.equal(proxy.countOf("/v1/cities/nyc/surge") <= 2, true, `${proxy.requests}`);
  opened.assertQuiet();
});

test("while disconnected the page says so and keeps the last prices, which age; then it is live again", async (context) => {
  const { server, proxy, opened } = await online(context);
  proxy.cut();
  await opened.page.getByRole("alert").waitFor();
  const age = async () => Number(/Disconnected\s+last prices, (\d+) s old/.exec(await opened.status())?.[1]);
  const first = await until("the age is shown", async () => (await age()) || undefined);
  await until("prices age", async () => (await age()) > first + 5);
  assert.equal((await opened.facts()).drivers > 0, true);
  await opened.keepPicture("disconnected");
  await opened.assertAccessible("disconnected");
  proxy.mend();
  await untilLive(opened);
  await untilCurrent(opened, server);
  assert.equal(await opened.page.getByRole("alert").count(), 0);
});

test("after a server's restart the page follows the new run, whose versions are lower", async (context) => {
  const { server, proxy, opened } = await online(context);
  await server.stop();
  const next = await started(context, "--seed", "2");
  proxy.target = next.url;
  await untilLive(opened);
  await untilCurrent(opened, next);
});

test("after lost events the page reads the map again", async (context) => {
  const { server, proxy, opened } = await online(context);
  await untilCurrent(opened, server);
  const read = proxy.countOf("/v1/cities/nyc/surge");
  proxy.lost = 2;
  await until("the gap is noticed", async () => proxy.countOf("/v1/cities/nyc/surge") > read);
  await untilCurrent(opened, server);
  opened.assertQuiet();
});

test("two tabs share one stream, which the second takes over", async (context) => {
  const { server, proxy, opened } = await online(context);
  const second = await opened.another(proxy.url);
  context.after(() => second.close());
  await untilLive(second);
  await untilCurrent(second, server);
  const before = await second.facts();
  await until("both change", async () => (await second.facts()).drivers !== before.drivers);
  assert.equal(proxy.openStreams, 1);
  assert.equal(proxy.countOf("/v1/stream"), 1);

  await opened.close();
  await until("the second tab reads", async () => proxy.countOf("/v1/stream") === 2 && proxy.openStreams === 1);
  await untilLive(second);
  await untilCurrent(second, server);
  second.assertQuiet();
});

test("a tab that is hidden for a minute leaves the stream, and is current again when it is shown", async (context) => {
  const { server, proxy, opened } = await online(context);
  const tab = await Opened.at(browser, BLANK);
  context.after(() => tab.close());
  await opened.close();
  await tab.page.clock.install();
  await tab.page.goto(proxy.url);
  await untilLive(tab);
  const show = (isHidden: boolean) =>
    tab.page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
  await show(true);
  await tab.page.clock.fastForward(61_000);
  await until("no stream is open", async () => proxy.openStreams === 0);
  await show(false);
  await until("a stream is open", async () => proxy.openStreams === 1);
  await untilCurrent(tab, server);
});
