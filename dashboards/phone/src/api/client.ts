/** Requests to the gateway. Every request ends: a link that swallows packets counts as no link. */
import { readAbout, readDisk, readHistory, readLedger, readNodes, readOverview, readRefused } from "./read";
import type { About, Disk, History, Ledger, Node, Overview, Refused } from "./types";

const BASE = "api/v1";
const TIMEOUT_MS = 12_000;

/** The gateway answered, with an error. Anything else that fails means that it could not be reached. */
export class Refusal extends Error {
  constructor(readonly status: number) {
    super(`the gateway answered ${status}`);
  }
}

export const get = (path: string): Promise<unknown> => ask(path, {}, TIMEOUT_MS);

export const post = (path: string, body: unknown, timeout_ms: number): Promise<unknown> =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }, timeout_ms);

async function ask(path: string, init: RequestInit, timeout_ms: number): Promise<unknown> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeout_ms);
  try {
    const answer = await fetch(`${BASE}/${path}`, { ...init, signal: abort.signal, cache: "no-store" });
    if (!answer.ok) throw new Refusal(answer.status);
    return await answer.json();
  } finally {
    clearTimeout(timer);
  }
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
