/** Gaps in a line stay gaps: nothing is drawn between two points that are further apart than the channel's rhythm allows. */
import type { History } from "../api/types";

export interface Columns {
  t: number[];
  mean: (number | null)[];
  min: (number | null)[];
  max: (number | null)[];
}

/** The history with an empty point in every gap, which is what a plot needs to break its line there. */
export function withGaps(h: History): Columns {
  const out: Columns = { t: [], mean: [], min: [], max: [] };
  const push = (t: number, mean: number | null, min: number | null, max: number | null) => {
    out.t.push(t);
    out.mean.push(mean);
    out.min.push(min);
    out.max.push(max);
  };
  h.t.forEach((t, i) => {
    const before = h.t[i - 1];
    if (before !== undefined && t - before > h.gap_ms) push(before + (t - before) / 2, null, null, null);
    push(t, h.mean[i] ?? null, h.min[i] ?? null, h.max[i] ?? null);
  });
  return out;
}

/** The history with the newest reading at its end: the last bucket's mean is not what the sensor says now. */
export function withNewest(h: History, at: number, value: number | null, estimated: boolean): History {
  const last = h.t[h.t.length - 1];
  if (value === null || at > h.to || (last !== undefined && at <= last)) return h;
  return {
    ...h,
    t: [...h.t, at],
    mean: [...h.mean, value],
    min: [...h.min, value],
    max: [...h.max, value],
    n: [...h.n, 1],
    estimated: [...h.estimated, estimated ? 1 : 0],
  };
}

/** Starts of the buckets in which the sensor only reported faults. */
export const faultTimes = (h: History): number[] => h.t.filter((_, i) => h.n[i] === 0);

/** Starts of the buckets with times that were worked out afterwards. */
export const estimatedTimes = (h: History): number[] => h.t.filter((_, i) => (h.estimated[i] ?? 0) > 0);

/** Indices of points with nothing on either side: a line can't show them, a dot can. */
export function isolated(values: readonly (number | null | undefined)[]): number[] {
  const alone: number[] = [];
  values.forEach((value, i) => {
    if (value != null && values[i - 1] == null && values[i + 1] == null) alone.push(i);
  });
  return alone;
}

/** Runs of neighbouring values, as [index, value] pairs: one stroke each. */
export function runs(values: readonly (number | null)[]): [number, number][][] {
  const found: [number, number][][] = [];
  let open: [number, number][] | null = null;
  values.forEach((value, i) => {
    if (value === null) {
      open = null;
    } else if (open === null) {
      open = [[i, value]];
      found.push(open);
    } else {
      open.push([i, value]);
    }
  });
  return found;
}
