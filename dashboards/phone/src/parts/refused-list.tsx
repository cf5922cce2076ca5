/** Messages that the gateway could not take. The reasons are its own words, for the technician. */
import type { Refused } from "../api/types";
import { formatWhen } from "../format/time";
import { t } from "../i18n";
import { clock, nodeOf } from "../model/store";
import { count, nodeName } from "../words";

/** What a person reads; the gateway keeps more. */
const SHOWN = 10;

/** A wrong stamp is counted here and costs no reading: the device's card says how its clock stands. */
const isRefusal = (reason: string): boolean => !reason.startsWith("time_");

export function RefusedList({ refused }: { refused: Refused }) {
  const reasons = Object.entries(refused.counts).filter(([reason, times]) => times > 0 && isRefusal(reason));
  const last = refused.last.filter(({ reason }) => isRefusal(reason));
  if (reasons.length === 0 && last.length === 0) return <p class="card notice">{t("more.refused.none")}</p>;
  return (
    <section class="card refused" data-testid="refused">
      <p>{t("more.refused.why")}</p>
      <ul class="counts">
        {reasons.map(([reason, times]) => (
          <li>
            <code>{reason}</code> {count(times)}
          </li>
        ))}
      </ul>
      <ul class="messages">
        {last.slice(0, SHOWN).map((message) => (
          <li>
            <p>
              <b>{message.node === null ? t("more.refused.unnamed") : nodeName(nodeOf(message.node)?.name ?? message.node)}</b>
              <small>{formatWhen(message.at, clock.value)}</small>
            </p>
            <p lang="en">
              <code>{message.reason}</code> {message.detail}
            </p>
            {message.excerpt !== "" && <pre lang="en">{message.excerpt}</pre>}
          </li>
        ))}
      </ul>
    </section>
  );
}
