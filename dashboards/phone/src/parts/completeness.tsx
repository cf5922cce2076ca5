/** The last days of one node: has everything it measured arrived, and if not, what is missing? */
import type { LedgerDay, MissingRange, NodeLedger } from "../api/types";
import { withUnit } from "../format/number";
import { t } from "../i18n";
import { percent, shortDate, sum, whenMissing } from "../model/ledger";
import { clock } from "../model/store";
import { count, decimal, duration } from "../words";

interface Props {
  ledger: NodeLedger;
  lateAfter: number;
}

export function Completeness({ ledger, lateAfter }: Props) {
  const all = sum(ledger.days);
  const first = ledger.days[0];
  if (first === undefined || all.received + all.missing === 0) return null;
  const days = ledger.days.length;
  const share = percent(all);
  return (
    <section class="complete" data-testid={`complete-${ledger.node}`}>
      <p>
        {all.missing === 0
          ? t("ledger.sum.all", { days, received: count(all.received) })
          : t("ledger.sum", { days, percent: share === null ? "" : percentText(share), received: count(all.received), expected: count(all.received + all.missing) })}
      </p>
      <div class="strip" aria-hidden="true">
        {ledger.days.map((day) => (
          <Bar key={day.day} day={day} />
        ))}
      </div>
      <p class="strip-ends" aria-hidden="true">
        <span>{shortDate(first.day)}</span>
        <span>{t("ledger.today")}</span>
      </p>
      {all.missing > 0 && (
        <ul class="missing">
          {ledger.missing_ranges.map((range) => (
            <li>{missingText(range)}</li>
          ))}
          {ledger.missing_ranges_left_off > 0 && <li>{t("ledger.more", { count: count(ledger.missing_ranges_left_off) })}</li>}
        </ul>
      )}
      {all.late > 0 && <p class="late">{t("ledger.late", { count: count(all.late), duration: duration(lateAfter) })}</p>}
      <details>
        <summary>{t("ledger.days")}</summary>
        <dl class="facts">
          {[...ledger.days].reverse().map((day) => (
            <>
              <dt>{shortDate(day.day)}</dt>
              <dd>{dayText(day)}</dd>
            </>
          ))}
        </dl>
      </details>
    </section>
  );
}

/** Full is all there; the hatched part is missing, and never too small to be seen; a frame is a day without readings. */
function Bar({ day }: { day: LedgerDay }) {
  const share = percent(day);
  if (share === null) return <i class="bar bar-none" />;
  return <i class="bar">{day.missing > 0 && <i class="bar-missing" style={{ height: `${Math.max(100 - share, 15)}%` }} />}</i>;
}

const percentText = (share: number): string => withUnit(decimal(share, 1), "%");

const dayText = (day: LedgerDay): string => (day.deleted ? `${arrivedText(day)} · ${t("ledger.day.deleted")}` : arrivedText(day));

function arrivedText(day: LedgerDay): string {
  const share = percent(day);
  if (share === null) return t("ledger.day.none");
  if (day.missing === 0) return t("ledger.day.all", { received: count(day.received) });
  return t("ledger.day.part", { percent: percentText(share), missing: count(day.missing), expected: count(day.received + day.missing) });
}

function missingText(range: MissingRange): string {
  const missing = count(range.count);
  const when = whenMissing(range, clock.value);
  switch (when?.kind) {
    case undefined:
      return t("ledger.missing.undated", { missing });
    case "around":
      return t("ledger.missing.around", { missing, at: when.at });
    case "days":
      return t("ledger.missing.days", { missing, from: when.from, to: when.to });
    case "day": {
      const day = when.day === "today" ? t("ledger.today") : when.day === "yesterday" ? t("ledger.yesterday") : when.day;
      return t("ledger.missing.day", { missing, from: when.from, to: when.to, day });
    }
  }
}
