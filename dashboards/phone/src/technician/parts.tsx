/** What the technician's pages are made of: fields, what came out of a change, a question before it. */
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Refusal } from "../api/client";
import { signAs, who } from "./api";
import { reasonWords, say, sayMaybe, WORDS } from "./words";

interface FieldProps {
  name: string;
  label: string;
  value: Signal<string>;
  why?: string;
  secret?: boolean;
  numeric?: boolean;
}

export function Field({ name, label, value, why, secret = false, numeric = false }: FieldProps) {
  const set = (event: { currentTarget: HTMLInputElement }) => {
    value.value = event.currentTarget.value;
  };
  const common = { name, autocomplete: "off", autocapitalize: "off", spellcheck: false, value: value.value, onInput: set } as const;
  return (
    <label class="field">
      <span>{label}</span>
      {secret ? <input type="password" {...common} /> : <input type="text" inputMode={numeric ? "decimal" : undefined} {...common} />}
      {why !== undefined && <small>{why}</small>}
    </label>
  );
}

interface ChoiceProps {
  name: string;
  label: string;
  value: Signal<string>;
  options: { value: string; text: string; disabled?: boolean }[];
}

export function Choice({ name, label, value, options }: ChoiceProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <select name={name} value={value.value} onChange={(event) => (value.value = event.currentTarget.value)}>
        {options.map((o) => (
          <option key={o.value} value={o.value} disabled={o.disabled}>
            {o.text}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Who signs; kept for the next change. */
export function Who() {
  const name = useSignal(who.peek());
  return (
    <label class="field">
      <span>{say("who")}</span>
      <input
        name="who"
        autocomplete="name"
        value={name.value}
        onInput={(event) => {
          name.value = event.currentTarget.value;
          signAs(name.value.trim());
        }}
      />
      <small>{say("who.why")}</small>
    </label>
  );
}

export type Doing = { state: "idle" } | { state: "busy" } | { state: "failed"; error: unknown };

/** Does something, and keeps how it went. One at a time. */
export function useDoing(): [Signal<Doing>, (work: () => Promise<void>) => void] {
  const doing = useSignal<Doing>({ state: "idle" });
  const run = (work: () => Promise<void>): void => {
    if (doing.peek().state === "busy") return;
    doing.value = { state: "busy" };
    work().then(
      () => (doing.value = { state: "idle" }),
      (error: unknown) => (doing.value = { state: "failed", error }),
    );
  };
  return [doing, run];
}

/** What went wrong, in the page's language; the gateway's own words are English and stand apart. */
export function Outcome({ doing }: { doing: Signal<Doing> }) {
  const now = doing.value;
  return (
    <div role="status" data-testid="outcome" data-state={now.state}>
      {now.state === "busy" && <p class="busy">{say("busy")}</p>}
      {now.state === "failed" && <Failed error={now.error} />}
    </div>
  );
}

export function Failed({ error }: { error: unknown }) {
  if (!(error instanceof Refusal)) {
    return (
      <p class="tech-bad">
        <b>{say("failed")}</b> {say("unreachable")}
      </p>
    );
  }
  const words = sayMaybe("error", error.code) ?? (`reason.${error.code}` in WORDS.en ? reasonWords(error.code) : say("failed"));
  return (
    <div class="tech-bad">
      <p>
        <b>{words}</b>
      </p>
      <Detail text={error.detail} />
    </div>
  );
}

export function Detail({ text }: { text: string }) {
  if (text === "") return null;
  return (
    <details>
      <summary>{say("detail")}</summary>
      <pre lang="en">{text}</pre>
    </details>
  );
}

interface SureProps {
  name: string;
  label: string;
  question: string;
  act: () => void;
}

/** A button whose second touch, after a question, does it. */
export function Sure({ name, label, question, act }: SureProps) {
  const asked = useSignal(false);
  if (!asked.value) {
    return (
      <button type="button" class="button" data-testid={name} onClick={() => (asked.value = true)}>
        {label}
      </button>
    );
  }
  return (
    <div class="sure" role="alert">
      <p>{question}</p>
      <div class="row">
        <button
          type="button"
          class="button danger"
          data-testid={`${name}-sure`}
          onClick={() => {
            asked.value = false;
            act();
          }}
        >
          {label}
        </button>
        <button type="button" class="button" onClick={() => (asked.value = false)}>
          {say("cancel")}
        </button>
      </div>
    </div>
  );
}

export function Box({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="card tech-box">
      <h3>{title}</h3>
      {children}
    </section>
  );
}
