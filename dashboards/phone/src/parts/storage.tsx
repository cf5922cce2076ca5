/** The gateway's disk: only what somebody has to know. What a sink will never get is said for good. */
import type { Disk, Waiting } from "../api/types";
import { formatDate } from "../format/time";
import { withUnit } from "../format/number";
import { t } from "../i18n";
import { count, decimal, duration } from "../words";

const HOUR_MS = 3_600_000;
/** From here on the gateway warns. */
const WARN_PCT = 50;

export function Storage({ disk }: { disk: Disk }) {
  return (
    <div data-testid="storage">
      {disk.sinks.map((sink) => (
        <Sink key={sink.name} sink={sink} />
      ))}
      {disk.deleted_before !== null && <p>{t("disk.deleted", { date: formatDate(disk.deleted_before) })}</p>}
      <dl class="facts">
        <dt>{t("disk.free")}</dt>
        <dd>{withUnit(decimal(disk.free_bytes / 1e9, 1), "GB")}</dd>
      </dl>
    </div>
  );
}

function Sink({ sink }: { sink: Waiting }) {
  const sinkName = sink.name === "influx" ? "InfluxDB" : sink.name;
  const { readings, first_at, last_at } = sink.given_up;
  return (
    <>
      {sink.room_pct >= WARN_PCT && (
        <p class="missing">
          {t("disk.waits", { sink: sinkName, percent: withUnit(count(sink.room_pct), "%") })}
          {sink.hours_left !== null && ` ${t("disk.waits.left", { duration: duration(sink.hours_left * HOUR_MS) })}`}
        </p>
      )}
      {readings > 0 && (
        <p class="missing">
          {t("disk.givenUp", { sink: sinkName, count: count(readings), from: formatDate(first_at ?? 0), to: formatDate(last_at ?? 0) })}
        </p>
      )}
    </>
  );
}
