/** The last 24 hours in a thumbnail: shape only, so it is hidden from screen readers, who get the chart's table. */
import { runs } from "../model/gaps";

const WIDTH = 84;
const HEIGHT = 34;
const PAD = 3;
/** Hours across the width, also when fewer are known yet: the line then starts in the middle. */
const HOURS = 24;

export interface Stroke {
  /** SVG path; null for a lone point, which is a dot. */
  path: string | null;
  x: number;
  y: number;
}

/** `span` is the least height in units of the quantity: a steady value must not look like a mountain range. */
export function strokes(hours: (number | null)[], span: number): Stroke[] {
  const values = hours.filter((value) => value !== null);
  if (values.length === 0) return [];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const range = Math.max(high - low, span);
  const middle = (low + high) / 2;
  const skipped = HOURS - hours.length;
  const x = (i: number) => round(PAD + ((i + skipped) / (HOURS - 1)) * (WIDTH - 2 * PAD));
  const y = (value: number) => round(HEIGHT / 2 - ((value - middle) / range) * (HEIGHT - 2 * PAD));
  return runs(hours).map((run) => {
    const points = run.map(([i, value]) => `${x(i)} ${y(value)}`);
    const [lastX, lastY] = run[run.length - 1] ?? [0, middle];
    return { path: points.length > 1 ? `M${points.join("L")}` : null, x: x(lastX), y: y(lastY) };
  });
}

const round = (value: number): number => Math.round(value * 10) / 10;

export function Sparkline({ hours, span }: { hours: (number | null)[] | null; span: number }) {
  const lines = strokes((hours ?? []).slice(-HOURS), span);
  const last = lines[lines.length - 1];
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" focusable="false">
      <line class="spark-base" x1={PAD} x2={WIDTH - PAD} y1={HEIGHT - 1} y2={HEIGHT - 1} />
      {lines.map((line) =>
        line.path === null ? <circle class="spark-dot" cx={line.x} cy={line.y} r="1.6" /> : <path d={line.path} />,
      )}
      {last && <circle class="spark-dot" cx={last.x} cy={last.y} r="2.6" />}
    </svg>
  );
}
