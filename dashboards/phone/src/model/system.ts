/**
 * What is the matter with the gateway itself, as one list: worst first. `bad` concerns everybody and stands on every page;
 * `warn` is for whoever looks after the gateway, and stands where they look.
 *
 * A further notice is one kind here, with its words in `parts/system-notices.tsx`.
 */
import type { System } from "../api/types";

export type SystemNotice =
  | { kind: "full"; level: "bad" }
  | { kind: "clock"; level: "bad" }
  | { kind: "damage"; level: "warn"; at: number; lost: number }
  | { kind: "letters"; level: "warn"; count: number };

export function systemNotices({ clock, dead_letters, storing, damage }: System): SystemNotice[] {
  const found: SystemNotice[] = [];
  if (!storing) found.push({ kind: "full", level: "bad" });
  if (!clock.right) found.push({ kind: "clock", level: "bad" });
  const [newest] = damage.slice(-1);
  if (newest !== undefined) {
    found.push({ kind: "damage", level: "warn", at: newest.at, lost: damage.reduce((sum, { lost_rows }) => sum + lost_rows, 0) });
  }
  if (dead_letters > 0) found.push({ kind: "letters", level: "warn", count: dead_letters });
  return found;
}
