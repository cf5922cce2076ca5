/** When a reading is old, and when a sensor last worked. Pure: the time is an argument. */
import type { Latest } from "../api/types";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Three readings missed in a row. A node sends several readings in one go, so ten minutes are always granted. */
const MISSED = 3;
const AT_LEAST = 10 * MINUTE;
const WHEN_UNKNOWN = HOUR;

export function staleAfter(every_ms: number | null): number {
  return every_ms === null ? WHEN_UNKNOWN : Math.max(MISSED * every_ms, AT_LEAST);
}

export const isStale = (latest: Latest, now: number): boolean => now - latest.at > staleAfter(latest.every_ms);

export interface LastGood {
  at: number;
  /** Known to the hour only, from the sparkline. */
  about: boolean;
}

/** The last reading of this channel that had a value. */
export function lastGood(latest: Latest, now: number): LastGood | null {
  if (latest.last_good_at !== null) return { at: latest.last_good_at, about: false };
  const hours = latest.spark ?? [];
  for (let ago = 0; ago < hours.length; ago++) {
    if (hours[hours.length - 1 - ago] !== null) return { at: now - Math.max(ago, 1) * HOUR, about: true };
  }
  return null;
}
