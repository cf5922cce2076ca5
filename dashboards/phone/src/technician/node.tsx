/** One node: whether it is let in and why not, what it shall do, and the way to its calibrations. */
import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { formatWhen } from "../format/time";
import { clock, farms } from "../model/store";
import { Busy, Unreachable } from "../parts/notice";
import { channelName, count } from "../words";
import { LabelButton, MadeBox } from "./add";
import {
  type Access,
  type ConfigState,
  getAccess,
  getConfig,
  getHistory,
  getRefusals,
  type Made,
  mayChange,
  newCode,
  newPassword,
  type OfNode,
  type Order,
  revoke,
} from "./api";
import { configWords } from "./list";
import { Box, Detail, Outcome, Sure, useDoing } from "./parts";
import { PlanForm } from "./plan";
import { reasonWords, say } from "./words";

const AGAIN_AFTER_MS = 5_000;

export function NodePage({ id }: { id: string }) {
  const config = useSignal<ConfigState | null>(null);
  const history = useSignal<Order[]>([]);
  const refusals = useSignal<OfNode[]>([]);
  const access = useSignal<Access | null>(null);
  const failed = useSignal(false);
  const load = async () => {
    if (document.hidden) return;
    try {
      [config.value, history.value, refusals.value] = await Promise.all([getConfig(id), getHistory(id), getRefusals(id)]);
      if (mayChange.peek() === true) access.value = (await getAccess()).find((a) => a.id === id) ?? null;
      failed.value = false;
    } catch {
      failed.value = true;
    }
  };
  useSignalEffect(() => {
    mayChange.value;
    void load();
  });
  useEffect(() => {
    const timer = setInterval(() => void load(), AGAIN_AFTER_MS);
    return () => clearInterval(timer);
  }, [id]);
  if (config.value === null) return failed.value ? <Unreachable /> : <Busy />;
  return (
    <>
      <h2>{access.value === null || access.value.name === id ? id : `${access.value.name} · ${id}`}</h2>
      {mayChange.value === true && access.value !== null && <AccessBox access={access} reload={() => void load()} />}
      <RefusalsBox refusals={refusals.value} />
      <CalibrateBox node={id} />
      <Box title={say("plan.title")}>
        <p data-testid="config-state" data-state={config.value.state}>
          {configWords(config.value)}
        </p>
        {config.value.running !== null && config.value.running !== config.value.wanted.version && (
          <p>{say("config.running", { version: config.value.running })}</p>
        )}
        {config.value.refused !== null && config.value.state === "refused" && <Detail text={config.value.refused.message} />}
        {mayChange.value === true && <PlanForm key={config.value.wanted.version} node={id} order={config.value.wanted} saved={() => void load()} />}
        <History orders={history.value} />
      </Box>
    </>
  );
}

function AccessBox({ access, reload }: { access: Signal<Access | null>; reload: () => void }) {
  const [doing, run] = useDoing();
  const made = useSignal<Made | null>(null);
  const node = access.value;
  if (node === null) return null;
  if (made.value !== null) return <MadeBox made={made.value} />;
  const state = node.revoked_at !== null ? "revoked" : node.claim_code !== null && node.plot === null ? "waiting" : "in";
  return (
    <Box title={say("node.access")}>
      <p class="tech-state" data-testid="access" data-state={state}>
        {say(`state.${state}`)}
      </p>
      {node.claim_code !== null && (
        <p>
          {say("made.code")}: <code>{node.claim_code}</code>
        </p>
      )}
      <Outcome doing={doing} />
      <div class="row">
        {node.claim_code !== null && <LabelButton node={node.id} />}
        {node.revoked_at === null && (
          <Sure
            name="revoke"
            label={say("node.revoke")}
            question={say("node.revoke.sure", { node: node.id })}
            act={() =>
              run(async () => {
                access.value = await revoke(node.id);
                reload();
              })
            }
          />
        )}
        <Sure
          name="admit"
          label={say(node.revoked_at === null ? "node.newPassword" : "node.admit")}
          question={say("node.admit.sure", { node: node.id })}
          act={() =>
            run(async () => {
              made.value = { node: node.id, password: await newPassword(node.id), claim_code: node.claim_code };
            })
          }
        />
        <button
          type="button"
          class="button"
          onClick={() =>
            run(async () => {
              access.value = await newCode(node.id);
            })
          }
        >
          {say("node.newCode")}
        </button>
        <a class="button" href={`#/tech/flash/${encodeURIComponent(node.id)}`}>
          {say("node.flash")}
        </a>
      </div>
    </Box>
  );
}

function RefusalsBox({ refusals }: { refusals: OfNode[] }) {
  return (
    <Box title={say("node.refusals")}>
      {refusals.length === 0 && <p class="tech-dim">{say("node.refusals.none")}</p>}
      <ul>
        {refusals.map((r) => (
          <li key={r.reason} data-testid={`refusal-${r.reason}`}>
            <b>{reasonWords(r.reason)}</b>
            <p class="tech-dim">{say("fact.times", { count: count(r.count), when: formatWhen(r.at, clock.value) })}</p>
            <Detail text={r.detail} />
          </li>
        ))}
      </ul>
    </Box>
  );
}

function CalibrateBox({ node }: { node: string }) {
  const channels = farms.value
    .flatMap((farm) => farm.plots.flatMap((plot) => plot.channels))
    .map((channel) => channel.value)
    .filter((latest) => latest.node === node);
  return (
    <Box title={say("node.calibrate")}>
      {channels.length === 0 && <p class="tech-dim">{say("node.calibrate.none")}</p>}
      <div class="row">
        {channels.map((latest) => (
          <a
            key={latest.channel}
            class="button"
            data-testid={`calibrate-${latest.channel}`}
            href={`#/tech/node/${encodeURIComponent(node)}/cal/${encodeURIComponent(latest.channel)}`}
          >
            {channelName(latest)}
          </a>
        ))}
      </div>
    </Box>
  );
}

function History({ orders }: { orders: Order[] }) {
  if (orders.length === 0) return null;
  return (
    <details data-testid="history">
      <summary>{say("plan.history")}</summary>
      <ul>
        {orders.map((order) => (
          <li key={order.version}>
            {say("plan.history.line", {
              version: order.version,
              when: order.at === null ? "–" : formatWhen(order.at, clock.value),
              who: order.who ?? "–",
            })}
          </li>
        ))}
      </ul>
    </details>
  );
}
