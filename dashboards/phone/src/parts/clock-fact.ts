/** How a clock stands, in words: a node's on its card, the gateway's beside its version. */
import type { GatewayClock, Jump, NodeClock } from "../api/types";
import { formatWhen } from "../format/time";
import { t } from "../i18n";
import { clock as now } from "../model/store";
import { duration } from "../words";

/** null for a clock that is right and never jumped: there is nothing to say. */
export function nodeClockWords({ state, offset_ms, last_jump }: NodeClock): string | null {
  if (state === "right") return last_jump === null ? null : [t("clock.right"), jumpWords(last_jump)].join(" · ");
  const off = { duration: duration(Math.abs(offset_ms ?? 0)) };
  const said = {
    none: () => t("clock.none"),
    unset: () => t("clock.unset"),
    ahead: () => t("clock.ahead", off),
    back: () => t("clock.back"),
    behind: () => t("clock.behind", off),
  }[state]();
  return last_jump === null || state === "unset" ? said : [said, jumpWords(last_jump)].join(" · ");
}

export function gatewayClockWords({ right, last_jump }: GatewayClock): string {
  return [t(right ? "clock.right" : "clock.wrong"), last_jump && jumpWords(last_jump)].filter(Boolean).join(" · ");
}

function jumpWords({ at, by_ms }: Jump): string {
  const values = { duration: duration(Math.abs(by_ms)), time: formatWhen(at, now.value) };
  return t(by_ms < 0 ? "clock.jumped.back" : "clock.jumped.forward", values);
}
