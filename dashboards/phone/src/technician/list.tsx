/** Every node: where it stands, whether it is let in, what it runs, why it was refused. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, getNodes } from "../api/client";
import { isObject, list, number, object, text } from "../api/read";
import type { Node } from "../api/types";
import { clock, nodes, plotOf } from "../model/store";
import { Unreachable } from "../parts/notice";
import { type Access, type ConfigState, getAccess, getConfig, getRefusals, mayChange, type OfNode } from "./api";
import { formatWhen } from "../format/time";
import { Box } from "./parts";
import { reasonWords, say } from "./words";

const AGAIN_AFTER_MS = 10_000;
/** Each row asks for its own configuration: a phone does not ask for hundreds. */
const MOST_ROWS = 60;

export function ListPage() {
  const access = useSignal<Access[]>([]);
  const strangers = useSignal<Stranger[]>([]);
  const failed = useSignal(false);
  const load = async () => {
    if (document.hidden) return;
    try {
      nodes.value = await getNodes();
      if (mayChange.peek() === true) access.value = await getAccess();
      strangers.value = await getStrangers();
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
  }, []);
  return (
    <>
      <h2>{say("list.title")}</h2>
      <div class="row">
        <a class="button" href="#/tech/add" data-testid="go-add">
          {say("list.add")}
        </a>
        <a class="button" href="#/tech/claim" data-testid="go-claim">
          {say("list.claim")}
        </a>
        <a class="button" href="#/tech/flash" data-testid="go-flash">
          {say("list.flash")}
        </a>
      </div>
      {failed.value && <Unreachable />}
      {nodes.value.length === 0 && !failed.value && <p class="card notice">{say("list.none")}</p>}
      <div class="cards tech-list">
        {nodes.value.slice(0, MOST_ROWS).map((node) => (
          <Row key={node.id} node={node} access={access.value.find((a) => a.id === node.id)} />
        ))}
      </div>
      {strangers.value.length > 0 && (
        <Box title={say("list.strangers")}>
          <p class="tech-dim">{say("list.strangers.why")}</p>
          <ul data-testid="strangers">
            {strangers.value.map((s) => (
              <li key={`${s.from}/${s.reason}`}>
                <b>{s.from}</b> · {formatWhen(s.at, clock.value)}
                <p>{reasonWords(s.reason)}</p>
              </li>
            ))}
          </ul>
        </Box>
      )}
    </>
  );
}

/** A connection that ended before it could say which node it was. */
interface Stranger {
  from: string;
  reason: string;
  at: number;
}

/** The last of each address and reason. */
async function getStrangers(): Promise<Stranger[]> {
  const found = new Map<string, Stranger>();
  for (const entry of list(object(await get("refused"), "refused").last).filter(isObject)) {
    // The port differs at each try.
    const from = text(entry.from).replace(/:\d+$/, "");
    const key = `${from}/${text(entry.reason)}`;
    if (from !== "" && text(entry.node) === "" && !found.has(key)) found.set(key, { from, reason: text(entry.reason), at: number(entry.at) });
  }
  return [...found.values()];
}

/** A refusal so long ago says nothing of today. */
const LATELY_MS = 24 * 3_600_000;

function Row({ node, access }: { node: Node; access: Access | undefined }) {
  const config = useSignal<ConfigState | null>(null);
  const refusal = useSignal<OfNode | null>(null);
  useEffect(() => {
    const load = async () => {
      try {
        config.value = await getConfig(node.id);
        refusal.value = (await getRefusals(node.id))[0] ?? null;
      } catch {
        // The row stays without: the list says that the gateway can't be reached.
      }
    };
    void load();
  }, [node]);
  const plot = plotOf(node.plot);
  const last = refusal.value;
  const lately = last !== null && Date.now() - last.at < LATELY_MS ? last : null;
  const state = access?.revoked_at != null ? "revoked" : access?.claim_code != null && plot === undefined ? "waiting" : lately !== null && node.connected !== true ? "refused" : "in";
  return (
    <a class="card tech-node" href={`#/tech/node/${encodeURIComponent(node.id)}`} data-testid={`tech-${node.id}`} data-state={state}>
      <h3>{node.name}</h3>
      <p class="tech-state" data-state={state}>
        {say(`state.${state}`)}
      </p>
      <dl class="facts">
        <dt>{say("fact.plot")}</dt>
        <dd>{[plot?.name, node.id].filter(Boolean).join(" · ")}</dd>
        {(node.board ?? access?.board) && (
          <>
            <dt>{say("fact.board")}</dt>
            <dd>{node.board ?? access?.board}</dd>
          </>
        )}
        {config.value !== null && (
          <>
            <dt>{say("fact.config")}</dt>
            <dd>{configWords(config.value)}</dd>
          </>
        )}
        {lately !== null && (
          <>
            <dt>{say("fact.refused")}</dt>
            <dd>{reasonWords(lately.reason)}</dd>
          </>
        )}
      </dl>
    </a>
  );
}

export function configWords({ state, wanted, refused }: ConfigState): string {
  const words = say(`config.${state}`, { version: wanted.version });
  return state === "refused" && refused !== null ? `${words}: ${reasonWords(refused.reason)}` : words;
}
