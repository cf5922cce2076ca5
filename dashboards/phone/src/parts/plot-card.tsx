/** A plot and its channels. */
import type { Signal } from "@preact/signals";
import type { Latest } from "../api/types";
import { cropWord, t } from "../i18n";
import { keyOf } from "../model/merge";
import { nodes, type PlotView } from "../model/store";
import { decimal, nodeName } from "../words";
import { ChannelRow, ChannelTile } from "./channel-row";

interface Props {
  plot: PlotView;
  /** Rows carry a line of the last day; tiles show more plots at once. */
  as: "rows" | "tiles";
}

export function PlotCard({ plot, as }: Props) {
  const Channel = as === "rows" ? ChannelRow : ChannelTile;
  return (
    <article class="card plot">
      <header class="plot-head">
        <h3>{plot.name}</h3>
        <p>{about(plot)}</p>
      </header>
      {plot.channels.length === 0 && <p class="plot-empty">{t("plots.empty")}</p>}
      <div class={as}>
        {plot.channels.map((channel) => (
          <Channel key={keyOf(channel.peek())} channel={channel} nameNode={isShared(channel, plot.channels)} />
        ))}
      </div>
      {as === "tiles" && <NodeNames plot={plot.id} />}
    </article>
  );
}

function NodeNames({ plot }: { plot: string }) {
  const names = nodes.value.filter((node) => node.plot === plot).map((node) => node.name);
  if (names.length === 0) return null;
  const [only] = names;
  return <p class="plot-foot">{names.length === 1 && only ? nodeName(only) : `${t("plots.nodes")}: ${names.join(", ")}`}</p>;
}

/** "Lúa · 0,5 ha" */
function about(plot: PlotView): string {
  const parts: string[] = [];
  if (plot.crop !== null) parts.push(cropWord(plot.crop));
  if (plot.area_ha !== null) parts.push(t("plots.area", { area: area(plot.area_ha) }));
  return parts.join(" · ");
}

/** A tenth of a hectare is enough, but for the smallest plots. */
const area = (ha: number): string => decimal(ha, Number.isInteger(Math.round(ha * 100) / 10) ? 1 : 2);

function isShared(channel: Signal<Latest>, all: Signal<Latest>[]): boolean {
  const { node, channel: name } = channel.peek();
  return all.some((other) => other.peek().channel === name && other.peek().node !== node);
}
