import { expect, test } from "vitest";
import { systemNotices } from "./system";

test("names what is the matter with the gateway, worst first, and nothing when all is well", () => {
  const clock = { right: true, last_jump: null };
  expect(systemNotices({ clock, dead_letters: 0 })).toEqual([]);
  expect(systemNotices({ clock: { ...clock, right: false }, dead_letters: 3 })).toEqual([
    { kind: "clock", level: "bad" },
    { kind: "letters", level: "warn", count: 3 },
  ]);
});
