/** The chart in four lines: for a quick look, and in place of the picture for screen readers. */
import type { Latest } from "../api/types";
import { formatWhen } from "../format/time";
import { t } from "../i18n";
import type { Stats } from "../model/stats";
import { count, reading } from "../words";

interface Props {
  caption: string;
  latest: Latest | undefined;
  stats: Stats;
  quantity: string;
  unit: string;
  now: number;
}

export function Summary({ caption, latest, stats, quantity, unit, now }: Props) {
  const say = (value: number) => reading(value, quantity, unit);
  return (
    <table class="summary">
      <caption class="hidden">{caption}</caption>
      <thead class="hidden">
        <tr>
          <td />
          <th scope="col">{t("chart.value")}</th>
          <th scope="col">{t("chart.when")}</th>
        </tr>
      </thead>
      <tbody>
        {latest?.value != null && <Line name={t("chart.latest")} value={say(latest.value)} note={formatWhen(latest.at, now)} />}
        <Line name={t("chart.min")} value={say(stats.min.value)} note={formatWhen(stats.min.at, now)} />
        <Line name={t("chart.max")} value={say(stats.max.value)} note={formatWhen(stats.max.at, now)} />
        <Line name={t("chart.mean")} value={say(stats.mean)} note={t("chart.count", { count: count(stats.readings) })} />
      </tbody>
    </table>
  );
}

function Line({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td class="summary-value">{value}</td>
      <td class="summary-note">{note}</td>
    </tr>
  );
}
