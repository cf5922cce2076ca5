import { expect, test } from "vitest";
import type { NodeClock } from "../api/types";
import { language } from "../i18n";
import { clock as now } from "../model/store";
import { gatewayClockWords, nodeClockWords } from "./clock-fact";

const HOUR = 3_600_000;
const at = Date.UTC(2026, 10, 24, 7, 5);

const words = (state: NodeClock["state"], offset_ms: number | null = null, by_ms?: number): string | null =>
  nodeClockWords({ state, offset_ms, last_jump: by_ms === undefined ? null : { at, by_ms } });

test("says how a clock stands, and nothing of one that was never wrong", () => {
  now.value = at + HOUR;
  language.value = "en";
  expect(words("right")).toBeNull();
  expect(words("right", null, -2 * HOUR)).toBe("right · jumped back by 2 hours at 14:05");
  expect(words("ahead", 3 * HOUR, 3 * HOUR)).toBe("3 hours ahead; times are estimated · jumped forward by 3 hours at 14:05");
  expect(words("behind", -3 * HOUR)).toBe("3 hours behind");
  expect(words("unset", -1e12, -1e12)).toBe("not set; times are estimated");
  language.value = "vi";
  expect(words("none")).toBe("chưa có giờ; giờ đo là ước tính");
  expect(words("back", -HOUR, -HOUR)).toBe("bị chỉnh lùi; giờ đo là ước tính · nhảy lùi 1 giờ lúc 14:05");
  expect(gatewayClockWords({ right: false, last_jump: null })).toBe("sai; giờ đo là ước tính");
  expect(gatewayClockWords({ right: true, last_jump: { at, by_ms: HOUR } })).toBe("đúng giờ · nhảy tới 1 giờ lúc 14:05");
});
