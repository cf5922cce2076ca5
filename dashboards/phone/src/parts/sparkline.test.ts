import { expect, test } from "vitest";
import { strokes } from "./sparkline";

test("draws gaps as gaps and a lone hour as a dot", () => {
  const lines = strokes([1, 2, null, 3, null], 1);
  expect(lines).toHaveLength(2);
  expect(lines[0]?.path).toMatch(/^M[\d.]+ [\d.]+L[\d.]+ [\d.]+$/);
  expect(lines[1]?.path).toBeNull();
});

test("keeps a steady value flat, in the middle", () => {
  expect(strokes([5, 5.01, 5], 0.8).every((line) => Math.abs(line.y - 17) < 1)).toBe(true);
  expect(strokes([], 1)).toEqual([]);
});
