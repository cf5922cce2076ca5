/** The parts that stand for one reading wherever it is shown: value with unit, tags, age. A number is never alone. */
import { useComputed, type ReadonlySignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Latest } from "../api/types";
import { t } from "../i18n";
import { isStale, lastGood } from "../model/freshness";
import { clock, judgedAt, nodeOf } from "../model/store";
import { unitLabel } from "../quantities";
import { age, figure } from "../words";
import { Age } from "./age";
import { AlertIcon } from "./icons";
import { EstimatedTag, StaleTag } from "./tag";

export type State = "ok" | "stale" | "fault";

export function useReadingState(channel: ReadonlySignal<Latest>): State {
  const stale = useComputed(() => isStale(channel.value, judgedAt.value)).value;
  return channel.value.fault !== null ? "fault" : stale ? "stale" : "ok";
}

export function Value({ latest }: { latest: Latest }) {
  const shown = latest.value !== null;
  useEffect(() => {
    if (shown) document.body.dataset.ready = "1";
  }, [shown]);
  if (latest.value === null) {
    return (
      <span class="value value-fault" data-testid="value">
        <AlertIcon />
        {t("channel.fault")}
      </span>
    );
  }
  const unit = unitLabel(latest.unit);
  return (
    <span class="value" data-testid="value">
      <data value={latest.value}>{figure(latest.value, latest.quantity)}</data>
      {unit !== "" && (unit === "°" ? unit : <> <small>{unit}</small></>)}
    </span>
  );
}

export function Tags({ latest, state }: { latest: Latest; state: State }) {
  return (
    <>
      {state === "stale" && <StaleTag />}
      {latest.estimated && <EstimatedTag />}
    </>
  );
}

/** The age of the reading; for a fault, the age of the last value there was. */
export function AgeLine({ latest, state }: { latest: Latest; state: State }) {
  const offline = state === "stale" && nodeOf(latest.node)?.connected === false;
  return (
    <span class="age" data-testid="age">
      {state === "fault" ? <LastGoodAge latest={latest} /> : <Age at={latest.at} />}
      {offline && ` · ${t("channel.nodeOffline")}`}
    </span>
  );
}

function LastGoodAge({ latest }: { latest: Latest }) {
  const good = lastGood(latest, clock.value);
  if (good === null) return <>{t("channel.neverGood")}</>;
  const since = age(clock.value - good.at);
  return <>{t("channel.lastGood", { age: good.about ? t("age.about", { age: since }) : since })}</>;
}
