/** What the calibration wizard works out, without a screen. The gateway has the last word: it checks as the node does. */
import type { Point } from "./api";

/** One raw value as it was polled. */
export interface Seen {
  at: number;
  raw: number;
}

/** Two samples that differ by less than this part of them agree, or by so much of what the probe gives: near nothing is noise. */
const AGREE = 0.005;
const AGREE_UNITS = 0.1;
/** A value older than so many sample intervals is not what the probe sees now. */
const OLD_INTERVALS = 2.5;
const LEAST_OLD_MS = 15_000;

/** Adds what was polled; the same sample polled twice is one. */
export function saw(seen: readonly Seen[], next: Seen): Seen[] {
  const last = seen.at(-1);
  if (last !== undefined && next.at <= last.at) return [...seen];
  return [...seen, next].slice(-5);
}

export type Steady = "few" | "moving" | "yes" | "old";

export function steady(seen: readonly Seen[], age_ms: number, every_s: number): Steady {
  const last = seen.at(-1);
  const before = seen.at(-2);
  if (age_ms > Math.max(LEAST_OLD_MS, OLD_INTERVALS * every_s * 1000)) return "old";
  if (last === undefined || before === undefined) return "few";
  const apart = Math.abs(last.raw - before.raw);
  return apart <= Math.max(AGREE_UNITS, AGREE * Math.abs(last.raw)) ? "yes" : "moving";
}

/** The middle of the last three samples: one that was off does not count. */
export function median(seen: readonly Seen[]): number {
  const last = seen.slice(-3).map((s) => s.raw);
  last.sort((a, b) => a - b);
  return last[Math.floor(last.length / 2)] ?? 0;
}

export interface CurveOf {
  name: "linear" | "offset" | "ph" | "conductivity" | "oxygen" | "capacitive";
  /** At least and at most. */
  points: [number, number];
  temperature: boolean;
}

const CURVES: CurveOf[] = [
  { name: "ph", points: [2, 2], temperature: true },
  { name: "conductivity", points: [1, 2], temperature: true },
  { name: "oxygen", points: [1, 2], temperature: true },
  { name: "capacitive", points: [2, 2], temperature: false },
  { name: "linear", points: [2, 2], temperature: false },
  { name: "offset", points: [1, 1], temperature: false },
];
const MADE_FOR: Record<string, string> = { ph: "ph", conductivity: "conductivity", oxygen: "dissolved_oxygen", capacitive: "soil_moisture" };

/** The curves of a quantity, the one that is made for it first. A shift of one point is for probes that give the quantity itself. */
export function curvesOf(quantity: string, rawIsMillivolts: boolean): CurveOf[] {
  const fits = CURVES.filter(({ name }) => (MADE_FOR[name] ?? quantity) === quantity);
  return rawIsMillivolts ? fits.filter(({ name }) => name !== "offset") : fits;
}

export interface Line {
  /** Raw units for one of the quantity. */
  slope: number;
  /** Of the slope of an ideal probe, where there is one. */
  idealPercent: number | null;
  /** Greatest distance of a point from the line, in the quantity's unit: none through two points, unless it rounds. */
  residual: number;
  verdict: "ok" | "same" | "direction" | "slope";
}

/** An ideal electrode, tripled and inverted by its board: `firmware/wire/src/calibration/check.rs`. */
const PH_MV_PER_PH = -177.48;
const PH_SLOPE: [number, number] = [0.5, 1.25];
/** Raw values of two points have to differ by this part of the greater. */
const LEAST_SPAN = 0.02;

/** The line through two points; null for another number of them. */
export function line(curve: string, points: readonly Point[]): Line | null {
  const [a, b] = points;
  if (a === undefined || b === undefined) return null;
  const span = Math.abs(a.raw - b.raw);
  const slope = (b.raw - a.raw) / (b.value - a.value);
  const celsius = (degrees: number | undefined) => degrees ?? 25;
  const kelvin = (celsius(a.temperature) + celsius(b.temperature)) / 2 + 273.15;
  const ideal = curve === "ph" ? slope / ((PH_MV_PER_PH * kelvin) / 298.15) : null;
  const at = (raw: number) => a.value + (raw - a.raw) / slope;
  const residual = Math.max(...points.map((p) => Math.abs(at(p.raw) - p.value)));
  const verdict = ((): Line["verdict"] => {
    if (a.value === b.value || span <= LEAST_SPAN * Math.max(Math.abs(a.raw), Math.abs(b.raw))) return "same";
    if ((curve === "ph" || curve === "capacitive") && slope > 0) return "direction";
    if (ideal !== null && (ideal < PH_SLOPE[0] || ideal > PH_SLOPE[1])) return "slope";
    return "ok";
  })();
  return { slope, idealPercent: ideal === null ? null : ideal * 100, residual: Number.isFinite(residual) ? residual : 0, verdict };
}

/** "7,01" and "7.01". */
export function typed(text: string): number | null {
  const plain = text.trim().replace(",", ".");
  const value = Number(plain);
  return plain !== "" && Number.isFinite(value) ? value : null;
}
