/** How long to wait before the next try: doubling from one second to half a minute, spread so that phones don't return in step. */

const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/** `random` is in 0..1; `failures` counts from 0. */
export function backoff(failures: number, random: number): number {
  const full = Math.min(FIRST_MS * 2 ** failures, LONGEST_MS);
  return full * (0.75 + 0.25 * random);
}
