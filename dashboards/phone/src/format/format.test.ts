import { expect, test } from "vitest";
import { formatAge, formatDuration } from "./age";
import { formatNumber, withUnit } from "./number";
import { formatDate, formatTime, formatWhen } from "./time";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("writes a decimal comma in Vietnamese and a point in English", () => {
  expect(formatNumber(2.84, 1, "vi")).toBe("2,8");
  expect(formatNumber(2.84, 1, "en")).toBe("2.8");
  expect(formatNumber(7, 2, "vi")).toBe("7,00");
});

test("writes a real minus sign, and none before zero", () => {
  expect(formatNumber(-9, 0, "vi")).toBe("\u22129");
  expect(formatNumber(-0.04, 1, "vi")).toBe("0,0");
  expect(formatNumber(-0.05, 1, "en")).toBe("\u22120.1");
});

test("groups thousands only where nobody takes them for decimals", () => {
  expect(formatNumber(1013, 0, "vi")).toBe("1013");
  expect(formatNumber(54_612, 0, "vi")).toBe("54.612");
  expect(formatNumber(54_612, 0, "en")).toBe("54,612");
});

test("puts the unit behind the number", () => {
  expect(withUnit("1,2", "[ppth]")).toBe("1,2\u00a0‰");
  expect(withUnit("169", "deg")).toBe("169°");
  expect(withUnit("7,80", "[pH]")).toBe("7,80");
});

test.each([
  [-5_000, "vừa xong", "now"],
  [9_999, "vừa xong", "now"],
  [14_900, "10 giây trước", "10 seconds ago"],
  [59_999, "55 giây trước", "55 seconds ago"],
  [MINUTE, "1 phút trước", "1 minute ago"],
  [59 * MINUTE + 59_000, "59 phút trước", "59 minutes ago"],
  [5 * HOUR, "5 giờ trước", "5 hours ago"],
  [47 * HOUR, "47 giờ trước", "47 hours ago"],
  [72 * HOUR, "3 ngày trước", "3 days ago"],
])("says an age of %i ms", (ms, inVietnamese, inEnglish) => {
  expect(formatAge(ms, "vi", "vừa xong")).toBe(inVietnamese);
  expect(formatAge(ms, "en", "now")).toBe(inEnglish);
});

test("says a duration", () => {
  expect(formatDuration(3 * HOUR + 5 * MINUTE, "vi")).toBe("3 giờ");
  expect(formatDuration(HOUR, "en")).toBe("1 hour");
});

test("shows the farm's clock in any time zone: 24 hours, dd/mm", () => {
  const time = Date.UTC(2026, 10, 23, 21, 35);
  expect(formatTime(time)).toBe("04:35");
  expect(formatDate(time)).toBe("24/11");
  expect(formatTime(Date.UTC(2026, 0, 1, 17, 0))).toBe("00:00");
});

test("shows the date only where it says something", () => {
  const time = Date.UTC(2026, 10, 23, 21, 35);
  expect(formatWhen(time, time + 10 * HOUR)).toBe("04:35");
  expect(formatWhen(time, time + 24 * HOUR)).toBe("04:35 24/11");
  expect(formatWhen(time, time + 90 * 24 * HOUR)).toBe("04:35 24/11/2026");
});
