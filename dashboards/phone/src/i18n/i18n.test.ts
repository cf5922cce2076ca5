import { expect, test } from "vitest";
import { CODES, cropWord, fill, firstLanguage, language, LANGUAGES, type Key } from "./index";
import { vi } from "./vi";

const sources = Object.entries(
  import.meta.glob<string>("../**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true }),
).filter(([path]) => !path.includes(".test.") && !/\/(vi|en)\.ts$/.test(path));
const code = sources.map(([, text]) => text).join("\n");

const keys = Object.keys(vi) as Key[];

/** Keys that are put together from what the gateway says, and what it may say. */
const BUILT = /^(quantity|crop|reset)\.|^fault\.\w+(\.do)?$|^conn\.(live|lost|connecting)$/;

test.each(CODES)("%s has every key, with the same placeholders and no empty text", (code) => {
  const words = LANGUAGES[code];
  expect(Object.keys(words).sort()).toEqual([...keys].sort());
  const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([hole]) => hole).sort();
  for (const key of keys) {
    expect(holes(words[key]), key).toEqual(holes(vi[key]));
    expect(words[key].trim(), key).not.toBe("");
  }
});

test("every key is used", () => {
  expect(keys.filter((key) => !BUILT.test(key) && !code.includes(`"${key}"`))).toEqual([]);
});

test("every key that is used exists", () => {
  const used = [...code.matchAll(/\bt\("([\w.]+)"/g)].map(([, key]) => key ?? "");
  expect(used.length).toBeGreaterThan(50);
  expect(used.filter((key) => !keys.includes(key as Key))).toEqual([]);
});

test("every fault and reset reason of the wire format has words", () => {
  const faults = ["open_circuit", "short_circuit", "crc", "timeout", "out_of_range", "power_on_value", "stuck", "saturated", "not_calibrated", "other"];
  const resets = ["power_on", "external", "watchdog", "brownout", "software", "panic", "deep_sleep"];
  const wanted = [...faults.flatMap((fault) => [`fault.${fault}`, `fault.${fault}.do`]), ...resets.map((reset) => `reset.${reset}`)];
  expect(wanted.filter((key) => !keys.includes(key as Key))).toEqual([]);
});

test("fills placeholders and leaves unknown ones visible", () => {
  expect(fill("{a} và {b}", { a: 1 })).toBe("1 và {b}");
});

test("takes the language from the address, then from the phone, else Vietnamese", () => {
  expect(firstLanguage("?lang=en", "vi")).toBe("en");
  expect(firstLanguage("", "en")).toBe("en");
  expect(firstLanguage("?lang=xx", null)).toBe("vi");
});

test("names a crop in the language of the page, however the registry wrote it", () => {
  language.value = "en";
  expect([cropWord("rice"), cropWord("Tôm thẻ"), cropWord("Xoài"), cropWord("Dưa lưới")]).toEqual(["Rice", "Shrimp", "Mango", "Dưa lưới"]);
  language.value = "vi";
  expect([cropWord("rice"), cropWord("Shrimp")]).toEqual(["Lúa", "Tôm thẻ"]);
});
