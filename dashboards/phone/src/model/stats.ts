/** A span of history in four numbers, for the table below the chart and for who can't see the chart. */
import type { History } from "../api/types";

export interface Extreme {
  value: number;
  /** Start of the bucket that it lies in. */
  at: number;
}

export interface Stats {
  min: Extreme;
  max: Extreme;
  mean: number;
  readings: number;
}

/** null when no bucket has a value. */
export function stats(h: History): Stats | null {
  let min: Extreme | null = null;
  let max: Extreme | null = null;
  let sum = 0;
  let readings = 0;
  h.t.forEach((at, i) => {
    const [low, high, mean, n] = [h.min[i] ?? null, h.max[i] ?? null, h.mean[i] ?? null, h.n[i] ?? 0];
    if (low === null || high === null || mean === null || n === 0) return;
    if (min === null || low < min.value) min = { value: low, at };
    if (max === null || high > max.value) max = { value: high, at };
    sum += mean * n;
    readings += n;
  });
  return min !== null && max !== null ? { min, max, mean: sum / readings, readings } : null;
}
