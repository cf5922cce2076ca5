/**
 * Keeps the store up to date: one overview, then the event stream; when either fails, again, with growing pauses.
 *
 * Only a failed request says that the gateway is lost: a stream that breaks is tried again first, so a short dip of the
 * link is never shown. The reverse holds too: a link that swallows packets breaks nothing, so silence is checked up on.
 */
import { applyLatest, applyOverview, connection, heard, lost, system, tick } from "../model/store";
import { backoff } from "./backoff";
import { getAbout, getOverview, openStream } from "./client";
import { readLatestList } from "./read";
import type { Latest } from "./types";

const TICK_MS = 5_000;
/** The stream says nothing while no reading comes; after this the gateway is asked whether it is there. */
const SILENCE_MS = 40_000;
/** Sparklines and the nodes' state come with the overview only. */
const REFRESH_MS = 10 * 60_000;
/** New channels tend to come together: one overview for all that come within this. */
const NEWCOMER_DELAY_MS = 500;

let stream: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
let newcomer: ReturnType<typeof setTimeout> | undefined;
let failures = 0;
let busy = false;
let heardAt = 0;
let overviewAt = 0;

function alive(now: number): void {
  heardAt = Date.now();
  heard(now);
}

async function refresh(): Promise<void> {
  applyOverview(await getOverview());
  heardAt = overviewAt = Date.now();
}

/** Overview and stream from the start. Also what the "try again" button does. */
export async function connect(): Promise<void> {
  if (busy) return;
  busy = true;
  clearTimeout(retry);
  closeStream();
  try {
    await refresh();
    listen();
  } catch {
    lost();
    tryLater();
  } finally {
    busy = false;
  }
}

function tryLater(): void {
  clearTimeout(retry);
  retry = setTimeout(() => void connect(), backoff(failures++, Math.random()));
}

function closeStream(): void {
  stream?.close();
  stream = null;
}

function listen(): void {
  const opened = openStream();
  stream = opened;
  opened.addEventListener("open", () => {
    failures = 0;
  });
  opened.addEventListener("latest", (event) => {
    take(event.data);
  });
  opened.addEventListener("error", () => {
    if (stream !== opened) return;
    closeStream();
    tryLater();
  });
}

function take(data: unknown): void {
  let list: Latest[];
  let now = 0;
  try {
    const entries: unknown = JSON.parse(String(data));
    list = readLatestList(entries);
    // The gateway's clock at the time of sending.
    for (const entry of Array.isArray(entries) ? entries : []) now = Math.max(now, Number(entry?.at) + Number(entry?.age_ms) || 0);
  } catch {
    return;
  }
  if (now > 0) alive(now);
  if (!applyLatest(list)) {
    // Counted from the first newcomer: a stream that never pauses must not put this off for ever.
    newcomer ??= setTimeout(() => {
      newcomer = undefined;
      void refresh().catch(() => undefined);
    }, NEWCOMER_DELAY_MS);
  }
}

async function checkUp(): Promise<void> {
  heardAt = Date.now();
  try {
    // Silence may have a reason that the stream does not tell: a full disk.
    const about = await getAbout();
    alive(about.now);
    system.value = about.system;
  } catch {
    void connect();
  }
}

function everyTick(): void {
  tick();
  if (document.hidden || connection.peek() !== "live" || busy) return;
  if (Date.now() - overviewAt > REFRESH_MS) void refresh().catch(() => connect());
  else if (Date.now() - heardAt > SILENCE_MS) void checkUp();
}

/** Starts the feed; it runs as long as the page. */
export function startFeed(): void {
  setInterval(everyTick, TICK_MS);
  addEventListener("online", () => void connect());
  addEventListener("offline", () => void checkUp());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    tick();
    // A phone that slept has a dead stream and doesn't know it.
    if (Date.now() - heardAt > TICK_MS || connection.peek() !== "live") void connect();
  });
  void connect();
}
