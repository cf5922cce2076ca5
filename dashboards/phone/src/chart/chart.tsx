/** The chart with its key and the line that says what is under the finger. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { History } from "../api/types";
import { formatWhen } from "../format/time";
import { language, t } from "../i18n";
import { estimatedTimes, faultTimes } from "../model/gaps";
import { decimalsOf, unitLabel } from "../quantities";
import { count, decimal, figure, reading } from "../words";
import { drawPlot } from "./plot";

interface Props {
  history: History;
  /** Readings whose time was worked out afterwards. */
  estimated: number;
  quantity: string;
  label: string;
}

export function Chart({ history, estimated, quantity, label }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const read = useSignal<string | null>(null);
  const dark = useDark();
  const code = language.value;
  const unit = unitLabel(history.unit);

  useEffect(() => {
    if (host.current === null) return;
    read.value = null;
    const guessed = new Set(estimatedTimes(history));
    return drawPlot(host.current, {
      history,
      decimals: decimalsOf(quantity),
      figure: decimal,
      reading: (value) => reading(value, quantity, history.unit),
      onRead: (index, { t: times, mean, min, max }) => {
        const [time, middle, low, high] = [times[index ?? -1], mean[index ?? -1], min[index ?? -1], max[index ?? -1]];
        if (time === undefined || middle == null || low == null || high == null) {
          read.value = null;
          return;
        }
        const when = formatWhen(time, history.to);
        read.value = t("chart.read", {
          time: guessed.has(time) ? `${when} (${t("channel.estimated")})` : when,
          mean: reading(middle, quantity, history.unit),
          min: figure(low, quantity),
          max: figure(high, quantity),
        });
      },
    });
  }, [history, quantity, code, dark]);

  return (
    <figure class="chart" data-testid="chart">
      <p class="chart-unit">{unit || t("channel.noUnit")}</p>
      <div class="chart-plot" ref={host} role="img" aria-label={label} />
      <p class="chart-read" aria-hidden="true">
        {read.value ?? t("chart.touch")}
      </p>
      <figcaption class="chart-key">
        <span>
          <i class="key key-mean" />
          {t("chart.legend.mean")}
        </span>
        <span>
          <i class="key key-band" />
          {t("chart.legend.band")}
        </span>
        {estimated > 0 && (
          <span data-testid="chart-estimated">
            <i class="key key-estimated" />
            {t("chart.legend.estimated", { count: count(estimated) })}
          </span>
        )}
        {faultTimes(history).length > 0 && (
          <span>
            <i class="key key-fault" />
            {t("chart.legend.fault")}
          </span>
        )}
      </figcaption>
    </figure>
  );
}

/** A canvas doesn't follow the colour scheme by itself. */
function useDark(): boolean {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const dark = useSignal(query.matches);
  useEffect(() => {
    const changed = () => (dark.value = query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return dark.value;
}
