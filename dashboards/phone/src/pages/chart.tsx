/** One channel over a day, a week or a month. */
import { useSignal, type Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { History, Latest } from "../api/types";
import { Chart } from "../chart/chart";
import { SPAN_NAMES, SPANS, type Span } from "../chart/spans";
import { Summary } from "../chart/summary";
import { type Loading, useHistory } from "../chart/use-history";
import { t } from "../i18n";
import { withNewest } from "../model/gaps";
import { stats } from "../model/stats";
import { channelOf, nodeOf, plotOf } from "../model/store";
import { BackIcon } from "../parts/icons";
import { Busy, Notice } from "../parts/notice";
import { AgeLine, Tags, useReadingState, Value } from "../parts/reading";
import { backHref } from "../route";
import { channelName, faultWords, inSentence, nodeName } from "../words";
import "../style/chart.css";

interface Props {
  node: string;
  channel: string;
}

export function ChartPage({ node, channel }: Props) {
  const span = useSignal<Span>("day");
  const { loading, retry } = useHistory(node, channel, span.value);
  const live = channelOf(node, channel);
  const quantity = live?.value.quantity ?? channel.replace(/_\d$/, "");
  return (
    <div class="chart-page">
      <a class="back" href={backHref.value}>
        <BackIcon />
        {t("chart.back")}
      </a>
      <h1>{channelName({ quantity, channel })}</h1>
      <p class="chart-place">{[plotOf(live?.value.plot ?? null)?.name, nodeName(nodeOf(node)?.name ?? node)].filter(Boolean).join(" · ")}</p>
      {live && <Now channel={live} />}
      <SpanChoice span={span} />
      <Content loading={loading} retry={retry} latest={live?.value} quantity={quantity} channel={channel} span={span.value} />
    </div>
  );
}

function Now({ channel }: { channel: Signal<Latest> }) {
  const latest = channel.value;
  const state = useReadingState(channel);
  const fault = latest.fault === null ? null : faultWords(latest.fault);
  return (
    <>
      <p class="now" data-state={state}>
        <Value latest={latest} /> <Tags latest={latest} state={state} /> <AgeLine latest={latest} state={state} />
      </p>
      {fault && (
        <p class="now-fault">
          {fault.what} {fault.todo}
        </p>
      )}
    </>
  );
}

function SpanChoice({ span }: { span: Signal<Span> }) {
  return (
    <div class="spans" role="group" aria-label={t("chart.range")}>
      {SPAN_NAMES.map((name) => (
        <button
          type="button"
          data-testid={`range-${name}`}
          aria-pressed={span.value === name}
          onClick={() => (span.value = name)}
        >
          {t(SPANS[name].label)}
        </button>
      ))}
    </div>
  );
}

interface ContentProps {
  loading: Loading;
  retry: () => void;
  latest: Latest | undefined;
  quantity: string;
  channel: string;
  span: Span;
}

function Content({ loading, retry, latest, quantity, channel, span }: ContentProps) {
  if (loading.state === "busy") return <Busy />;
  if (loading.state === "failed") return <Notice title={t("chart.failed")} text={t("chart.failed.do")} retry={retry} />;
  if (loading.state === "unknown") return <Notice title={t("chart.unknown")} text={t("chart.unknown.do")} />;
  const range = t(SPANS[loading.span].over);
  const label = t("chart.label", { quantity: inSentence(channelName({ quantity, channel })), range });
  const found = stats(loading.history);
  if (found === null) return <Notice title={t("chart.empty", { range })} text={t("chart.empty.do")} />;
  return (
    <div class="card" aria-busy={loading.span !== span} data-span={loading.span}>
      <Picture history={loading.history} latest={latest} quantity={quantity} label={label} />
      <Summary caption={label} latest={latest} stats={found} quantity={quantity} unit={loading.history.unit} now={loading.history.to} />
    </div>
  );
}

interface PictureProps {
  history: History;
  latest: Latest | undefined;
  quantity: string;
  label: string;
}

/** Drawn anew with each history, not with each reading: a finger on the chart keeps its place. */
function Picture({ history, latest, quantity, label }: PictureProps) {
  const shown = useMemo(() => withNewest(history, latest?.at ?? 0, latest?.value ?? null, latest?.estimated ?? false), [history]);
  // Not of `shown`: the newest reading is in its last bucket, too.
  const estimated = history.estimated.reduce((sum, n) => sum + n, 0);
  return <Chart history={shown} estimated={estimated} quantity={quantity} label={label} />;
}
