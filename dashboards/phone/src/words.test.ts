import { beforeEach, expect, test } from "vitest";
import { language } from "./i18n";
import { channelName, faultWords, inSentence, nodeName, reading } from "./words";

beforeEach(() => {
  language.value = "vi";
});

test("names a channel, and the second of its kind with its number", () => {
  expect(channelName({ quantity: "salinity", channel: "salinity" })).toBe("Độ mặn");
  expect(channelName({ quantity: "salinity", channel: "salinity_2" })).toBe("Độ mặn 2");
  expect(channelName({ quantity: "redox_potential", channel: "redox_potential" })).toBe("redox potential");
});

test("makes a name small inside a sentence, but not an abbreviation", () => {
  expect(["Độ mặn", "Oxy hòa tan", "CO₂", "pH"].map(inSentence)).toEqual(["độ mặn", "oxy hòa tan", "CO₂", "pH"]);
});

test("calls a node a node once", () => {
  expect(nodeName("Ao số 2")).toBe("Nút đo Ao số 2");
  expect(nodeName("Nút ao 2")).toBe("Nút ao 2");
});

test("writes a reading in the page's language", () => {
  expect(reading(-9.04, "water_level", "cm")).toBe("\u22129,0\u00a0cm");
  language.value = "en";
  expect(reading(-9.04, "water_level", "cm")).toBe("\u22129.0\u00a0cm");
});

test("has words for a fault that it doesn't know", () => {
  expect(faultWords("gone_fishing").what).toBe("Chưa rõ nguyên nhân.");
});
