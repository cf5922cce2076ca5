/**
 * Which of two states of one channel is shown. Overview and stream race each other and the stream may deliver late
 * readings, so the newest instant wins, whatever came last. Returns `old` itself when nothing changed.
 */
import type { Latest } from "../api/types";

export const keyOf = (at: { node: string; channel: string }): string => `${at.node}/${at.channel}`;

function isNewer(next: Latest, old: Latest): boolean {
  return next.at > old.at || (next.at === old.at && next.received_at > old.received_at);
}

export function merge(old: Latest | undefined, next: Latest): Latest {
  const shown = old === undefined || isNewer(next, old) ? next : old;
  // The stream carries no sparkline and the API may not know every detail: what is known stays known.
  const spark = next.spark ?? old?.spark ?? null;
  const every_ms = shown.every_ms ?? old?.every_ms ?? null;
  const last_good_at = shown.value !== null ? shown.at : newest(shown.last_good_at, old?.last_good_at);
  if (shown === old && spark === old.spark && every_ms === old.every_ms && last_good_at === old.last_good_at) return old;
  return { ...shown, spark, every_ms, last_good_at };
}

function newest(a: number | null | undefined, b: number | null | undefined): number | null {
  if (a == null) return b ?? null;
  return b == null ? a : Math.max(a, b);
}
