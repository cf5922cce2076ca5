/** What the server of the InfluxDB sink refused: why, since when, and again. */
import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { Refusal } from "../api/client";
import { getLetters, type Letters, type Outcome, resend, type Wanted } from "../api/letters";
import { t } from "../i18n";
import { connection, system } from "../model/store";
import { BackIcon, CheckIcon } from "../parts/icons";
import { LetterKind } from "../parts/letter-kind";
import { Busy, Notice, Unreachable } from "../parts/notice";
import { backHref } from "../route";
import { count } from "../words";
import "../style/code.css";
import "../style/letters.css";

/** What is under way or came out of it. */
type Sending = { state: "idle" } | { state: "busy" } | { state: "done"; outcome: Outcome } | { state: "failed" } | { state: "no-sink" };

export function LettersPage() {
  const letters = useSignal<Letters | null>(null);
  const failed = useSignal(false);
  const sending = useSignal<Sending>({ state: "idle" });

  const load = async () => {
    try {
      // The kinds; each fetches its own letters.
      letters.value = await getLetters(1);
      failed.value = false;
      system.value = { ...system.peek(), dead_letters: letters.value.total };
    } catch {
      failed.value = true;
    }
  };

  const send = async (wanted: Wanted) => {
    if (sending.peek().state === "busy") return;
    sending.value = { state: "busy" };
    try {
      sending.value = { state: "done", outcome: await resend(wanted) };
    } catch (error) {
      sending.value = { state: error instanceof Refusal && error.status === 404 ? "no-sink" : "failed" };
    }
    await load();
  };

  useSignalEffect(() => {
    if (connection.value === "live") void load();
  });

  return (
    <div class="letters">
      <a class="back" href={backHref.value}>
        <BackIcon />
        {t("chart.back")}
      </a>
      <h2>{t("letters.title")}</h2>
      <Result sending={sending} />
      <Content letters={letters.value} failed={failed.value} send={(wanted) => void send(wanted)} busy={sending.value.state === "busy"} />
    </div>
  );
}

interface ContentProps {
  letters: Letters | null;
  failed: boolean;
  send: (wanted: Wanted) => void;
  busy: boolean;
}

function Content({ letters, failed, send, busy }: ContentProps) {
  if (letters === null) return failed ? <Unreachable /> : <Busy />;
  if (letters.total === 0) return <Notice title={t("letters.none")} text={t("letters.none.do")} />;
  return (
    <div data-testid="letters">
      <p class="card notice">{t("letters.why")}</p>
      {letters.kinds.length > 1 && (
        <button type="button" class="button wide" data-testid="send-all" disabled={busy} onClick={() => send({})}>
          {t("letters.sendAll")}
        </button>
      )}
      {letters.kinds.map((kind) => (
        <LetterKind key={kind.reason} kind={kind} of={letters} send={send} busy={busy} />
      ))}
    </div>
  );
}

/** Stays in sight: what was sent leaves the list, and with it the place where the button was. */
function Result({ sending }: { sending: Signal<Sending> }) {
  const now = sending.value;
  return (
    <div class="letters-result" role="status" data-testid="resent" data-state={now.state}>
      {now.state === "busy" && <p class="card notice busy">{t("letters.sending")}</p>}
      {now.state === "failed" && <Told good={false} title={t("letters.failed")} text={t("letters.failed.do")} />}
      {now.state === "no-sink" && <Told good={false} title={t("letters.failed")} text={t("letters.noSink")} />}
      {now.state === "done" && <Done outcome={now.outcome} />}
    </div>
  );
}

function Done({ outcome: { sent, refused, left, problem } }: { outcome: Outcome }) {
  const parts = [
    sent > 0 && t("letters.sent", { count: count(sent) }),
    refused > 0 && t("letters.refused", { count: count(refused) }),
    left > 0 && t("letters.left", { count: count(left) }),
  ].filter(Boolean);
  // Somebody else was faster.
  if (parts.length === 0) return null;
  return <Told good={refused + left === 0} title={parts.join(" · ")} text={left > 0 ? t("letters.failed.do") : undefined} problem={problem} />;
}

interface ToldProps {
  good: boolean;
  title: string;
  text?: string;
  problem?: string | null;
}

function Told({ good, title, text, problem }: ToldProps) {
  return (
    <section class={good ? "todo todo-calm" : "todo todo-warn"}>
      {good && <CheckIcon />}
      <div>
        <h3>{title}</h3>
        {text !== undefined && <p>{text}</p>}
        {problem && <pre lang="en">{problem}</pre>}
      </div>
    </section>
  );
}
