import { expect, test } from "vitest";
import { en } from "./i18n/en";
import { vi } from "./i18n/vi";
import { decimalsOf, isQuantity, QUANTITIES, quantityRank, unitLabel } from "./quantities";

// The table that all parts of Sen share; this page must not have one of its own that differs.
const wire = Object.values(
  import.meta.glob("../../../firmware/wire/src/quantity.rs", { query: "?raw", import: "default", eager: true }),
)[0] as string;
const rows = [...wire.matchAll(/^ {4}\w+ +"\w+" +"(\w+)" +"([^"]+)" +(\d) /gm)].map(([, name, ucum, decimals]) => ({
  name: name ?? "",
  ucum,
  decimals: Number(decimals),
}));

test("knows every quantity of the wire format, with its unit and decimals", () => {
  expect(rows.length).toBeGreaterThan(30);
  const own = Object.entries(QUANTITIES).map(([name, quantity]) => ({ name, ...quantity }));
  const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);
  expect(own.sort(byName)).toEqual(rows.sort(byName));
});

test.each(rows)("$name has a name in every language", ({ name }) => {
  expect(vi).toHaveProperty([`quantity.${name}`]);
  expect(en).toHaveProperty([`quantity.${name}`]);
});

test("writes units as people do", () => {
  expect(["Cel", "[ppth]", "[pH]", "{NTU}", "uS/cm", "mg/L"].map(unitLabel)).toEqual(["°C", "‰", "", "NTU", "µS/cm", "mg/L"]);
  expect(Object.values(QUANTITIES).filter(({ ucum }) => /[[\]{}().]|^u/.test(unitLabel(ucum)))).toEqual([]);
});

test("shows a quantity that it doesn't know, last", () => {
  expect(isQuantity("toString")).toBe(false);
  expect(decimalsOf("redox")).toBe(2);
  expect(quantityRank("redox")).toBeGreaterThan(quantityRank("battery_voltage"));
});
