/** How long ago, and how long: one number and one word, from the browser's own language data. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Below this an age says "just now". */
const NOW_BELOW = 10 * SECOND;
/** Seconds are shown in steps, so that a screen full of ages stays calm. */
const SECOND_STEP = 5;

type Unit = "second" | "minute" | "hour" | "day";

interface Amount {
  count: number;
  unit: Unit;
}

/** Rounded down: an age never claims more than has passed. */
function amount(ms: number): Amount {
  if (ms < MINUTE) return { count: Math.floor(ms / SECOND / SECOND_STEP) * SECOND_STEP, unit: "second" };
  if (ms < HOUR) return { count: Math.floor(ms / MINUTE), unit: "minute" };
  if (ms < 2 * DAY) return { count: Math.floor(ms / HOUR), unit: "hour" };
  return { count: Math.floor(ms / DAY), unit: "day" };
}

const relative = new Map<string, Intl.RelativeTimeFormat>();

/** "2 phút trước". A time in the future (clocks differ a little) is now; `now` is the word for it. */
export function formatAge(ms: number, locale: string, now: string): string {
  if (ms < NOW_BELOW) return now;
  let format = relative.get(locale);
  if (format === undefined) relative.set(locale, (format = new Intl.RelativeTimeFormat(locale, { numeric: "always" })));
  const { count, unit } = amount(ms);
  return format.format(-count, unit);
}

/** "3 giờ" */
export function formatDuration(ms: number, locale: string): string {
  const { count, unit } = amount(Math.max(ms, 0));
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(count);
}
