/** What the technician's pages ask of the gateway. Who may change something shows a code, which is kept in this tab and in no address. */
import { signal } from "@preact/signals";
import { get, send } from "../api/client";
import { isObject, list, number, numberOrNull, object, text, textOrNull } from "../api/read";

const KEPT = "sen.operator";

const recall = (key: string): string => {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
};
const keep = (key: string, value: string): void => {
  try {
    if (value === "") sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // A tab without storage: the code is asked for again after a reload.
  }
};

const token = signal(recall(KEPT));
/** Who signs the changes. */
export const who = signal(recall("sen.who"));

export function signAs(name: string): void {
  who.value = name;
  keep("sen.who", name);
}

/** Shown to be right; null until that was tried. */
export const mayChange = signal<boolean | null>(null);

const headers = (): Record<string, string> => (token.value === "" ? {} : { authorization: `Bearer ${token.value}` });
const change = (method: string, path: string, body?: unknown, timeout_ms?: number): Promise<unknown> =>
  send(method, path, body, headers(), timeout_ms);
const at = encodeURIComponent;

/** With the code, or from the gateway's own machine without one. */
export async function useToken(shown: string): Promise<boolean> {
  token.value = shown;
  keep(KEPT, shown);
  try {
    await getAccess();
    mayChange.value = true;
  } catch {
    token.value = "";
    keep(KEPT, "");
    mayChange.value = false;
  }
  return mayChange.value;
}

export const tryToken = (): Promise<boolean> => useToken(token.peek());

export interface Access {
  id: string;
  name: string;
  plot: string | null;
  board: string | null;
  revoked_at: number | null;
  claim_code: string | null;
}

function readAccess(x: unknown): Access {
  const a = object(x, "access");
  return {
    id: text(a.id),
    name: text(a.name) || text(a.id),
    plot: textOrNull(a.plot),
    board: textOrNull(a.board),
    revoked_at: numberOrNull(a.revoked_at),
    claim_code: textOrNull(a.claim_code),
  };
}

export const getAccess = async (): Promise<Access[]> => list(await change("GET", "access")).map(readAccess);
export const revoke = async (node: string): Promise<Access> => readAccess(await change("POST", `nodes/${at(node)}/revoke`));
export const newCode = async (node: string): Promise<Access> => readAccess(await change("POST", `nodes/${at(node)}/claim-code`));
export const newPassword = async (node: string): Promise<string> =>
  text(object(await change("POST", `nodes/${at(node)}/password`), "password").password);

export interface Made {
  node: string;
  password: string;
  claim_code: string | null;
}

export async function addNode(node: { id: string; name: string; plot: string; board: string }): Promise<Made> {
  const given = Object.fromEntries(Object.entries(node).filter(([, value]) => value !== ""));
  const made = object(await change("POST", "nodes", given), "node");
  return { node: text(made.node), password: text(made.password), claim_code: textOrNull(made.claim_code) };
}

export const claim = async (code: string, plot: string, name: string): Promise<Access> =>
  readAccess(await change("POST", "claims", { code, plot, who: who.peek(), ...(name === "" ? {} : { name }) }));

/** The label is a page of its own; it is fetched, since an address can't show the code. */
export async function label(node: string, language: string): Promise<string> {
  const answer = await fetch(`api/v1/nodes/${at(node)}/label?lang=${language}`, { headers: headers(), cache: "no-store" });
  if (!answer.ok) throw new Error(`label: ${answer.status}`);
  return await answer.text();
}

export interface OfNode {
  reason: string;
  detail: string;
  at: number;
  count: number;
}

export const getRefusals = async (node: string): Promise<OfNode[]> =>
  list(await get(`nodes/${at(node)}/refusals`))
    .filter(isObject)
    .map((r) => ({ reason: text(r.reason), detail: text(r.detail), at: number(r.at), count: number(r.count) }));

export interface Limit {
  channel: string;
  below: number | null;
  above: number | null;
}

export interface Plan {
  sample_every_s: number;
  send_every_s: number;
  channels: string[];
  listen_s: number | null;
  limits: Limit[];
}

export interface Order {
  version: number;
  at: number | null;
  who: string | null;
  config: Plan;
}

export const STATES = ["never_told", "waiting", "in_force", "refused", "ahead"] as const;

export interface ConfigState {
  wanted: Order;
  state: (typeof STATES)[number];
  running: number | null;
  refused: { version: number | null; reason: string; channel: string | null; message: string } | null;
}

function readOrder(x: unknown): Order {
  const order = object(x, "order");
  const config = object(order.config, "config");
  return {
    version: number(order.version),
    at: numberOrNull(order.at),
    who: textOrNull(order.who),
    config: {
      sample_every_s: number(config.sample_every_s),
      send_every_s: number(config.send_every_s),
      channels: list(config.channels).map(text),
      listen_s: numberOrNull(config.listen_s),
      limits: list(config.limits)
        .filter(isObject)
        .map((l) => ({ channel: text(l.channel), below: numberOrNull(l.below), above: numberOrNull(l.above) })),
    },
  };
}

export async function getConfig(node: string): Promise<ConfigState> {
  const config = object(await get(`nodes/${at(node)}/config`), "configuration");
  const refused = isObject(config.refused) ? config.refused : null;
  return {
    wanted: readOrder(config.wanted),
    state: STATES.find((state) => state === config.state) ?? "waiting",
    running: numberOrNull(config.running),
    refused: refused && {
      version: numberOrNull(refused.version),
      reason: text(refused.reason),
      channel: textOrNull(refused.channel),
      message: text(refused.message),
    },
  };
}

export const getHistory = async (node: string): Promise<Order[]> => list(await get(`nodes/${at(node)}/config/history`)).map(readOrder);

/** Calibrations are left out: those in force stay. */
export const configure = async (node: string, config: Plan, base_version: number): Promise<Order> =>
  readOrder(await change("PUT", `nodes/${at(node)}/config`, { config, base_version, who: who.peek() }));

export interface Point {
  raw: number;
  value: number;
  temperature?: number;
}

export interface Calibration {
  version: number;
  curve: string;
  at: number;
  who: string;
  config_version: number;
  points: Point[];
}

export interface Raw {
  at: number;
  age_ms: number;
  value: number;
  from: "probe" | "value";
  temperature: number | null;
}

export interface ChannelState {
  unit: string;
  live: { at: number; age_ms: number; value: number | null; fault: string | null } | null;
  raw: Raw | null;
  sample_every_s: number;
  calibrations: Calibration[];
}

export async function getChannel(node: string, channel: string): Promise<ChannelState> {
  const state = object(await get(`nodes/${at(node)}/calibrations/${at(channel)}`), "channel");
  const live = isObject(state.live) ? state.live : null;
  const raw = isObject(state.raw) ? state.raw : null;
  return {
    unit: text(state.unit),
    live: live && { at: number(live.at), age_ms: number(live.age_ms), value: numberOrNull(live.value), fault: textOrNull(live.fault) },
    raw: raw && {
      at: number(raw.at),
      age_ms: number(raw.age_ms),
      value: number(raw.value),
      from: raw.from === "probe" ? "probe" : "value",
      temperature: numberOrNull(raw.temperature),
    },
    sample_every_s: number(state.sample_every_s),
    calibrations: list(state.calibrations)
      .filter(isObject)
      .map((c) => ({
        version: number(c.version),
        curve: text(c.curve),
        at: number(c.at),
        who: text(c.who),
        config_version: number(c.config_version),
        points: list(c.points)
          .filter(isObject)
          .map((p) => ({ raw: number(p.raw), value: number(p.value) })),
      })),
  };
}

export const calibrate = async (node: string, channel: string, curve: string, points: Point[]): Promise<Order> =>
  readOrder(await change("POST", `nodes/${at(node)}/calibrations/${at(channel)}`, { curve, points, who: who.peek() }));

export interface Image {
  board: string;
  bytes: number;
  problem: string | null;
}

export const getImages = async (): Promise<Image[]> =>
  list(await get("images"))
    .filter(isObject)
    .map((i) => ({ board: text(i.board), bytes: number(i.bytes), problem: textOrNull(i.problem) }));

export interface Wanted {
  board: string;
  host: string;
  plain: boolean;
  wifi?: string;
  wifi_password?: string;
  apn?: string;
}

export interface Part {
  offset: number;
  length: number;
  partition: string | null;
  what: "image" | "node";
  sha256: string;
  data: Uint8Array | null;
}

export interface Parts {
  board: string;
  writes: Part[];
  inlaid: Part | null;
  password: string | null;
  claim_code: string | null;
}

function readPart(x: unknown): Part {
  const part = object(x, "part");
  const data = textOrNull(part.data);
  return {
    offset: number(part.offset),
    length: number(part.length),
    partition: textOrNull(part.partition),
    what: part.what === "node" ? "node" : "image",
    sha256: text(part.sha256),
    data: data === null ? null : Uint8Array.from(atob(data), (c) => c.charCodeAt(0)),
  };
}

/** An image is a few megabytes, and the network may be slow. */
const PARTS_TIMEOUT_MS = 120_000;

export async function getParts(node: string, wanted: Wanted, write: boolean): Promise<Parts> {
  const parts = object(await change("POST", `nodes/${at(node)}/flash`, { ...wanted, write }, PARTS_TIMEOUT_MS), "parts");
  return {
    board: text(parts.board),
    writes: list(parts.writes).map(readPart),
    inlaid: isObject(parts.inlaid) ? readPart(parts.inlaid) : null,
    password: textOrNull(parts.password),
    claim_code: textOrNull(parts.claim_code),
  };
}
