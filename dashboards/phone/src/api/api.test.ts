import { expect, test } from "vitest";
import { backoff } from "./backoff";
import { readLetters } from "./letters";
import { BadAnswer, readDisk, readHistory, readNodes, readLatestList, readLedger, readOverview } from "./read";

test("waits longer with each failure, up to half a minute", () => {
  expect([0, 1, 2, 9].map((failures) => backoff(failures, 1))).toEqual([1_000, 2_000, 4_000, 30_000]);
  expect(backoff(0, 0)).toBe(750);
});

test("leaves out an entry that can't be shown and keeps the others", () => {
  const good = { node: "ao-2", channel: "salinity_2", unit: "[ppth]", at: 5, value: 1 };
  const read = readLatestList([null, { node: "x" }, { ...good, at: "soon" }, good]);
  expect(read).toMatchObject([{ channel: "salinity_2", quantity: "salinity", received_at: 5, spark: null, plot: null }]);
});

test("reads an overview of a gateway that knows less than this page", () => {
  const overview = readOverview({ now: 7, farms: [{ id: "f", plots: [{ id: "p" }] }], nodes: [{ id: "n" }] });
  expect(overview.farms[0]?.plots[0]).toMatchObject({ name: "p", crop: null, channels: [] });
  expect(overview.nodes[0]).toMatchObject({ name: "n", last_seen: null, connected: null, missing: 0 });
  expect(overview.system).toEqual({ clock: { right: true, last_jump: null }, dead_letters: 0, storing: true, damage: [] });
  expect(() => readOverview([])).toThrow(BadAnswer);
});

test("refuses a history whose columns don't match", () => {
  expect(() => readHistory({ t: [1, 2], mean: [1], min: [1, 2], max: [1, 2], n: [1, 1] })).toThrow(BadAnswer);
});

test("reads a history of a gateway that does not say which times are estimated", () => {
  const columns = { t: [1, 2], mean: [1, 2], min: [1, 2], max: [1, 2], n: [1, 1] };
  expect(readHistory(columns).estimated).toEqual([0, 0]);
  expect(readHistory({ ...columns, estimated: [0, 3] }).estimated).toEqual([0, 3]);
  expect(() => readHistory({ ...columns, estimated: [3] })).toThrow(BadAnswer);
});

test("reads clocks, and passes over a state that it does not know", () => {
  const clock = (of: unknown) => readNodes([{ id: "n", clock: of }])[0]?.clock;
  const jumped = { state: "ahead", offset_ms: 86_400_000, jumps: 1, jumped_at: 5, jump_ms: 86_400_000 };
  expect(clock(jumped)).toEqual({ state: "ahead", offset_ms: 86_400_000, last_jump: { at: 5, by_ms: 86_400_000 } });
  expect([clock(null), clock(undefined), clock({ state: "sideways" })]).toEqual([null, null, null]);
  const gateway = readOverview({ now: 7, clock: { right: false, last_jump: { at: 5, by_ms: -2 } }, dead_letters: 3 }).system;
  expect(gateway).toMatchObject({ clock: { right: false, last_jump: { at: 5, by_ms: -2 } }, dead_letters: 3 });
});

test("reads dead letters, also one whose line the gateway can't read", () => {
  const odd = { id: 2, since: 9, node: null, at: null, readings: [], line: "x", reason: "no" };
  const good = { ...odd, id: 1, node: "n", at: 4, readings: [{ channel: "ph_2", unit: "[pH]", value: 7.5, fault: null, estimated: true }] };
  const { letters, kinds } = readLetters({ total: 2, kinds: [{ reason: "no", total: 2, since: 9 }], letters: [odd, good] });
  expect(letters[0]).toEqual(odd);
  expect(letters[1]?.readings).toEqual([{ channel: "ph_2", quantity: "ph", unit: "[pH]", value: 7.5, fault: null, estimated: true }]);
  expect(kinds).toEqual([{ reason: "no", total: 2, since: 9 }]);
});

test("reads a ledger", () => {
  const range = { boot: 1, from: 4, through: 6, count: 3, after: null, before: 9 };
  const ledger = readLedger({ late_after_ms: 5, nodes: [{ node: "n", days: [{ day: "2026-11-24", received: 2, missing: 3, late: 1, history: "deleted" }], missing_ranges: [range] }] });
  expect(ledger.nodes[0]).toEqual({
    node: "n",
    days: [{ day: "2026-11-24", received: 2, missing: 3, late: 1, deleted: true }],
    missing_ranges: [{ count: 3, after: null, before: 9 }],
    missing_ranges_left_off: 0,
  });
  expect(readLedger({}).nodes).toEqual([]);
});

test("reads what the gateway says of its disk, if it does", () => {
  expect(readDisk({ status: "ok" })).toBeNull();
  const cursors = [{ name: "influx", room_pct: 81, hours_left: 5, given_up: { readings: 3, first_at: 1, last_at: 2 } }, { name: "x" }];
  expect(readDisk({ disk: { free_bytes: 7, cursors } })).toEqual({
    free_bytes: 7,
    deleted_before: null,
    sinks: [cursors[0], { name: "x", room_pct: 0, hours_left: null, given_up: { readings: 0, first_at: null, last_at: null } }],
  });
});
