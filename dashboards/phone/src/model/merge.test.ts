import { expect, test } from "vitest";
import { merge } from "./merge";
import { latest } from "./sample";

const old = merge(undefined, latest({ spark: [1, null, 2] }));

test("takes a newer reading and keeps the sparkline that the stream doesn't carry", () => {
  const merged = merge(old, latest({ at: 1_300_000, value: 14.4 }));
  expect(merged).toMatchObject({ at: 1_300_000, value: 14.4, spark: [1, null, 2], last_good_at: 1_300_000 });
});

test("leaves a late reading aside: nothing changes, nothing is drawn again", () => {
  expect(merge(old, latest({ at: 700_000, value: 9 }))).toBe(old);
  expect(merge(old, latest())).toBe(old);
});

test("takes a correction of the same instant", () => {
  expect(merge(old, latest({ received_at: 2_000_000, value: 15 })).value).toBe(15);
});

test("takes the sparkline of an overview that the stream has overtaken, not its value", () => {
  const ahead = merge(old, latest({ at: 1_300_000, value: 14.4 }));
  expect(merge(ahead, latest({ spark: [5] }))).toMatchObject({ at: 1_300_000, value: 14.4, spark: [5] });
});

test("remembers when a sensor that fails now last had a value", () => {
  const failed = merge(old, latest({ at: 1_300_000, value: null, fault: "crc" }));
  expect(failed).toMatchObject({ value: null, fault: "crc", last_good_at: 1_000_000 });
  expect(merge(failed, latest({ at: 1_600_000, value: null, fault: "crc" })).last_good_at).toBe(1_000_000);
});
