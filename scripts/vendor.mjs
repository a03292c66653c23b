// Rebuild static/vendor/ from npm packages: `node scripts/vendor.mjs`. The result is committed.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = {
  "@tabler/core": "1.6.1",
  "@tabler/icons": "3.51.0",
  "@fontsource-variable/inter": "5.3.0",
};

// Bundled: each list with everything it needs, so that nothing floats.
const EDITOR = {
  "@codemirror/autocomplete": "6.20.4",
  "@codemirror/commands": "6.11.1",
  "@codemirror/lang-sql": "6.10.0",
  "@codemirror/language": "6.13.1",
  "@codemirror/lint": "6.9.8",
  "@codemirror/search": "6.7.2",
  "@codemirror/state": "6.7.6",
  "@codemirror/streamparser": "6.0.0",
  "@codemirror/view": "6.43.15",
  "@lezer/common": "1.5.5",
  "@lezer/highlight": "1.2.5",
  "@lezer/lr": "1.4.12",
  "@marijn/find-cluster-break": "1.0.4",
  "crelt": "1.0.7",
  "style-mod": "4.1.4",
  "w3c-keyname": "2.2.8",
};
const CHARTS = { "chart.js": "4.6.1", "@kurkle/color": "0.3.4" };
const BUNDLER = { "esbuild": "0.28.2" };
const ALL = { ...PACKAGES, ...EDITOR, ...CHARTS, ...BUNDLER };

// [file in static/vendor/, its global name, packages for the licence file, what it exports].
const BUNDLES = [
  ["codemirror", "CodeMirror", EDITOR, `
    export { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
    export { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory } from "@codemirror/commands";
    export { SQLDialect, sql } from "@codemirror/lang-sql";
    export { HighlightStyle, bracketMatching, indentUnit, syntaxHighlighting, syntaxTree } from "@codemirror/language";
    export { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
    export { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
    export { EditorState, Prec } from "@codemirror/state";
    export {
      Decoration, EditorView, MatchDecorator, ViewPlugin, highlightActiveLine, highlightActiveLineGutter,
      highlightSpecialChars, keymap, lineNumbers,
    } from "@codemirror/view";
    export { tags } from "@lezer/highlight";`],
  ["chart", "Charts", CHARTS, `
    import {
      BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip,
    } from "chart.js";
    Chart.register(
      BarController, BarElement, CategoryScale, Legend, LinearScale, LineController, LineElement, PointElement, Tooltip,
    );
    export { Chart };`],
];

// CodeMirror would put its rules into a <style> element, which our policy refuses. Rules of a constructed style
// sheet are allowed; the package has that way too, for shadow roots only.
const STYLE_CONDITION = "if (!root.head && root.adoptedStyleSheets && win.CSSStyleSheet) {";

// Copied as they are: [package, file in it, file in static/vendor/].
const FILES = [
  ["@tabler/core", "dist/css/tabler.min.css", "tabler.min.css"],
  ["@tabler/core", "dist/js/tabler.min.js", "tabler.min.js"],
  ["@tabler/icons", "LICENSE", "LICENSE.tabler-icons.txt"],
  ["@fontsource-variable/inter", "files/inter-latin-wght-normal.woff2", "inter-latin.woff2"],
  ["@fontsource-variable/inter", "files/inter-latin-ext-wght-normal.woff2", "inter-latin-ext.woff2"],
  ["@fontsource-variable/inter", "LICENSE", "LICENSE.inter.txt"],
];

// Outline icons in the sprite, by their names at https://tabler.io/icons.
const ICONS = `
  activity adjustments alert-circle alert-triangle archive archive-off arrow-back-up arrow-down arrow-left
  arrow-right arrow-up arrows-sort ban barcode bell bolt bookmark building building-store bulb calendar
  calendar-event calendar-repeat calendar-time chart-bar chart-line check checkbox checks chevron-down chevron-left
  chevron-right chevron-up circle circle-check circle-dashed circle-minus circle-x clock clock-pause cloud code
  columns copy copy-plus database database-import database-search device-desktop device-mobile dots dots-vertical
  download edit external-link eye eye-off file-code file-download file-spreadsheet file-text file-type-csv filter
  filter-off flag folder gauge git-compare hash heartbeat help-circle history home hourglass hourglass-high id
  inbox info-circle key layout-dashboard link list list-check loader loader-2 lock lock-open login logout mail
  map-pin menu-2 moon package password pencil photo player-pause player-play player-skip-forward player-stop
  playlist-add plug plug-connected plug-connected-x plug-x plus power qrcode refresh refresh-alert repeat rotate
  route search selector send server settings shield-check shield-lock shopping-cart sort-ascending sort-descending
  sql stack-2 star sun table table-export tag tags target template terminal terminal-2 tool trash trending-down
  trending-up unlink upload user user-circle users variable versions wand wifi-off world x zoom-exclamation
`.trim().split(/\s+/);

const MIT_TABLER = `MIT License

Copyright (c) 2018-2026 The Tabler Authors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation
the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of
the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;

const vendor = resolve(dirname(fileURLToPath(import.meta.url)), "..", "static", "vendor");

function install(work) {
  writeFileSync(join(work, "package.json"), JSON.stringify({ private: true, dependencies: ALL }));
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: work, stdio: "inherit" });
}

function copyFiles(work) {
  for (const [name, from, to] of FILES) {
    let data = readFileSync(join(work, "node_modules", name, from));
    if (/\.(css|js)$/.test(to)) {
      // The maps are not shipped, and collectstatic refuses a reference to a missing file.
      data = data.toString().replace(/\n?(\/\/|\/\*)# sourceMappingURL=.*$/gm, "\n");
    }
    writeFileSync(join(vendor, to), data);
  }
  writeFileSync(join(vendor, "LICENSE.tabler.txt"), MIT_TABLER);
}

function buildSprite(work) {
  const symbols = ICONS.map((name) => {
    const svg = readFileSync(join(work, "node_modules/@tabler/icons/icons/outline", `${name}.svg`), "utf8");
    const shapes = svg
      .slice(svg.indexOf(">") + 1, svg.lastIndexOf("</svg>"))
      .replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*\/>/, "")
      .replace(/\s*\n\s*/g, "");
    return `<symbol id="${name}" viewBox="0 0 24 24">${shapes}</symbol>`;
  });
  writeFileSync(
    join(vendor, "icons.svg"),
    `<svg xmlns="http://www.w3.org/2000/svg"><!-- Tabler Icons ${PACKAGES["@tabler/icons"]}, MIT -->\n${symbols.join("\n")}\n</svg>\n`,
  );
}

/** Take the roundabout way out of style-mod, and fail when a new version has changed the line. */
const constructedStyleSheets = {
  name: "constructed-style-sheets",
  setup(build) {
    build.onLoad({ filter: /style-mod\.js$/ }, ({ path }) => {
      const source = readFileSync(path, "utf8");
      if (!source.includes(STYLE_CONDITION)) throw new Error("style-mod has changed: see STYLE_CONDITION.");
      return { contents: source.replace("!root.head && ", ""), loader: "js" };
    });
  },
};

async function bundle(work) {
  const esbuild = createRequire(join(work, "package.json"))("esbuild");
  for (const [name, globalName, packages, contents] of BUNDLES) {
    await esbuild.build({
      stdin: { contents, resolveDir: work },
      outfile: join(vendor, `${name}.min.js`),
      bundle: true,
      minify: true,
      format: "iife",
      globalName,
      target: "es2022",
      legalComments: "none",
      banner: { js: `/* MIT licence: LICENSE.${name}.txt; versions: VERSIONS.txt */` },
      plugins: [constructedStyleSheets],
    });
    writeLicence(work, name, packages);
  }
}

/** One file with every licence of a bundle, a text that several packages share once. */
function writeLicence(work, name, packages) {
  const holders = new Map();
  for (const part of Object.keys(packages)) {
    const path = ["LICENSE", "LICENSE.md"].map((file) => join(work, "node_modules", part, file)).find(existsSync);
    const text = readFileSync(path, "utf8").trim();
    holders.set(text, [...(holders.get(text) || []), part]);
  }
  const parts = [...holders].map(([text, names]) => `${names.join(", ")}\n\n${text}\n`);
  writeFileSync(join(vendor, `LICENSE.${name}.txt`), parts.join(`\n${"-".repeat(80)}\n\n`));
}

function writeVersions() {
  const lines = Object.entries(ALL).map(([name, version]) => `${name} ${version}`);
  writeFileSync(join(vendor, "VERSIONS.txt"), `${lines.join("\n")}\n`);
}

const work = mkdtempSync(join(tmpdir(), "vendor-"));
try {
  mkdirSync(vendor, { recursive: true });
  install(work);
  copyFiles(work);
  buildSprite(work);
  await bundle(work);
  writeVersions();
} finally {
  rmSync(work, { recursive: true, force: true });
}
