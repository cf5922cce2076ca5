/** Fetches what a chart shows, and again when its span changes, when new readings come and when the link returns. */
import { useSignal, useSignalEffect } from "@preact/signals";
import { getHistory, Refusal } from "../api/client";
import type { History } from "../api/types";
import { channelOf, clock, connection } from "../model/store";
import { SPANS, type Span } from "./spans";

export type Loading =
  | { state: "busy" }
  | { state: "ready"; span: Span; history: History }
  | { state: "unknown" }
  | { state: "failed" };

/** One point per pixel of a phone, about; more can't be seen. */
const BUCKETS = 300;
/** A chart of hours needn't follow every second. */
const AGAIN_AFTER_MS = 60_000;

export function useHistory(node: string, channel: string, span: Span) {
  const loading = useSignal<Loading>({ state: "busy" });
  const wanted = useSignal(span);
  const fetched = useSignal<{ span: Span; at: number } | null>(null);
  wanted.value = span;

  const load = async (asked: Span): Promise<void> => {
    fetched.value = { span: asked, at: Date.now() };
    const to = clock.peek();
    try {
      const history = await getHistory(node, channel, to - SPANS[asked].ms, to, BUCKETS);
      if (wanted.peek() === asked) loading.value = { state: "ready", span: asked, history };
    } catch (error) {
      if (wanted.peek() !== asked) return;
      const unknown = error instanceof Refusal && error.status < 500;
      // A chart that is on screen stays when it can't be renewed; the header says that the link is lost.
      const shown = loading.peek();
      if (unknown) loading.value = { state: "unknown" };
      else if (shown.state !== "ready" || shown.span !== asked) loading.value = { state: "failed" };
    }
  };

  useSignalEffect(() => {
    // Read so that the effect runs again with each new reading and with each change of the link.
    channelOf(node, channel)?.value;
    const reachable = connection.value === "live";
    const asked = wanted.value;
    const last = fetched.peek();
    const due = last === null || last.span !== asked || Date.now() - last.at > AGAIN_AFTER_MS;
    const recovered = reachable && loading.peek().state === "failed";
    if (connection.value !== "connecting" && (due || recovered)) void load(asked);
  });

  return { loading: loading.value, retry: () => void load(span) };
}
