/**
 * "Today's tasks": what a person on the farm has to look at now, worked out from what the page knows.
 * One cause makes one entry: a silent node hides its channels, and when every node is silent the cause is the
 * gateway's side, said once. Alarms and advice of the gateway join this list as further kinds when the API has them.
 */
import type { Latest, Node } from "../api/types";
import { isStale, staleAfter } from "./freshness";
import { keyOf } from "./merge";

export type Todo =
  | { kind: "all-silent"; id: string; count: number; since: number }
  | { kind: "node-silent"; id: string; node: Node; since: number }
  | { kind: "node-never"; id: string; node: Node }
  | { kind: "fault"; id: string; latest: Latest }
  | { kind: "stale"; id: string; latest: Latest };

/** What is worse stands first: data that lie, then data that stopped, then data that never began. */
const ORDER: Todo["kind"][] = ["all-silent", "fault", "node-silent", "stale", "node-never"];

const HOUR = 60 * 60_000;

/** When the node was last heard; null when never. */
function lastHeard(node: Node, channels: Latest[]): number | null {
  const times = channels.map((latest) => latest.received_at);
  if (node.last_seen !== null) times.push(node.last_seen);
  return times.length > 0 ? Math.max(...times) : null;
}

export function todos(nodes: Node[], channels: Latest[], now: number): Todo[] {
  const found: Todo[] = [];
  const quiet = new Set<string>();
  const silent: { node: Node; since: number }[] = [];

  for (const node of nodes) {
    const own = channels.filter((latest) => latest.node === node.id);
    const heard = lastHeard(node, own);
    if (heard === null) {
      found.push({ kind: "node-never", id: node.id, node });
      continue;
    }
    const patience = own.length > 0 ? Math.max(...own.map((latest) => staleAfter(latest.every_ms))) : HOUR;
    if (now - heard > patience) {
      silent.push({ node, since: heard });
      quiet.add(node.id);
    }
  }

  const heardOnce = nodes.length - found.length;
  if (silent.length >= 2 && silent.length === heardOnce) {
    const since = Math.max(...silent.map((entry) => entry.since));
    found.push({ kind: "all-silent", id: "all", count: silent.length, since });
  } else {
    for (const { node, since } of silent) found.push({ kind: "node-silent", id: node.id, node, since });
  }

  for (const latest of channels) {
    if (quiet.has(latest.node)) continue;
    if (latest.fault !== null) found.push({ kind: "fault", id: keyOf(latest), latest });
    else if (isStale(latest, now)) found.push({ kind: "stale", id: keyOf(latest), latest });
  }

  return found.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
}

/** The same tasks as before: nothing to draw again, nothing to announce. */
export function sameTodos(a: Todo[], b: Todo[]): boolean {
  return a.length === b.length && a.every((todo, i) => fingerprint(todo) === fingerprint(b[i]));
}

function fingerprint(todo: Todo | undefined): string {
  if (todo === undefined) return "";
  const fault = todo.kind === "fault" ? todo.latest.fault : "";
  const since = "since" in todo ? todo.since : todo.kind === "stale" ? todo.latest.at : 0;
  return `${todo.kind} ${todo.id} ${fault} ${since}`;
}
