/** Times on the farm's clock, whatever the phone's time zone is: 24 hours, dd/mm. */

/** Viet Nam has one zone and no daylight saving. */
export const FARM_ZONE = "Asia/Ho_Chi_Minh";

const parts = new Intl.DateTimeFormat("en-GB", {
  timeZone: FARM_ZONE,
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
});

function split(ms: number): Record<string, string> {
  return Object.fromEntries(parts.formatToParts(ms).map((part) => [part.type, part.value]));
}

export function formatTime(ms: number): string {
  const { hour, minute } = split(ms);
  return `${hour}:${minute}`;
}

export function formatDate(ms: number): string {
  const { day, month } = split(ms);
  return `${day}/${month}`;
}

/** The date only where it says something: "14:05" today, "14:05 23/11" before, with the year when it is another one. */
export function formatWhen(ms: number, now: number): string {
  const [then, today] = [split(ms), split(now)];
  const time = `${then.hour}:${then.minute}`;
  if (then.year !== today.year) return `${time} ${then.day}/${then.month}/${then.year}`;
  return then.day === today.day && then.month === today.month ? time : `${time} ${then.day}/${then.month}`;
}
