import { expect, test } from "vitest";
import type { History } from "../api/types";
import { estimatedTimes, faultTimes, isolated, runs, withGaps, withNewest } from "./gaps";
import { stats } from "./stats";

const history = (t: number[], mean: (number | null)[]): History => ({
  unit: "cm",
  from: 0,
  to: 1_000,
  bucket_ms: 10,
  gap_ms: 25,
  t,
  mean,
  min: mean.map((value) => (value === null ? null : value - 1)),
  max: mean.map((value) => (value === null ? null : value + 1)),
  n: mean.map((value) => (value === null ? 0 : 2)),
  estimated: t.map(() => 0),
});

test("breaks the line where two buckets are further apart than the gap, and nowhere else", () => {
  const { t, mean, min, max } = withGaps(history([0, 10, 35, 61], [1, 2, 3, 4]));
  expect(t).toEqual([0, 10, 35, 48, 61]);
  expect(mean).toEqual([1, 2, 3, null, 4]);
  expect([min[3], max[3]]).toEqual([null, null]);
});

test("breaks the line at faults, and says where they are", () => {
  const faulty = history([0, 10, 20], [1, null, 3]);
  expect(withGaps(faulty).mean).toEqual([1, null, 3]);
  expect(faultTimes(faulty)).toEqual([10]);
});

test("finds points that no line reaches", () => {
  expect(isolated([1, null, 2, 3, null, 4])).toEqual([0, 5]);
  expect(isolated([1, 2])).toEqual([]);
});

test("splits a sparkline into strokes", () => {
  expect(runs([null, 1, 2, null, 3])).toEqual([[[1, 1], [2, 2]], [[4, 3]]]);
});

test("ends the history with the newest reading, and only with a newer one", () => {
  const h = history([0, 10], [1, 2]);
  expect(withNewest(h, 15, 9, true)).toMatchObject({ t: [0, 10, 15], mean: [1, 2, 9], n: [2, 2, 1], estimated: [0, 0, 1] });
  expect(withNewest(h, 10, 9, false)).toBe(h);
  expect(withNewest(h, 15, null, false)).toBe(h);
  expect(withNewest(h, 2_000, 9, false)).toBe(h);
});

test("sums a history up, weighted by readings and without faults", () => {
  const h = { ...history([0, 10, 20], [1, null, 4]), n: [3, 0, 1] };
  expect(stats(h)).toEqual({ min: { value: 0, at: 0 }, max: { value: 5, at: 20 }, mean: 1.75, readings: 4 });
  expect(stats(history([0], [null]))).toBeNull();
});

test("finds the buckets with estimated times", () => {
  expect(estimatedTimes({ ...history([0, 10, 20], [1, null, 4]), estimated: [0, 2, 0] })).toEqual([10]);
});
