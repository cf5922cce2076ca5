import { expect, test } from "vitest";
import { systemNotices } from "./system";

test("names what is the matter with the gateway, worst first, and nothing when all is well", () => {
  const clock = { right: true, last_jump: null };
  const well = { clock, dead_letters: 0, storing: true, damage: [] };
  expect(systemNotices(well)).toEqual([]);
  const file = { at: 5, file: "x", noticed: "", kept_rows: 7, lost_rows: 2, broken_places: 1, nodes_without_password: [] };
  const ill = { clock: { ...clock, right: false }, dead_letters: 3, storing: false, damage: [{ ...file, at: 4 }, file] };
  expect(systemNotices(ill)).toEqual([
    { kind: "full", level: "bad" },
    { kind: "clock", level: "bad" },
    { kind: "damage", level: "warn", at: 5, lost: 4 },
    { kind: "letters", level: "warn", count: 3 },
  ]);
});
