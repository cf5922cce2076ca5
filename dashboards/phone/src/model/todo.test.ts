import { expect, test } from "vitest";
import { latest, node } from "./sample";
import { sameTodos, todos } from "./todo";

const HOUR = 60 * 60_000;
const now = 100 * HOUR;
const fresh = { at: now - 60_000, received_at: now - 59_000 };
const old = { at: now - 3 * HOUR, received_at: now - 3 * HOUR };
const kinds = (...args: Parameters<typeof todos>) => todos(...args).map((todo) => todo.kind);

test("has nothing to say when all is well", () => {
  expect(todos([node()], [latest(fresh)], now)).toEqual([]);
});

test("names a silent node once, not each of its channels", () => {
  const nodes = [node(), node({ id: "b" })];
  const channels = [latest(old), latest({ ...old, channel: "ph", fault: "crc", value: null }), latest({ ...fresh, node: "b" })];
  expect(todos(nodes, channels, now)).toMatchObject([{ kind: "node-silent", id: "ao-2", since: now - 3 * HOUR }]);
});

test("names one cause when every node is silent, and only nodes that have sent count", () => {
  const nodes = [node(), node({ id: "b", last_seen: now - 4 * HOUR }), node({ id: "c" })];
  expect(todos(nodes, [latest(old)], now)).toMatchObject([{ kind: "all-silent", count: 2, since: now - 3 * HOUR }, { kind: "node-never", id: "c" }]);
});

test("doesn't call a single silent node the whole farm", () => {
  expect(kinds([node()], [latest(old)], now)).toEqual(["node-silent"]);
});

test("tells a stale channel and a fault of a node that still sends", () => {
  const channels = [latest(fresh), latest({ ...old, channel: "ph" }), latest({ ...fresh, channel: "do", value: null, fault: "stuck" })];
  expect(kinds([node()], channels, now)).toEqual(["fault", "stale"]);
});

test("is silent only when the slowest of its channels is overdue", () => {
  const channels = [latest({ ...old, every_ms: 2 * HOUR })];
  expect(todos([node()], channels, now)).toEqual([]);
});

test("counts the same tasks as the same, and a new fault as news", () => {
  const failing = (fault: string) => todos([node()], [latest({ ...fresh, value: null, fault })], now);
  expect(sameTodos(failing("crc"), failing("crc"))).toBe(true);
  expect(sameTodos(failing("crc"), failing("stuck"))).toBe(false);
  expect(sameTodos(failing("crc"), [])).toBe(false);
});
