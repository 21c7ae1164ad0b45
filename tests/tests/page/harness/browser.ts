/** A browser, and the page in it as a person uses it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import AxeBuilder from "@axe-core/playwright";
import { type Browser, type BrowserContext, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import { PICTURES } from "./server.ts";

/** A desktop's window and a phone's. */
export const DESKTOP = { viewport: { width: 1440, height: 900 } };
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** A tab without a page. */
export const BLANK = "about:blank";

const PATIENCE_MS = 20_000;

export function launch(...parameters: string[]): Promise<Browser> {
  const executablePath = process.env["CHROMIUM"] ?? execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
  return chromium.launch({ executablePath, args: ["--no-sandbox", ...parameters] });
}

/** Waits until `read` returns something that is not false or undefined. */
export async function until<T>(
  what: string,
  read: () => Promise<T | false | undefined>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await read();
    if (found !== false && found !== undefined) return found;
    if (Date.now() > end) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A page, with what it complains of. */
export class Opened {
  /** Messages of the console and errors of scripts. */
  readonly complaints: string[] = [];

  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
  ) {}

  static async at(browser: Browser, url: string, options: BrowserContextOptions = DESKTOP): Promise<Opened> {
    const context = await browser.newContext({ reducedMotion: "reduce", ...options });
    // The compiler of the tests calls this on functions that have names.
    await context.addInitScript("globalThis.__name = (named) => named");
    return Opened.tab(context, url);
  }

  /** Opens another tab of the same browser. */
  async another(url: string): Promise<Opened> {
    return Opened.tab(this.context, url);
  }

  private static async tab(context: BrowserContext, url: string): Promise<Opened> {
    const opened = new Opened(await context.newPage(), context);
    const { page, complaints } = opened;
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== new URL(url).origin) complaints.push(`external request: ${request.url()}`);
    });
    await page.goto(url);
    if (url !== BLANK) await page.locator(".facts").waitFor();
    return opened;
  }

  /** The numbers under the headline. */
  async facts(): Promise<{ highest: number; riders: number; drivers: number }> {
    const texts = await this.page.locator(".facts dd").allInnerTexts();
    const [highest = NaN, riders = NaN, drivers = NaN] = texts.map((text) => Number(text.replace(/[×,]/g, "")));
    return { highest, riders, drivers };
  }

  async status(): Promise<string> {
    return this.page.locator(".status").innerText();
  }

  /** The cell that is open, from the page's address. */
  cell(): string | null {
    return new URL(this.page.url()).searchParams.get("cell");
  }

  /** Pixels of the hexagons' canvas that are painted, and of those the ones with a strong colour. */
  async painted(): Promise<{ all: number; colored: number }> {
    return this.page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>(".hexagons canvas");
      if (canvas === null) return { all: 0, colored: 0 };
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
      copy?.drawImage(canvas, 0, 0);
      const pixels = copy?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let [all, colored] = [0, 0];
      for (let i = 0; i < pixels.length; i += 4) {
        const [red = 0, , blue = 0, alpha = 0] = pixels.slice(i, i + 4);
        if (alpha > 0) all += 1;
        if (alpha > 100 && Math.abs(red - blue) > 30) colored += 1;
      }
      return { all, colored };
    });
  }

  async assertAccessible(state: string): Promise<void> {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("\n")}`);
    assert.deepEqual(found, [], state);
  }

  async keepPicture(name: string): Promise<void> {
    mkdirSync(PICTURES, { recursive: true });
    await this.page.screenshot({ path: `${PICTURES}/${name}.png` });
  }

  assertQuiet(): void {
    assert.deepEqual(this.complaints, []);
  }

  async close(): Promise<void> {
    await this.page.close();
  }
}
