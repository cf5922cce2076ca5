// Adds up what a phone downloads, each file of dist/ gzipped as the gateway sends it: first what the first screen loads
// (the page, what it names, and what that imports), then the pages that are fetched when they are opened or while
// nothing else is done. Fails when the first load is above the limit, so that weight is a decision and never an accident.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 60_000;
const dist = new URL("../dist/", import.meta.url).pathname;

const files = readdirSync(dist, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => posix.relative(dist, join(entry.parentPath, entry.name)));

// What a file makes the browser load at once. `import("…")` does not: it is followed by a bracket.
const NAMED = {
  ".html": [/(?:src|href)="([^"]+)"/g],
  ".js": [/\b(?:import|from)\s*["']([^"']+)["']/g],
  ".css": [/url\(["']?([^"')]+)["']?\)/g, /@import\s*["']([^"']+)["']/g],
};

const first = new Set();
function load(file) {
  if (first.has(file)) return;
  if (!files.includes(file)) throw new Error(`size: ${file} is named and not in dist/`);
  first.add(file);
  const text = readFileSync(join(dist, file), "utf8");
  for (const pattern of NAMED[posix.extname(file)] ?? []) {
    for (const [, name] of text.matchAll(pattern)) {
      if (name.startsWith(".")) load(posix.join(posix.dirname(file), name));
    }
  }
}
load("index.html");

function print(title, names) {
  let sum = 0;
  console.log(title);
  for (const name of names) {
    const bytes = gzipSync(readFileSync(join(dist, name)), { level: 9 }).length;
    sum += bytes;
    console.log(`${String(bytes).padStart(9)}  ${name}`);
  }
  console.log(`${String(sum).padStart(9)}  bytes gzipped`);
  return sum;
}

const loaded = print(`First load (limit ${LIMIT_BYTES}):`, [...first]);
print("Fetched later:", files.filter((file) => !first.has(file)));
if (loaded > LIMIT_BYTES) {
  console.error("size: over the limit");
  process.exit(1);
}
