/** One channel as a row (with its line) or as a tile (for a glance at all plots); both open the chart. */
import type { Signal } from "@preact/signals";
import type { Latest } from "../api/types";
import { nodeOf } from "../model/store";
import { decimalsOf } from "../quantities";
import { chartHref } from "../route";
import { channelName } from "../words";
import { AgeLine, Tags, useReadingState, Value } from "./reading";
import { Sparkline } from "./sparkline";

interface Props {
  channel: Signal<Latest>;
  /** Another node measures the same in this plot: say which one this is. */
  nameNode: boolean;
}

/** Least height of a sparkline, in steps of the last decimal shown. */
const SPARK_STEPS = 8;

export function ChannelRow({ channel, nameNode }: Props) {
  const latest = channel.value;
  const state = useReadingState(channel);
  return (
    <a class="channel" href={chartHref(latest)} data-testid={testId(latest)} data-state={state}>
      <span class="channel-name">
        {channelName(latest)} <Tags latest={latest} state={state} />
      </span>
      <Value latest={latest} />
      <span class="channel-note">
        {nameNode && `${nodeOf(latest.node)?.name ?? latest.node} · `}
        <AgeLine latest={latest} state={state} />
      </span>
      <Sparkline hours={latest.spark} span={SPARK_STEPS * 10 ** -decimalsOf(latest.quantity)} />
    </a>
  );
}

export function ChannelTile({ channel, nameNode }: Props) {
  const latest = channel.value;
  const state = useReadingState(channel);
  return (
    <a class="tile" href={chartHref(latest)} data-testid={testId(latest)} data-state={state}>
      <span class="channel-name">{channelName(latest)}</span>
      <Value latest={latest} />
      <span class="channel-note">
        {nameNode && `${nodeOf(latest.node)?.name ?? latest.node} · `}
        <AgeLine latest={latest} state={state} />
      </span>
      <Tags latest={latest} state={state} />
    </a>
  );
}

const testId = (latest: Latest): string => `channel-${latest.node}-${latest.channel}`;
