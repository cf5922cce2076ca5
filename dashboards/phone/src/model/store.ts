/**
 * What the page knows, as signals: whoever reads one is drawn again when it changes, and nobody else.
 * Each channel has its own signal; the farms' structure changes rarely and holds keys only.
 */
import { batch, computed, type ReadonlySignal, signal, type Signal } from "@preact/signals";
import type { Latest, Node, Overview, System } from "../api/types";
import { quantityRank } from "../quantities";
import { keyOf, merge } from "./merge";
import { sameTodos, type Todo, todos } from "./todo";

export interface PlotView {
  id: string;
  name: string;
  crop: string | null;
  area_ha: number | null;
  /** In the order in which they are shown. */
  channels: Signal<Latest>[];
}

export interface FarmView {
  id: string;
  name: string;
  commune: string | null;
  plots: PlotView[];
}

/** `connecting` until the first answer or failure; after that it is known whether the gateway can be reached. */
export type Connection = "connecting" | "live" | "lost";

export const connection = signal<Connection>("connecting");
/** Gateway's time of its last sign of life; null before the first. */
export const lastContact = signal<number | null>(null);
/** Gateway's time, moving in steps of a few seconds. The phone's own clock may be wrong and is not used for ages. */
export const clock = signal(Date.now());
export const demo = signal(false);
/** What the gateway says of itself. */
export const system = signal<System>({ clock: { right: true, last_jump: null }, dead_letters: 0, storing: true, damage: [] });
export const farms = signal<FarmView[]>([]);
export const nodes = signal<Node[]>([]);

const channels = new Map<string, Signal<Latest>>();
/** Counts up when the set of channels changes, so that what loops over all of them runs again. */
const channelSet = signal(0);
let clockOffset = 0;

export const channelOf = (node: string, channel: string): Signal<Latest> | undefined => {
  channelSet.value;
  return channels.get(keyOf({ node, channel }));
};

export const nodeOf = (id: string): Node | undefined => nodes.value.find((node) => node.id === id);

export const plotOf = (id: string | null): PlotView | undefined =>
  farms.value.flatMap((farm) => farm.plots).find((plot) => plot.id === id);

/**
 * The time at which readings are judged. Without a link the page can't know whether nodes went silent:
 * nothing gets stale after the last contact, though every age keeps growing.
 */
export const judgedAt: ReadonlySignal<number> = computed(() =>
  connection.value === "lost" && lastContact.value !== null ? lastContact.value : clock.value,
);

/** Receipt of the newest reading of all. */
export const lastReceived: ReadonlySignal<number | null> = computed(() => {
  channelSet.value;
  let newest: number | null = null;
  for (const channel of channels.values()) newest = Math.max(newest ?? 0, channel.value.received_at);
  return newest;
});

let shownTodos: Todo[] = [];
export const openTodos: ReadonlySignal<Todo[]> = computed(() => {
  channelSet.value;
  const found = todos(nodes.value, [...channels.values()].map((channel) => channel.value), judgedAt.value);
  if (!sameTodos(found, shownTodos)) shownTodos = found;
  return shownTodos;
});

export function tick(): void {
  clock.value = Date.now() + clockOffset;
}

/** The gateway spoke, and its clock said `now`. */
export function heard(now: number): void {
  clockOffset = now - Date.now();
  batch(() => {
    tick();
    lastContact.value = now;
    connection.value = "live";
  });
}

/** The gateway can't be reached. What is on screen stays. */
export function lost(): void {
  connection.value = "lost";
}

function put(next: Latest): Signal<Latest> {
  const key = keyOf(next);
  const known = channels.get(key);
  const merged = merge(known?.peek(), next);
  if (known) {
    known.value = merged;
    return known;
  }
  const made = signal(merged);
  channels.set(key, made);
  channelSet.value++;
  return made;
}

const byRank = (a: Signal<Latest>, b: Signal<Latest>): number =>
  quantityRank(a.peek().quantity) - quantityRank(b.peek().quantity) || keyOf(a.peek()).localeCompare(keyOf(b.peek()));

export function applyOverview(overview: Overview): void {
  batch(() => {
    heard(overview.now);
    demo.value = overview.demo;
    system.value = overview.system;
    nodes.value = overview.nodes;
    farms.value = overview.farms.map((farm) => ({
      ...farm,
      plots: farm.plots.map((plot) => ({ ...plot, channels: plot.channels.map(put).sort(byRank) })),
    }));
    forgetUnlisted();
  });
}

/** A channel that no plot lists any more (moved, removed) would otherwise be reported as stale for ever. */
function forgetUnlisted(): void {
  const listed = new Set(farms.peek().flatMap((farm) => farm.plots).flatMap((plot) => plot.channels));
  for (const [key, channel] of channels) {
    if (listed.has(channel)) continue;
    channels.delete(key);
    channelSet.value++;
  }
}

/** Takes new readings in. False when one of them belongs to a channel that is not on screen yet. */
export function applyLatest(list: Latest[]): boolean {
  let allKnown = true;
  batch(() => {
    // What is in the stream has been stored.
    if (list.length > 0 && !system.value.storing) system.value = { ...system.value, storing: true };
    for (const latest of list) {
      if (channels.has(keyOf(latest))) put(latest);
      else allKnown = false;
    }
  });
  return allKnown;
}
