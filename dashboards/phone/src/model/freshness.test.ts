import { expect, test } from "vitest";
import { isStale, lastGood, staleAfter } from "./freshness";
import { latest } from "./sample";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("is stale after three missed readings, and never before ten minutes", () => {
  expect(staleAfter(15 * MINUTE)).toBe(45 * MINUTE);
  expect(staleAfter(10_000)).toBe(10 * MINUTE);
  expect(staleAfter(null)).toBe(HOUR);
  const reading = latest({ at: 0, every_ms: 15 * MINUTE });
  expect([isStale(reading, 45 * MINUTE), isStale(reading, 46 * MINUTE)]).toEqual([false, true]);
});

test("knows the last good reading, to the hour when only the sparkline tells", () => {
  const now = 100 * HOUR;
  expect(lastGood(latest({ last_good_at: 5 }), now)).toEqual({ at: 5, about: false });
  expect(lastGood(latest({ spark: [1, 2, null, null, null] }), now)).toEqual({ at: now - 3 * HOUR, about: true });
  expect(lastGood(latest({ spark: [null, null] }), now)).toBeNull();
});
