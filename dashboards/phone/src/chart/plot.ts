/**
 * Draws a history with uPlot: the mean as a line, lowest to highest as a band around it, gaps open, a mark on the time axis
 * where the sensor only reported faults, another along the top where times are estimated, and the last value named. Knows nothing of Preact.
 */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { History } from "../api/types";
import { FARM_ZONE, formatDate, formatTime } from "../format/time";
import { estimatedTimes, faultTimes, isolated, withGaps } from "../model/gaps";
import { stepDecimals, timeLabel, valueRange } from "./scale";

export interface Picture {
  history: History;
  decimals: number;
  /** A number as it stands on the axis. */
  figure: (value: number, decimals: number) => string;
  /** A number with its unit, as it stands at the last point. */
  reading: (value: number) => string;
  /** The point under the finger, or null. */
  onRead: (index: number | null, columns: ReturnType<typeof withGaps>) => void;
}

const HEIGHT = 260;
const MEAN = 1;
const MAX = 2;
const MIN = 3;

export function drawPlot(host: HTMLElement, picture: Picture): () => void {
  const { history, decimals, figure, onRead } = picture;
  const columns = withGaps(history);
  const colour = (name: string): string => getComputedStyle(host).getPropertyValue(name).trim();
  const [ink, line, mean, band, bad, stale] = [colour("--dim"), colour("--line"), colour("--leaf"), colour("--band"), colour("--bad"), colour("--stale")];
  const font = (px: number, weight = 400) => `${weight} ${px}px ${getComputedStyle(host).fontFamily}`;

  const axis = { stroke: ink, font: font(13), grid: { stroke: line, width: 1 }, ticks: { show: false } };
  const hidden = { stroke: "transparent", width: 0, points: { show: false } };

  const plot = new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      ms: 1,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), FARM_ZONE),
      padding: [16, 12, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        dataIdx: (u, series, closest) => nearest(u.data[series] ?? [], closest),
        points: { show: (u, series) => (series === MEAN ? cursorPoint(u, mean) : (undefined as unknown as HTMLElement)) },
      },
      scales: {
        x: { time: true, range: [history.from, history.to] },
        y: { range: (_, low, high) => valueRange(low, high, decimals) },
      },
      axes: [
        {
          ...axis,
          space: 58,
          size: 34,
          values: (_, splits, __, ___, step) => splits.map((ms) => timeLabel(ms, step, formatTime, formatDate)),
        },
        {
          ...axis,
          space: 40,
          size: (_, values) => 14 + 8.5 * Math.max(2, ...(values ?? []).map((text) => text.length)),
          values: (_, splits, __, ___, step) => splits.map((value) => axisFigure(value, step, decimals, figure)),
        },
      ],
      series: [
        {},
        { stroke: mean, width: 2, points: { show: true, size: 5, fill: mean, filter: () => isolated(columns.mean) } },
        hidden,
        hidden,
      ],
      bands: [{ series: [MAX, MIN], fill: band }],
      hooks: {
        draw: [
          (u) => mark(u, faultTimes(history), history.bucket_ms, bad, "bottom"),
          (u) => mark(u, estimatedTimes(history), history.bucket_ms, stale, "top"),
          (u) => nameLast(u, picture, mean, colour("--ink"), colour("--card"), font),
        ],
        setCursor: [(u) => onRead(u.cursor.left !== undefined && u.cursor.left >= 0 ? (u.cursor.idxs?.[MEAN] ?? null) : null, columns)],
      },
    },
    [columns.t, columns.mean, columns.max, columns.min],
    host,
  );

  followFinger(plot);
  const resized = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: HEIGHT }));
  resized.observe(host);
  return () => {
    resized.disconnect();
    plot.destroy();
  };
}

/** Steps finer than the sensor's decimals would repeat a label; they stay empty instead. */
function axisFigure(value: number, step: number, decimals: number, figure: Picture["figure"]): string {
  const finest = 10 ** -decimals;
  const off = Math.abs(value / finest - Math.round(value / finest));
  return step < finest && off > 1e-6 ? "" : figure(value, stepDecimals(step, decimals));
}

/** The closest entry with a value: a finger in a gap reads its edge. */
function nearest(values: ArrayLike<number | null | undefined>, closest: number): number {
  for (let away = 0; away < values.length; away++) {
    if (values[closest - away] != null) return closest - away;
    if (values[closest + away] != null) return closest + away;
  }
  return closest;
}

function cursorPoint(_: uPlot, colour: string): HTMLElement {
  const dot = document.createElement("div");
  dot.style.background = colour;
  return dot;
}

/** uPlot follows a mouse; a finger that slides along the chart sends no mouse events. */
function followFinger(plot: uPlot): void {
  const follow = (event: PointerEvent) => {
    if (event.pointerType !== "touch") return;
    const box = plot.over.getBoundingClientRect();
    plot.setCursor({ left: event.clientX - box.left, top: event.clientY - box.top });
  };
  plot.over.addEventListener("pointerdown", follow);
  plot.over.addEventListener("pointermove", follow);
}

/** A bar over each of the buckets at the plot's edge: which edge tells the marks apart without colours. */
function mark(u: uPlot, times: number[], bucket_ms: number, colour: string, edge: "top" | "bottom"): void {
  const { ctx, bbox } = u;
  const px = uPlot.pxRatio;
  const height = edge === "top" ? 4 * px : 6 * px;
  const y = edge === "top" ? bbox.top : bbox.top + bbox.height - height;
  ctx.save();
  ctx.fillStyle = colour;
  for (const time of times) {
    const left = u.valToPos(time, "x", true);
    const right = u.valToPos(time + bucket_ms, "x", true);
    ctx.fillRect(left, y, Math.max(right - left, 2 * px), height);
  }
  ctx.restore();
}

function nameLast(u: uPlot, picture: Picture, line: string, ink: string, paper: string, font: (px: number, weight?: number) => string): void {
  const [times = [], means = []] = u.data;
  let last = means.length - 1;
  while (last >= 0 && means[last] == null) last--;
  const value = means[last];
  const time = times[last];
  if (value == null || time === undefined) return;

  const { ctx, bbox } = u;
  const px = uPlot.pxRatio;
  const x = u.valToPos(time, "x", true);
  const y = u.valToPos(value, "y", true);
  ctx.save();
  ctx.fillStyle = line;
  ctx.beginPath();
  ctx.arc(x, y, 4 * px, 0, 2 * Math.PI);
  ctx.fill();

  const text = picture.reading(value);
  // The axes leave their own alignment behind.
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.font = font(14 * px, 700);
  const width = ctx.measureText(text).width;
  // Inside the plot at its right edge, above the point unless there is no room.
  const left = Math.min(Math.max(x - width / 2, bbox.left + 2 * px), bbox.left + bbox.width - width - 2 * px);
  const above = y - 12 * px;
  const base = above - 12 * px > bbox.top ? above : y + 24 * px;
  ctx.lineJoin = "round";
  ctx.lineWidth = 5 * px;
  ctx.strokeStyle = paper;
  ctx.strokeText(text, left, base);
  ctx.fillStyle = ink;
  ctx.fillText(text, left, base);
  ctx.restore();
}
