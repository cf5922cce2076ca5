import { expect, test } from "vitest";
import { formatDate, formatTime } from "../format/time";
import { stepDecimals, timeLabel, valueRange } from "./scale";

test("leaves room around the values, and more around a steady one", () => {
  expect(valueRange(10, 20, 1)).toEqual([8.8, 21.2]);
  const [low, high] = valueRange(7.9, 7.9, 1);
  expect(high - low).toBeCloseTo(0.8);
});

test("gives no negative labels to what was never negative", () => {
  expect(valueRange(0, 10, 0)[0]).toBe(0);
  expect(valueRange(-9, 3, 0)[0]).toBeLessThan(-9);
  expect(valueRange(null, null, 0)).toEqual([0, 1]);
});

test("gives labels the decimals that tell them apart", () => {
  expect([5, 1, 2.5, 0.5, 0.25].map((step) => stepDecimals(step, 2))).toEqual([0, 0, 1, 1, 2]);
  expect(stepDecimals(0.05, 1)).toBe(1);
});

test("labels hours within a day and dates beyond", () => {
  const HOUR = 60 * 60_000;
  const midnight = Date.UTC(2026, 10, 23, 17, 0);
  expect(timeLabel(midnight, HOUR, formatTime, formatDate)).toBe("24/11");
  expect(timeLabel(midnight + HOUR, HOUR, formatTime, formatDate)).toBe("01:00");
  expect(timeLabel(midnight + HOUR, 24 * HOUR, formatTime, formatDate)).toBe("24/11");
});
