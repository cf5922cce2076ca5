import { expect, test } from "vitest";

const css = Object.values(import.meta.glob<string>("./tokens.css", { query: "?raw", import: "default", eager: true }))[0] ?? "";
const [light = "", dark = ""] = css.split("@media (prefers-color-scheme: dark)");
const tokens = (text: string) => Object.fromEntries([...text.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, colour]) => [name, colour]));
const SCHEMES = { light: tokens(light), dark: { ...tokens(light), ...tokens(dark) } };

/** Relative luminance, WCAG 2. */
function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return channel <= 0.03928 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/** Text on ground, as the stylesheets put them together. */
const PAIRS = [
  ["ink", "bg"], ["ink", "card"], ["ink", "warn-soft"], ["ink", "bad-soft"], ["ink", "leaf-soft"],
  ["dim", "bg"], ["dim", "card"], ["dim", "warn-soft"],
  ["stale", "bg"], ["stale", "card"],
  ["leaf", "bg"], ["leaf", "card"], ["leaf", "warn-soft"], ["leaf", "leaf-soft"], ["on-leaf", "leaf"],
  ["warn", "warn-soft"], ["warn", "card"],
  ["bad", "bg"], ["bad", "card"], ["bad", "bad-soft"],
] as const;

test.each(Object.entries(SCHEMES).flatMap(([scheme, colours]) => PAIRS.map(([text, ground]) => ({ scheme, text, ground, colours }))))(
  "$text on $ground is readable in the $scheme scheme",
  ({ text, ground, colours }) => {
    expect(contrast(colours[text] ?? "", colours[ground] ?? "")).toBeGreaterThanOrEqual(4.5);
  },
);
