// Rebuild static/vendor/ from npm packages: `node scripts/vendor.mjs`. The result is committed.
import { execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = {
  "@tabler/core": "1.6.1",
  "@tabler/icons": "3.51.0",
  "@fontsource-variable/inter": "5.3.0",
};

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
  activity adjustments alert-circle alert-triangle archive arrow-down arrow-left arrow-right arrow-up arrows-sort
  ban barcode bell bolt bookmark building building-store bulb calendar calendar-event calendar-repeat chart-bar
  chart-line check checkbox checks chevron-down chevron-left chevron-right chevron-up circle circle-check
  circle-dashed circle-minus circle-x clock clock-pause cloud code columns copy database database-import device-desktop
  device-mobile dots dots-vertical download edit external-link eye eye-off file-text filter filter-off flag folder
  gauge hash heartbeat help-circle history home hourglass id inbox info-circle key layout-dashboard link list
  list-check loader loader-2 lock lock-open login logout mail map-pin menu-2 moon package password pencil photo
  player-pause player-play player-skip-forward player-stop plug plug-connected plug-connected-x plug-x plus
  power qrcode refresh refresh-alert repeat rotate route search selector send server settings shield-check
  shield-lock shopping-cart sort-ascending sort-descending sql stack-2 star sun table table-export tag tags target
  template terminal-2 tool trash trending-down trending-up unlink upload user user-circle users variable wand wifi-off
  world x zoom-exclamation
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
  writeFileSync(join(work, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }));
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

function writeVersions() {
  const lines = Object.entries(PACKAGES).map(([name, version]) => `${name} ${version}`);
  writeFileSync(join(vendor, "VERSIONS.txt"), `${lines.join("\n")}\n`);
}

const work = mkdtempSync(join(tmpdir(), "vendor-"));
try {
  mkdirSync(vendor, { recursive: true });
  install(work);
  copyFiles(work);
  buildSprite(work);
  writeVersions();
} finally {
  rmSync(work, { recursive: true, force: true });
}
