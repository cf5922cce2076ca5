/** Numbers as people write them: decimal comma in Vietnamese, a real minus sign, thousands grouped from 10 000 on. */
import { unitLabel } from "../quantities";

const MINUS = "\u2212";
const NBSP = "\u00a0";
/** 1013 hPa needs no separator, and "1.013" in Vietnamese is easily taken for a decimal. */
const GROUP_FROM = 10_000;

const cache = new Map<string, Intl.NumberFormat>();

function formatter(locale: string, decimals: number, grouped: boolean): Intl.NumberFormat {
  const key = `${locale} ${decimals} ${grouped}`;
  let made = cache.get(key);
  if (made === undefined) {
    made = new Intl.NumberFormat(locale, { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: grouped });
    cache.set(key, made);
  }
  return made;
}

export function formatNumber(value: number, decimals: number, locale: string): string {
  const text = formatter(locale, decimals, Math.abs(value) >= GROUP_FROM).format(Math.abs(value));
  // Rounded to nothing, a number has no sign.
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

/** Number and unit with a space that doesn't break; degrees stand at the number, and pH has no unit. */
export function withUnit(text: string, ucum: string): string {
  const label = unitLabel(ucum);
  if (label === "") return text;
  return label === "°" ? text + label : text + NBSP + label;
}
