/**
 * The calibration wizard: the raw value as it comes, a point when it is steady and somebody has read the reference, the line
 * that the points make, a name, and then whether the node took it. The gateway checks the points as the node does.
 */
import { type Signal, useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { formatWhen } from "../format/time";
import { withUnit } from "../format/number";
import { clock } from "../model/store";
import { Busy, Unreachable } from "../parts/notice";
import { decimalsOf } from "../quantities";
import { age, decimal, duration, faultWords, quantityName, reading } from "../words";
import { type Calibration, calibrate, type ChannelState, type ConfigState, configure, getChannel, getConfig, mayChange, type Point } from "./api";
import { configWords } from "./list";
import { Box, Choice, Field, Outcome, useDoing, Who } from "./parts";
import { type CurveOf, curvesOf, line, median, saw, type Seen, steady, typed } from "./wizard";
import { say, sayMaybe } from "./words";

const POLL_MS = 2_000;
/** How often a node measures while somebody stands beside it. */
const FAST_S = 5;

export function CalibratePage({ node, channel }: { node: string; channel: string }) {
  const quantity = channel.replace(/_\d$/, "");
  const state = useSignal<ChannelState | null>(null);
  const config = useSignal<ConfigState | null>(null);
  const seen = useSignal<Seen[]>([]);
  /** Samples up to here belong to the point before. */
  const since = useSignal(0);
  const failed = useSignal(false);
  useEffect(() => {
    let gone = false;
    const load = async () => {
      if (document.hidden) return;
      try {
        const [now, orders] = await Promise.all([getChannel(node, channel), getConfig(node)]);
        if (gone) return;
        state.value = now;
        config.value = orders;
        if (now.raw !== null && now.raw.at > since.peek()) seen.value = saw(seen.peek(), { at: now.raw.at, raw: now.raw.value });
        failed.value = false;
      } catch {
        failed.value = true;
      }
    };
    void load();
    const timer = setInterval(() => void load(), POLL_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [node, channel]);
  if (state.value === null) return failed.value ? <Unreachable /> : <Busy />;
  const title = say("cal.title", { channel: quantityName(quantity) });
  return (
    <>
      <h2>{title}</h2>
      {failed.value && <Unreachable />}
      <Live state={state.value} seen={seen.value} quantity={quantity} />
      {mayChange.value === true && config.value !== null && <Pace node={node} config={config.value} />}
      {mayChange.value === true && <Wizard node={node} channel={channel} quantity={quantity} state={state.value} seen={seen} since={since} config={config} />}
      <Earlier calibrations={state.value.calibrations} />
    </>
  );
}

function Live({ state, seen, quantity }: { state: ChannelState; seen: Seen[]; quantity: string }) {
  const { raw, live } = state;
  const now = raw === null ? "few" : steady(seen, raw.age_ms, state.sample_every_s);
  return (
    <Box title={say("cal.raw")}>
      {raw === null ? (
        <p data-testid="raw" data-state="none">
          {say("cal.raw.none")}
        </p>
      ) : (
        <>
          <p class="tech-figure" data-testid="raw" data-state={now}>
            <data value={raw.value}>{decimal(raw.value, 2)}</data> <small>{age(raw.age_ms)}</small>
          </p>
          <p class="tech-dim">{say(`cal.raw.from.${raw.from}`)}</p>
          <p class="tech-state" data-state={now === "yes" ? "in" : "waiting"}>
            {say(`cal.steady.${now}`)}
          </p>
        </>
      )}
      {live !== null && (
        <p>
          {say("cal.now")}: {live.value !== null ? reading(live.value, quantity, state.unit) : faultWords(live.fault ?? "other").what}
        </p>
      )}
      <p class="tech-dim">{say("cal.every", { duration: duration(state.sample_every_s * 1000) })}</p>
    </Box>
  );
}

/** A node that measures each quarter of an hour is no company: it measures faster while somebody waits, and slower again. */
function Pace({ node, config: { wanted } }: { node: string; config: ConfigState }) {
  const [doing, run] = useDoing();
  const usual = useSignal<number | null>(null);
  const every = wanted.config.sample_every_s;
  const send = useSignal(wanted.config.send_every_s);
  const set = (sample_every_s: number, send_every_s: number) =>
    run(async () => {
      await configure(node, { ...wanted.config, sample_every_s, send_every_s }, wanted.version);
    });
  return (
    <>
      <Outcome doing={doing} />
      {every > FAST_S && (
        <button
          type="button"
          class="button wide"
          data-testid="faster"
          onClick={() => {
            usual.value = every;
            send.value = wanted.config.send_every_s;
            set(FAST_S, 0);
          }}
        >
          {say("cal.faster")}
        </button>
      )}
      {every <= FAST_S && usual.value !== null && (
        <button type="button" class="button wide" data-testid="slower" onClick={() => set(usual.peek() ?? every, send.peek())}>
          {say("cal.slower", { duration: duration(usual.value * 1000) })}
        </button>
      )}
    </>
  );
}

interface WizardProps {
  node: string;
  channel: string;
  quantity: string;
  state: ChannelState;
  seen: Signal<Seen[]>;
  since: Signal<number>;
  config: Signal<ConfigState | null>;
}

function Wizard({ node, channel, quantity, state, seen, since, config }: WizardProps) {
  const curves = curvesOf(quantity, state.raw?.from === "probe");
  const chosen = useSignal(state.calibrations[0]?.curve ?? curves[0]?.name ?? "linear");
  const points = useSignal<Point[]>([]);
  const saved = useSignal<{ version: number } | null>(null);
  const curve = curves.find(({ name }) => name === chosen.value) ?? curves[0];
  const startAgain = () => {
    points.value = [];
    saved.value = null;
  };
  if (curve === undefined) return null;
  if (saved.value !== null) return <Saved version={saved.value.version} config={config} again={startAgain} />;
  const [least, most] = curve.points;
  return (
    <Box title={say("cal.point", { n: Math.min(points.value.length + 1, most) })}>
      {points.value.length === 0 && (
        <Choice name="curve" label={say("cal.curve")} value={chosen} options={curves.map(({ name }) => ({ value: name, text: say(`curve.${name}`) }))} />
      )}
      <ol class="points">
        {points.value.map((point, i) => (
          <li key={i} data-testid={`point-${i + 1}`}>
            {say("cal.taken", { raw: decimal(point.raw, 2), value: reading(point.value, quantity, state.unit) })}
          </li>
        ))}
      </ol>
      {points.value.length < most && <Take key={points.value.length} n={points.value.length + 1} curve={curve} quantity={quantity} state={state} seen={seen} since={since} points={points} />}
      {points.value.length >= least && (
        <Review node={node} channel={channel} curve={curve} quantity={quantity} unit={state.unit} points={points.value} saved={(version) => (saved.value = { version })} />
      )}
      {points.value.length > 0 && (
        <button type="button" class="button" data-testid="again" onClick={startAgain}>
          {say("cal.again")}
        </button>
      )}
    </Box>
  );
}

interface TakeProps {
  n: number;
  curve: CurveOf;
  quantity: string;
  state: ChannelState;
  seen: Signal<Seen[]>;
  since: Signal<number>;
  points: Signal<Point[]>;
}

function Take({ n, curve, quantity, state, seen, since, points }: TakeProps) {
  const reference = useSignal("");
  const measured = state.raw?.temperature ?? null;
  const temperature = useSignal(measured === null ? "25" : String(Math.round(measured * 10) / 10));
  const isSteady = useComputed(() => steady(seen.value, 0, state.sample_every_s) === "yes");
  const isNew = state.raw !== null && steady(seen.value, state.raw.age_ms, state.sample_every_s) !== "old";
  const value = typed(reference.value);
  const take = () => {
    if (value === null) return;
    const celsius = typed(temperature.peek());
    points.value = [
      ...points.peek(),
      { raw: median(seen.peek()), value, ...(curve.temperature && celsius !== null ? { temperature: celsius } : {}) },
    ];
    // The next point is another water or another soil.
    since.value = seen.peek().at(-1)?.at ?? 0;
    seen.value = [];
  };
  return (
    <div class="tech-form">
      <Field name="reference" label={say("cal.reference", { unit: withUnit("", state.unit).trim() || quantityName(quantity) })} value={reference} numeric />
      {curve.temperature && <Field name="temperature" label={say("cal.temperature")} value={temperature} numeric />}
      <button type="button" class="button" data-testid="take" disabled={value === null || !isSteady.value || !isNew} onClick={take}>
        {say("cal.take", { n })}
      </button>
    </div>
  );
}

interface ReviewProps {
  node: string;
  channel: string;
  curve: CurveOf;
  quantity: string;
  unit: string;
  points: Point[];
  saved: (version: number) => void;
}

function Review({ node, channel, curve, quantity, unit, points, saved }: ReviewProps) {
  const [doing, run] = useDoing();
  const found = line(curve.name, points);
  return (
    <div class="tech-form" data-testid="review" data-state={found?.verdict ?? "ok"}>
      {found !== null && (
        <>
          <h4>{say("cal.line")}</h4>
          <Drawing points={points} />
          <p>{say("cal.slope", { raw: decimal(found.slope, 2), unit: withUnit("1", unit) })}</p>
          {found.idealPercent !== null && <p>{say("cal.ideal", { percent: decimal(found.idealPercent, 0) })}</p>}
          <p>{say("cal.residual", { residual: withUnit(decimal(found.residual, decimalsOf(quantity) + 1), unit) })}</p>
          <p class={found.verdict === "ok" ? "tech-state" : "tech-bad"} data-state="in">
            {found.verdict === "ok" ? say("cal.ok") : say(`cal.bad.${found.verdict}`)}
          </p>
        </>
      )}
      <Who />
      <Outcome doing={doing} />
      <button
        type="button"
        class="button"
        data-testid="save-calibration"
        onClick={() => run(async () => saved((await calibrate(node, channel, curve.name, points)).version))}
      >
        {say("cal.save")}
      </button>
    </div>
  );
}

/** The two points and the line through them; raw goes up, the quantity to the right. */
function Drawing({ points }: { points: Point[] }) {
  const [a, b] = points;
  if (a === undefined || b === undefined) return null;
  const [w, h, edge] = [280, 120, 24];
  const x = (value: number) => (a.value === b.value ? w / 2 : edge + ((value - Math.min(a.value, b.value)) / Math.abs(a.value - b.value)) * (w - 2 * edge));
  const y = (raw: number) => (a.raw === b.raw ? h / 2 : h - edge - ((raw - Math.min(a.raw, b.raw)) / Math.abs(a.raw - b.raw)) * (h - 2 * edge));
  return (
    <svg class="drawing" viewBox={`0 0 ${w} ${h}`} aria-hidden="true">
      <line x1={x(a.value)} y1={y(a.raw)} x2={x(b.value)} y2={y(b.raw)} />
      {points.map((p, i) => (
        <circle key={i} cx={x(p.value)} cy={y(p.raw)} r="6" />
      ))}
    </svg>
  );
}

function Saved({ version, config, again }: { version: number; config: Signal<ConfigState | null>; again: () => void }) {
  const now = config.value;
  return (
    <section class="card tech-box" role="status" data-testid="cal-saved" data-state={now !== null && now.wanted.version >= version ? now.state : "waiting"}>
      <p>{say("plan.saved", { version })}</p>
      {now !== null && <p>{configWords(now)}</p>}
      <button type="button" class="button" onClick={again}>
        {say("cal.again")}
      </button>
    </section>
  );
}

function Earlier({ calibrations }: { calibrations: Calibration[] }) {
  return (
    <Box title={say("cal.history")}>
      {calibrations.length === 0 && <p class="tech-dim">{say("cal.history.none")}</p>}
      <ul data-testid="calibrations">
        {calibrations.map((c) => (
          <li key={c.version}>
            {say("plan.history.line", { version: c.version, when: formatWhen(c.at, clock.value), who: c.who })}
            <p class="tech-dim">
              {sayMaybe("curve", c.curve)} · {c.points.map((p) => `${decimal(p.raw, 2)} → ${decimal(p.value, 2)}`).join(" · ")}
            </p>
          </li>
        ))}
      </ul>
    </Box>
  );
}
