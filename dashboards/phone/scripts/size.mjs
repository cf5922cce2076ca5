// Adds up what a phone downloads: every file of dist/, gzipped as the gateway sends it.
// Fails above the limit, so that weight is a decision and never an accident.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";

const LIMIT_BYTES = 60_000;
const dist = new URL("../dist/", import.meta.url).pathname;

let sum = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const file = join(entry.parentPath, entry.name);
  const bytes = gzipSync(readFileSync(file), { level: 9 }).length;
  sum += bytes;
  console.log(`${String(bytes).padStart(7)}  ${relative(dist, file)}`);
}
console.log(`${String(sum).padStart(7)}  bytes gzipped in all (limit ${LIMIT_BYTES})`);
if (sum > LIMIT_BYTES) {
  console.error("size: over the limit");
  process.exit(1);
}
