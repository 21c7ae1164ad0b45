// How the page is built: plain files under dist/, with hashes in their names.
import { readFileSync, readdirSync } from "node:fs";
import { type Plugin, defineConfig } from "vite";

/** Where an API runs, for `npm run dev`. */
const API = "http://127.0.0.1:8080";

/** Puts the theme's script before everything else: a classic script, so that the first paint has the right colours. */
function themeScript(): Plugin {
  const source = readFileSync(new URL("src/theme-at-start.js", import.meta.url), "utf8");
  const before = (src: string) => [{ tag: "script", attrs: { src }, injectTo: "head-prepend" as const }];
  return {
    name: "theme-script",
    buildStart() {
      if (!this.meta.watchMode) this.emitFile({ type: "asset", name: "theme.js", source });
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, context) {
        const asset = Object.values(context.bundle ?? {}).find(
          (output) => output.type === "asset" && output.names.includes("theme.js"),
        );
        return before(asset === undefined ? "/src/theme-at-start.js" : `/${asset.fileName}`);
      },
    },
  };
}

/** Collects the licences of the packages that are in the build. */
function licenses(): Plugin {
  const folderOf = (module: string) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module)?.[0];
  return {
    name: "licenses",
    apply: "build",
    generateBundle() {
      const folders = new Set([...this.getModuleIds()].flatMap((module) => folderOf(module) ?? []));
      const packages = [...folders].map((folder) => {
        const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
        const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
        const text = file === undefined ? "" : readFileSync(`${folder}/${file}`, "utf8").trim();
        return `${name} ${version} (${license})\n\n${text}\n`;
      });
      const source = packages.sort().join(`\n${"-".repeat(80)}\n\n`);
      this.emitFile({ type: "asset", fileName: "licenses.txt", source });
    },
  };
}

export default defineConfig({
  plugins: [themeScript(), licenses()],
  server: { proxy: { "/v1": API } },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    rolldownOptions: { output: { hashCharacters: "hex" } },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
});
