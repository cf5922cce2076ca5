/**
 * Reads the API's answers into the page's types. What the page can't do without is checked here, once;
 * unknown members are ignored and absent optional ones become null, so that gateway and page may differ in age.
 */
import type { About, Damage, Disk, Farm, GatewayClock, History, Jump, Latest, Ledger, Node, NodeClock, Overview, Plot, Refused, System } from "./types";

/** The answer is not what the API promises. */
export class BadAnswer extends Error {}

type Json = Record<string, unknown>;

export const isObject = (x: unknown): x is Json => typeof x === "object" && x !== null && !Array.isArray(x);
export const object = (x: unknown, what: string): Json => {
  if (!isObject(x)) throw new BadAnswer(`${what}: not an object`);
  return x;
};
export const list = (x: unknown): unknown[] => (Array.isArray(x) ? x : []);
export const text = (x: unknown): string => (typeof x === "string" ? x : "");
export const textOrNull = (x: unknown): string | null => (typeof x === "string" ? x : null);
export const number = (x: unknown): number => (typeof x === "number" && Number.isFinite(x) ? x : 0);
export const numberOrNull = (x: unknown): number | null => (typeof x === "number" && Number.isFinite(x) ? x : null);

/** null for an entry that can't be shown: one odd channel must not hide the others. */
export function readLatest(x: unknown): Latest | null {
  if (!isObject(x)) return null;
  const at = numberOrNull(x.at);
  if (!text(x.node) || !text(x.channel) || at === null) return null;
  return {
    node: text(x.node),
    plot: textOrNull(x.plot),
    channel: text(x.channel),
    quantity: text(x.quantity) || text(x.channel).replace(/_\d$/, ""),
    unit: text(x.unit),
    at,
    received_at: numberOrNull(x.received_at) ?? at,
    value: numberOrNull(x.value),
    fault: textOrNull(x.fault),
    estimated: x.estimated === true,
    every_ms: numberOrNull(x.every_ms),
    last_good_at: numberOrNull(x.last_good_at),
    spark: Array.isArray(x.spark) ? x.spark.map(numberOrNull) : null,
  };
}

export function readLatestList(x: unknown): Latest[] {
  return list(x).map(readLatest).filter((latest) => latest !== null);
}

function readPlot(x: unknown): Plot {
  const plot = object(x, "plot");
  return {
    id: text(plot.id),
    name: text(plot.name) || text(plot.id),
    crop: textOrNull(plot.crop),
    area_ha: numberOrNull(plot.area_ha),
    channels: readLatestList(plot.channels),
  };
}

function readFarm(x: unknown): Farm {
  const farm = object(x, "farm");
  return {
    id: text(farm.id),
    name: text(farm.name) || text(farm.id),
    commune: textOrNull(farm.commune),
    plots: list(farm.plots).map(readPlot),
  };
}

/** null when there was none. */
function readJump(at: unknown, by: unknown): Jump | null {
  const [when, by_ms] = [numberOrNull(at), numberOrNull(by)];
  return when === null || by_ms === null ? null : { at: when, by_ms };
}

const STATES: NodeClock["state"][] = ["right", "none", "unset", "ahead", "back", "behind"];

function readNodeClock(x: unknown): NodeClock | null {
  if (!isObject(x)) return null;
  const state = STATES.find((known) => known === x.state);
  if (state === undefined) return null;
  return { state, offset_ms: numberOrNull(x.offset_ms), last_jump: readJump(x.jumped_at, x.jump_ms) };
}

/** A gateway that does not say is taken to be well. */
function readGatewayClock(x: unknown): GatewayClock {
  const clock = isObject(x) ? x : {};
  const jump = isObject(clock.last_jump) ? clock.last_jump : {};
  return { right: clock.right !== false, last_jump: readJump(jump.at, jump.by_ms) };
}

const readSystem = (x: Json): System => ({
  clock: readGatewayClock(x.clock),
  dead_letters: number(x.dead_letters),
  // An older gateway does not say; then nothing is known to be wrong.
  storing: x.storing !== false,
  damage: list(x.damage).filter(isObject).map(readDamage),
});

function readNode(x: unknown): Node {
  const node = object(x, "node");
  return {
    id: text(node.id),
    farm: textOrNull(node.farm),
    plot: textOrNull(node.plot),
    name: text(node.name) || text(node.id),
    last_seen: numberOrNull(node.last_seen),
    connected: typeof node.connected === "boolean" ? node.connected : null,
    firmware: textOrNull(node.firmware),
    board: textOrNull(node.board),
    reset_reason: textOrNull(node.reset_reason),
    battery_mv: numberOrNull(node.battery_mv),
    rssi_dbm: numberOrNull(node.rssi_dbm),
    received: number(node.received),
    missing: number(node.missing),
    dropped: numberOrNull(node.dropped),
    clock: readNodeClock(node.clock),
  };
}

export function readNodes(x: unknown): Node[] {
  if (!Array.isArray(x)) throw new BadAnswer("nodes: not a list");
  return x.map(readNode);
}

export function readOverview(x: unknown): Overview {
  const overview = object(x, "overview");
  const now = numberOrNull(overview.now);
  if (now === null) throw new BadAnswer("overview: no time");
  return {
    now,
    demo: overview.demo === true,
    system: readSystem(overview),
    farms: list(overview.farms).map(readFarm),
    nodes: list(overview.nodes).map(readNode),
  };
}

function readDamage(damage: Json): Damage {
  return {
    at: number(damage.at),
    file: text(damage.file),
    noticed: text(damage.noticed),
    kept_rows: number(damage.kept_rows),
    lost_rows: number(damage.lost_rows),
    broken_places: number(damage.broken_places),
    nodes_without_password: list(damage.nodes_without_password).map(text),
  };
}

export function readHistory(x: unknown): History {
  const h = object(x, "history");
  const t = list(h.t).map(number);
  // Columns of unequal length would draw values at the wrong times.
  const column = (values: unknown): (number | null)[] => {
    const read = list(values).map(numberOrNull);
    if (read.length !== t.length) throw new BadAnswer("history: columns differ in length");
    return read;
  };
  const [mean, min, max, n] = [column(h.mean), column(h.min), column(h.max), column(h.n)];
  return {
    unit: text(h.unit),
    from: number(h.from),
    to: number(h.to),
    bucket_ms: number(h.bucket_ms),
    gap_ms: number(h.gap_ms),
    t,
    mean,
    min,
    max,
    n: n.map((count) => count ?? 0),
    // An older gateway does not say.
    estimated: Array.isArray(h.estimated) ? column(h.estimated).map((count) => count ?? 0) : t.map(() => 0),
  };
}

export function readRefused(x: unknown): Refused {
  const refused = object(x, "refused");
  const counts: Record<string, number> = {};
  for (const [reason, count] of Object.entries(isObject(refused.counts) ? refused.counts : {})) counts[reason] = number(count);
  const last = list(refused.last)
    .filter(isObject)
    .map((entry) => ({
      at: number(entry.at),
      node: textOrNull(entry.node),
      topic: text(entry.topic),
      reason: text(entry.reason),
      detail: text(entry.detail),
      excerpt: text(entry.excerpt),
    }));
  return { counts, last };
}

export function readLedger(x: unknown): Ledger {
  const ledger = object(x, "ledger");
  const nodes = list(ledger.nodes)
    .filter(isObject)
    .map((entry) => ({
      node: text(entry.node),
      days: list(entry.days)
        .filter(isObject)
        .map((day) => ({ day: text(day.day), received: number(day.received), missing: number(day.missing), late: number(day.late), deleted: day.history === "deleted" })),
      missing_ranges: list(entry.missing_ranges)
        .filter(isObject)
        .map((range) => ({ count: number(range.count), after: numberOrNull(range.after), before: numberOrNull(range.before) })),
      missing_ranges_left_off: number(entry.missing_ranges_left_off),
    }));
  return { late_after_ms: number(ledger.late_after_ms), nodes };
}

/** null for a gateway that does not say. */
export function readDisk(x: unknown): Disk | null {
  const { disk } = object(x, "health");
  if (!isObject(disk)) return null;
  const sinks = list(disk.cursors)
    .filter(isObject)
    .map((sink) => {
      const lost = isObject(sink.given_up) ? sink.given_up : {};
      return {
        name: text(sink.name),
        room_pct: number(sink.room_pct),
        hours_left: numberOrNull(sink.hours_left),
        given_up: { readings: number(lost.readings), first_at: numberOrNull(lost.first_at), last_at: numberOrNull(lost.last_at) },
      };
    });
  return { free_bytes: number(disk.free_bytes), deleted_before: numberOrNull(disk.deleted_before), sinks };
}

export function readAbout(x: unknown): About {
  const about = object(x, "about");
  return {
    name: text(about.name),
    version: text(about.version),
    demo: about.demo === true,
    system: readSystem(about),
    started_at: number(about.started_at),
    now: number(about.now),
  };
}
