import { expect, test } from "vitest";
import { chartHref, parseRoute } from "./route";

test("finds the page of an address, and the first page for any other", () => {
  expect(parseRoute("#/plots")).toEqual({ page: "plots" });
  expect(parseRoute("#/letters")).toEqual({ page: "letters" });
  expect(parseRoute("#/c/ao-2/salinity_2")).toEqual({ page: "chart", node: "ao-2", channel: "salinity_2" });
  for (const hash of ["", "#", "#/", "#/nowhere", "#/c/ao-2", "#/c/%E0%A4%A/x"]) expect(parseRoute(hash)).toEqual({ page: "today" });
});

test("reads back the address it wrote", () => {
  const at = { node: "a/b", channel: "ph" };
  expect(parseRoute(chartHref(at))).toEqual({ page: "chart", ...at });
});
