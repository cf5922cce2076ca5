/** Requests to the gateway. Every request ends: a link that swallows packets counts as no link. */
import { isObject, readAbout, readDisk, readHistory, readLedger, readNodes, readOverview, readRefused, text } from "./read";
import type { About, Disk, History, Ledger, Node, Overview, Refused } from "./types";

const BASE = "api/v1";
const TIMEOUT_MS = 12_000;

/** The gateway answered, with an error. Anything else that fails means that it could not be reached. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    /** Stable, for programs: `error.code` of the API. */
    readonly code = "",
    /** For technicians, English. */
    readonly detail = "",
  ) {
    super(`the gateway answered ${status} ${detail}`);
  }
}

export const get = (path: string): Promise<unknown> => ask(path, {}, TIMEOUT_MS);

export const post = (path: string, body: unknown, timeout_ms: number): Promise<unknown> =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }, timeout_ms);

/** A request of somebody who may change something: with the words that say so, and whatever method. */
export const send = (method: string, path: string, body: unknown, headers: Record<string, string>, timeout_ms = TIMEOUT_MS): Promise<unknown> =>
  ask(
    path,
    body === undefined
      ? { method, headers }
      : { method, headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) },
    timeout_ms,
  );

async function ask(path: string, init: RequestInit, timeout_ms: number): Promise<unknown> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeout_ms);
  try {
    const answer = await fetch(`${BASE}/${path}`, { ...init, signal: abort.signal, cache: "no-store" });
    if (!answer.ok) throw await refusal(answer);
    return await answer.json();
  } finally {
    clearTimeout(timer);
  }
}

async function refusal(answer: Response): Promise<Refusal> {
  const body: unknown = await answer.json().catch(() => null);
  const error = isObject(body) && isObject(body.error) ? body.error : {};
  return new Refusal(answer.status, text(error.code), text(error.message));
}

export const getOverview = async (): Promise<Overview> => readOverview(await get("overview"));
export const getNodes = async (): Promise<Node[]> => readNodes(await get("nodes"));
export const getRefused = async (): Promise<Refused> => readRefused(await get("refused"));
export const getLedger = async (): Promise<Ledger> => readLedger(await get("ledger"));
export const getAbout = async (): Promise<About> => readAbout(await get("about"));
export const getDisk = async (): Promise<Disk | null> => readDisk(await get("health"));

export async function getHistory(node: string, channel: string, from: number, to: number, buckets: number): Promise<History> {
  const query = new URLSearchParams({
    node,
    channel,
    from: String(Math.round(from)),
    to: String(Math.round(to)),
    buckets: String(buckets),
  });
  return readHistory(await get(`history?${query}`));
}

export const openStream = (): EventSource => new EventSource(`${BASE}/stream`);
