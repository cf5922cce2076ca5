import { expect, test } from "vitest";
import { CODES } from "../i18n";
import type { Part } from "./api";
import { codeIn } from "./scan";
import { isChipOf, type Loader, OtherChip, writeBoard } from "./serial";
import { curvesOf, line, median, saw, type Seen, steady, typed } from "./wizard";
import { type Key, WORDS } from "./words";

const sources = Object.entries(import.meta.glob<string>("./*.{ts,tsx}", { query: "?raw", import: "default", eager: true }));
const code = sources
  .filter(([path]) => !path.includes(".test."))
  .map(([, text]) => text)
  .join("\n");
const keys = Object.keys(WORDS.vi) as Key[];
/** Put together from what the gateway says. */
const BUILT = /^(reason|error|curve|config|state|cal\.bad|cal\.raw\.from|cal\.steady|flash\.what)\./;

test.each(CODES)("%s has every word, with the same placeholders and no empty text", (language) => {
  const words = WORDS[language];
  expect(Object.keys(words).sort()).toEqual([...keys].sort());
  const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([hole]) => hole).sort();
  for (const key of keys) {
    expect(holes(words[key]), key).toEqual(holes(WORDS.vi[key]));
    expect(words[key].trim(), key).not.toBe("");
  }
});

test("every word is used, and every one that is used is there", () => {
  expect(keys.filter((key) => !BUILT.test(key) && !code.includes(`"${key}"`))).toEqual([]);
  const used = [...code.matchAll(/\bsay\("([\w.]+)"/g)].map(([, key]) => key ?? "");
  expect(used.length).toBeGreaterThan(60);
  expect(used.filter((key) => !keys.includes(key as Key))).toEqual([]);
});

const wire = import.meta.glob<string>("../../../../firmware/wire/src/refusal.rs", { query: "?raw", import: "default", eager: true });

test("every reason of a node to refuse its configuration has words", () => {
  const reasons = [...Object.values(wire).join("").matchAll(/= "(\w+)", "/g)].map(([, reason]) => reason ?? "");
  expect(reasons).toContain("newer_format");
  expect(reasons.filter((reason) => reason !== "unknown" && !keys.includes(`reason.${reason}` as Key))).toEqual([]);
});

test("a sample that is polled twice is one, and two that agree are steady", () => {
  let seen: Seen[] = [];
  for (const [at, raw] of [
    [1, 1500],
    [1, 1500],
    [2, 1520],
  ] as const) {
    seen = saw(seen, { at, raw });
  }
  expect(seen.map((s) => s.at)).toEqual([1, 2]);
  expect(steady([], 0, 5)).toBe("few");
  expect(steady(seen, 0, 5)).toBe("moving");
  seen = saw(seen, { at: 3, raw: 1523 });
  expect(steady(seen, 0, 5)).toBe("yes");
  expect(steady(seen, 20_000, 5)).toBe("old");
  expect(steady(seen, 20_000, 900)).toBe("yes");
  expect(median([...seen, { at: 4, raw: 9000 }])).toBe(1523);
});

test("a line says how far it is from an ideal probe's, and what is wrong with it", () => {
  const ph = (four: number) =>
    line("ph", [
      { raw: 1500, value: 7, temperature: 25 },
      { raw: four, value: 4, temperature: 25 },
    ]);
  expect(ph(2032.44)?.idealPercent).toBeCloseTo(100, 1);
  expect([ph(2032.44)?.verdict, ph(1510)?.verdict, ph(967)?.verdict, ph(1600)?.verdict]).toEqual(["ok", "same", "direction", "slope"]);
  expect(ph(2032.44)?.residual).toBeCloseTo(0, 9);
  expect(line("oxygen", [{ raw: 1600, value: 8.2 }])).toBeNull();
  expect(curvesOf("ph", true).map((c) => c.name)).toEqual(["ph", "linear"]);
  expect(curvesOf("water_temperature", false).map((c) => c.name)).toEqual(["linear", "offset"]);
});

test("reads numbers as both languages write them, and a label's code in any spelling", () => {
  expect([typed("7,01"), typed(" 7.01 "), typed(""), typed("7,0,1")]).toEqual([7.01, 7.01, null, null]);
  const codes = ["http://192.168.1.10:8080/claim/7K4M-Q2XD", "7k4m q2xd", "7K4M-Q2X", "http://example.org/"];
  expect(codes.map(codeIn)).toEqual(["7K4M-Q2XD", "7K4M-Q2XD", null, null]);
});

const part = (offset: number, bytes: number[]): Part => ({
  offset,
  length: bytes.length,
  partition: null,
  what: "image",
  sha256: "",
  data: Uint8Array.from(bytes),
});

function board(chip: string) {
  const did: string[] = [];
  const wrote: { data: Uint8Array; address: number }[] = [];
  const loader: Loader = {
    main: async () => chip,
    writeFlash: async (options) => {
      expect([options.flashMode, options.flashFreq, options.flashSize, options.eraseAll]).toEqual(["keep", "keep", "keep", false]);
      wrote.push(...options.fileArray);
      options.reportProgress(0, 5, 10);
    },
    after: async () => void did.push("after"),
    close: async () => void did.push("close"),
  };
  return { loader, did, wrote };
}

test("a board gets the gateway's bytes at the gateway's places, and nothing before it is known to be the right one", async () => {
  const right = board("ESP32-C3 (QFN32) (revision v0.4)");
  const seen: number[] = [];
  await writeBoard(right.loader, "esp32c3", async () => [part(0, [1, 2, 3, 4]), part(0xb000, [9])], (p) => seen.push(p));
  expect(right.wrote).toEqual([
    { address: 0, data: Uint8Array.from([1, 2, 3, 4]) },
    { address: 0xb000, data: Uint8Array.from([9]) },
  ]);
  expect(right.did).toEqual(["after", "close"]);
  expect(seen).toEqual([40]);

  const wrong = board("ESP32-S3 (QFN56) (revision v0.2)");
  let asked = false;
  const parts = async () => {
    asked = true;
    return [part(0, [1])];
  };
  await expect(writeBoard(wrong.loader, "esp32c3", parts, () => {})).rejects.toBeInstanceOf(OtherChip);
  expect([asked, wrong.wrote, wrong.did]).toEqual([false, [], ["close"]]);

  const cut = board("ESP32-C3");
  await expect(writeBoard(cut.loader, "esp32c3", async () => [{ ...part(0, [1, 2]), length: 3 }], () => {})).rejects.toThrow("whole");
  expect(cut.wrote).toEqual([]);
});

test("a chip is told from its namesakes", () => {
  const chips = ["ESP32-C3 (QFN32)", "ESP32-D0WD-V3 (revision v3.0)", "ESP32-S3", "ESP32-C6"];
  const fits = (name: string) => chips.map((chip) => isChipOf(chip, name));
  expect(fits("esp32c3-4g")).toEqual([true, false, false, false]);
  expect(fits("esp32")).toEqual([false, true, false, false]);
  expect(fits("stm32")).toEqual([false, false, false, false]);
});
