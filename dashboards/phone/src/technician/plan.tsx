/** What a node shall do, as a form; saving makes a new version of it. */
import { type Signal, useSignal } from "@preact/signals";
import { configure, type Limit, type Order, type Plan } from "./api";
import { Field, Outcome, useDoing, Who } from "./parts";
import { say } from "./words";
import { typed } from "./wizard";

export function PlanForm({ node, order, saved }: { node: string; order: Order; saved: () => void }) {
  const { config } = order;
  const sample = useSignal(String(config.sample_every_s));
  const send = useSignal(String(config.send_every_s));
  const listen = useSignal(config.listen_s === null ? "" : String(config.listen_s));
  const channels = useSignal(config.channels.join(", "));
  const limits = useSignal<Limit[]>(config.limits);
  const [doing, run] = useDoing();
  const save = () =>
    run(async () => {
      const plan: Plan = {
        sample_every_s: typed(sample.peek()) ?? 0,
        send_every_s: typed(send.peek()) ?? 0,
        listen_s: typed(listen.peek()),
        channels: channels
          .peek()
          .split(/[\s,]+/)
          .filter((channel) => channel !== ""),
        limits: limits.peek().filter((limit) => limit.channel !== ""),
      };
      await configure(node, plan, order.version);
      saved();
    });
  return (
    <form
      class="tech-form"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <Field name="sample" label={say("plan.sample")} value={sample} numeric />
      <Field name="send" label={say("plan.send")} value={send} numeric />
      <Field name="listen" label={say("plan.listen")} value={listen} numeric />
      <Field name="channels" label={say("plan.channels")} value={channels} />
      <Limits limits={limits} />
      <Who />
      <Outcome doing={doing} />
      <button class="button" data-testid="save-config">
        {say("plan.save")}
      </button>
    </form>
  );
}

function Limits({ limits }: { limits: Signal<Limit[]> }) {
  const set = (at: number, change: Partial<Limit>) => {
    limits.value = limits.value.map((limit, i) => (i === at ? { ...limit, ...change } : limit));
  };
  const shown = (value: number | null) => (value === null ? "" : String(value));
  return (
    <fieldset class="limits">
      <legend>{say("plan.limits")}</legend>
      {limits.value.map((limit, i) => (
        <div class="limit" key={i}>
          <label class="field">
            <span>{say("plan.limit.channel")}</span>
            <input value={limit.channel} autocapitalize="off" onChange={(event) => set(i, { channel: event.currentTarget.value.trim() })} />
          </label>
          <label class="field">
            <span>{say("plan.limit.below")}</span>
            <input inputMode="decimal" value={shown(limit.below)} onChange={(event) => set(i, { below: typed(event.currentTarget.value) })} />
          </label>
          <label class="field">
            <span>{say("plan.limit.above")}</span>
            <input inputMode="decimal" value={shown(limit.above)} onChange={(event) => set(i, { above: typed(event.currentTarget.value) })} />
          </label>
          <button type="button" class="button" aria-label={say("plan.limit.drop")} onClick={() => (limits.value = limits.value.filter((_, at) => at !== i))}>
            ×
          </button>
        </div>
      ))}
      <button type="button" class="button" onClick={() => (limits.value = [...limits.value, { channel: "", below: null, above: null }])}>
        {say("plan.limit.add")}
      </button>
    </fieldset>
  );
}
