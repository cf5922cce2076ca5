import { expect, test } from "vitest";
import { percent, shortDate, sum, whenMissing } from "./ledger";

// 15:00 on 24/11/2026 at the farm.
const NOW = Date.UTC(2026, 10, 24, 8, 0);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("says 100 percent only when nothing is missing", () => {
  expect(percent({ received: 9_999, missing: 1 })).toBe(99.9);
  expect(percent({ received: 7, missing: 0 })).toBe(100);
  expect(percent({ received: 0, missing: 3 })).toBe(0);
  expect(percent({ received: 0, missing: 0 })).toBeNull();
});

test("adds up days", () => {
  const days = [
    { day: "2026-11-23", received: 90, missing: 10, late: 4, deleted: false },
    { day: "2026-11-24", received: 5, missing: 0, late: 1, deleted: false },
  ];
  expect(sum(days)).toEqual({ received: 95, missing: 10, late: 5 });
  expect(shortDate("2026-11-23")).toBe("23/11");
});

test("dates what is missing on the farm's clock", () => {
  const when = (after: number | null, before: number | null) => whenMissing({ count: 3, after, before }, NOW);
  expect(when(NOW - HOUR, NOW)).toEqual({ kind: "day", from: "14:00", to: "15:00", day: "today" });
  const at = NOW - 24 * HOUR;
  expect(when(at - 55 * MINUTE, at + 40 * MINUTE)).toEqual({ kind: "day", from: "14:05", to: "15:40", day: "yesterday" });
  expect(when(at - 25 * HOUR, at - 24 * HOUR)).toEqual({ kind: "day", from: "14:00", to: "15:00", day: "22/11" });
  expect(when(at, NOW)).toEqual({ kind: "days", from: "15:00 23/11", to: "15:00 24/11" });
  // Midnight at the farm is 17:00 UTC.
  expect(when(NOW - 15 * HOUR - MINUTE, NOW - 15 * HOUR)).toEqual({ kind: "days", from: "23:59 23/11", to: "00:00 24/11" });
  // The same date of another year, and a clock that was set back.
  expect(when(NOW - 365 * 24 * HOUR, NOW)).toMatchObject({ kind: "days" });
  expect(when(NOW, NOW - HOUR)).toEqual({ kind: "day", from: "14:00", to: "15:00", day: "today" });
  expect(when(null, NOW)).toEqual({ kind: "around", at: "15:00 24/11" });
  expect(when(null, null)).toBeNull();
});
