/** One node: is it there, how is it, and has everything it measured arrived? */
import type { Node, NodeLedger } from "../api/types";
import { type Key, t } from "../i18n";
import { withUnit } from "../format/number";
import { plotOf } from "../model/store";
import { count, decimal, nodeName, resetReason } from "../words";
import { Age } from "./age";
import { nodeClockWords } from "./clock-fact";
import { Completeness } from "./completeness";

interface Props {
  node: Node;
  /** null until it has been fetched. */
  ledger: NodeLedger | null;
  lateAfter: number;
}

export function DeviceCard({ node, ledger, lateAfter }: Props) {
  const clock = node.clock === null ? null : nodeClockWords(node.clock);
  return (
    <article class="card device" data-testid={`device-${node.id}`}>
      <header class="plot-head">
        <h3>{nodeName(node.name)}</h3>
        {node.connected !== null && (
          <p class="conn" data-state={node.connected ? "live" : "lost"}>
            <i class="dot" />
            {t(node.connected ? "node.online" : "node.offline")}
          </p>
        )}
      </header>
      <p class="device-place">{[plotOf(node.plot)?.name, node.id].filter(Boolean).join(" · ")}</p>
      <dl class="facts">
        <dt>{t("node.lastSeen")}</dt>
        <dd>{node.last_seen === null ? t("node.never") : <Age at={node.last_seen} />}</dd>
        <dt>{t("node.complete")}</dt>
        <dd>{completeness(node)}</dd>
        {node.dropped !== null && node.dropped > 0 && <Fact name="node.dropped" value={t("node.dropped.count", { count: count(node.dropped) })} />}
        {clock !== null && <Fact name="clock.name" value={clock} />}
        {node.battery_mv !== null && <Fact name="node.battery" value={withUnit(decimal(node.battery_mv / 1000, 2), "V")} />}
        {node.rssi_dbm !== null && <Fact name="node.signal" value={`${t(signalWord(node.rssi_dbm))} (${withUnit(decimal(node.rssi_dbm, 0), "dBm")})`} />}
        {node.firmware !== null && <Fact name="node.firmware" value={node.firmware} />}
        {node.board !== null && <Fact name="node.board" value={node.board} />}
        <Restart reason={node.reset_reason} />
      </dl>
      {ledger !== null && <Completeness ledger={ledger} lateAfter={lateAfter} />}
    </article>
  );
}

function Fact({ name, value }: { name: Key; value: string }) {
  return (
    <>
      <dt>{t(name)}</dt>
      <dd>{value}</dd>
    </>
  );
}

/** A reason that this page has no word for isn't shown: it would be English in a Vietnamese page. */
function Restart({ reason }: { reason: string | null }) {
  const word = reason === null ? null : resetReason(reason);
  return word === null ? null : <Fact name="node.restart" value={word} />;
}

function completeness({ received, missing }: Node): string {
  if (received === 0 && missing === 0) return t("node.complete.none");
  if (missing === 0) return t("node.complete.all", { received: count(received) });
  return t("node.complete.part", { received: count(received), total: count(received + missing), missing: count(missing) });
}

/** Usual steps for Wi-Fi; weak is where packets begin to be lost. */
const GOOD_DBM = -67;
const FAIR_DBM = -80;

function signalWord(rssi_dbm: number): Key {
  if (rssi_dbm >= GOOD_DBM) return "node.signal.good";
  return rssi_dbm >= FAIR_DBM ? "node.signal.fair" : "node.signal.weak";
}
