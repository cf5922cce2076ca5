/** The spans of time a chart can show. */
import type { Key } from "../i18n";

const DAY = 24 * 60 * 60_000;

export const SPANS = {
  day: { ms: DAY, label: "chart.day", over: "chart.overDay" },
  week: { ms: 7 * DAY, label: "chart.week", over: "chart.overWeek" },
  month: { ms: 30 * DAY, label: "chart.month", over: "chart.overMonth" },
} as const satisfies Record<string, { ms: number; label: Key; over: Key }>;

export type Span = keyof typeof SPANS;
export const SPAN_NAMES = Object.keys(SPANS) as Span[];
