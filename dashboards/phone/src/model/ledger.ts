/** How complete a node's days are, and when what is missing must have been measured. No words here. */
import type { LedgerDay, MissingRange } from "../api/types";
import { formatDate, formatTime } from "../format/time";

export interface Sum {
  received: number;
  missing: number;
  late: number;
}

export function sum(days: LedgerDay[]): Sum {
  const all = { received: 0, missing: 0, late: 0 };
  for (const day of days) {
    all.received += day.received;
    all.missing += day.missing;
    all.late += day.late;
  }
  return all;
}

/** Rounded down to a tenth, so that 100 means all; null where nothing was measured. */
export function percent({ received, missing }: Pick<Sum, "received" | "missing">): number | null {
  const expected = received + missing;
  return expected === 0 ? null : Math.floor((received / expected) * 1_000) / 10;
}

/** "23/11" of "2026-11-23". */
export function shortDate(day: string): string {
  const [, month, date] = day.split("-");
  return `${date}/${month}`;
}

const DAY_MS = 86_400_000;

/** Times of day with a day where both sides are of one; times with dates otherwise; null where no side is known. */
export type When =
  | { kind: "day"; from: string; to: string; day: "today" | "yesterday" | (string & {}) }
  | { kind: "days"; from: string; to: string }
  | { kind: "around"; at: string };

export function whenMissing({ after, before }: MissingRange, now: number): When | null {
  const known = [after, before].filter((at) => at !== null).sort((a, b) => a - b);
  const [from, to] = [known[0], known[1]];
  const dated = (at: number): string => `${formatTime(at)} ${formatDate(at)}`;
  if (from === undefined) return null;
  if (to === undefined) return { kind: "around", at: dated(from) };
  const date = formatDate(to);
  if (formatDate(from) !== date || to - from > DAY_MS) return { kind: "days", from: dated(from), to: dated(to) };
  const recent = now - to < 2 * DAY_MS;
  const day = recent && date === formatDate(now) ? "today" : recent && date === formatDate(now - DAY_MS) ? "yesterday" : date;
  return { kind: "day", from: formatTime(from), to: formatTime(to), day };
}
