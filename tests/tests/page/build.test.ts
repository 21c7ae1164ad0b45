/** The committed build of the page is what its sources give. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const WEB = fileURLToPath(new URL("../../../functions/page/web", import.meta.url));
const COMMITTED = fileURLToPath(new URL("../../../functions/page/dist", import.meta.url));
/** The page may weigh this much when compressed: all of its files together. */
const MAX_GZIP_BYTES = 250_000;

function filesBelow(folder: string): Map<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  return new Map(paths.map((path) => [path.slice(folder.length), readFileSync(path)]));
}

test("a new build equals the committed one, byte for byte", () => {
  const folder = mkdtempSync(join(tmpdir(), "equilibrium-page-"));
  execFileSync("npx", ["vite", "build", "--logLevel", "warn", "--outDir", folder, "--emptyOutDir"], { cwd: WEB });
  const [built, committed] = [filesBelow(folder), filesBelow(COMMITTED)];
  rmSync(folder, { recursive: true });
  const advice = "run `make page` and commit functions/page/dist";
  assert.deepEqual([...committed.keys()], [...built.keys()], advice);
  for (const [path, content] of built) assert.ok(committed.get(path)?.equals(content), `${path} differs: ${advice}`);
});

test("the page is light", () => {
  const served = [...filesBelow(COMMITTED).keys()].filter((path) => path !== "/licenses.txt");
  const compressed = (path: string) => execFileSync("gzip", ["-9", "--stdout", COMMITTED + path]).length;
  const total = served.reduce((sum, path) => sum + compressed(path), 0);
  assert.ok(total <= MAX_GZIP_BYTES, `${total} bytes compressed`);
});

test("packages are locked without the addresses of a registry", () => {
  for (const lock of [join(WEB, "package-lock.json"), fileURLToPath(new URL("package-lock.json", import.meta.url))]) {
    assert.equal(readFileSync(lock, "utf8").includes('"resolved"'), false, lock);
  }
});
