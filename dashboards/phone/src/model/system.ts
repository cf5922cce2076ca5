/**
 * What is the matter with the gateway itself, as one list: worst first. `bad` concerns everybody and stands on every page;
 * `warn` is for whoever looks after the gateway, and stands where they look.
 *
 * A further notice is one kind here, with its words in `parts/system-notices.tsx`.
 */
import type { System } from "../api/types";

export type SystemNotice =
  | { kind: "clock"; level: "bad" }
  | { kind: "letters"; level: "warn"; count: number };

export function systemNotices({ clock, dead_letters }: System): SystemNotice[] {
  const found: SystemNotice[] = [];
  if (!clock.right) found.push({ kind: "clock", level: "bad" });
  if (dead_letters > 0) found.push({ kind: "letters", level: "warn", count: dead_letters });
  return found;
}
