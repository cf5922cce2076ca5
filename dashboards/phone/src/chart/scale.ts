/** The value axis: tight enough to see a change, wide enough not to invent one. */

/** The least height shown, in steps of the last decimal: below it a line would only show the sensor's noise. */
const LEAST_STEPS = 8;
const PAD = 0.12;

/** `low` and `high` are null when there are no values. A quantity that has never been negative isn't given negative labels. */
export function valueRange(low: number | null, high: number | null, decimals: number): [number, number] {
  if (low === null || high === null) return [0, 1];
  const least = LEAST_STEPS * 10 ** -decimals;
  const missing = Math.max(least - (high - low), 0) / 2;
  const pad = (high - low) * PAD;
  const bottom = low - missing - pad;
  return [low >= 0 ? Math.max(bottom, 0) : bottom, high + missing + pad];
}

/** Decimals of the labels at a step: as many as tell them apart, never more than the sensor is good for. */
export function stepDecimals(step: number, decimals: number): number {
  let needed = 0;
  while (needed < decimals && Math.abs(step * 10 ** needed - Math.round(step * 10 ** needed)) > 1e-6) needed++;
  return needed;
}

const DAY = 24 * 60 * 60_000;

/** What stands under the time axis: the time of day within a day, the date at midnight and for longer steps. */
export function timeLabel(ms: number, step: number, time: (ms: number) => string, date: (ms: number) => string): string {
  const clock = time(ms);
  return step >= DAY || clock === "00:00" ? date(ms) : clock;
}
