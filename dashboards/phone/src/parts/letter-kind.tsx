/** The refused points with one reason: the server's words once, then the points, newest first. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { getLetters, type Kind, type Letter, type LetterReading, type Letters, type Wanted } from "../api/letters";
import { formatWhen } from "../format/time";
import { t } from "../i18n";
import { clock, nodeOf } from "../model/store";
import { channelName, count, faultWords, nodeName, reading } from "../words";
import { EstimatedTag } from "./tag";

const AT_FIRST = 5;
/** What one answer of the gateway holds. */
const AT_MOST = 1_000;
const STEP = 50;

interface Props {
  kind: Kind;
  /** The answer that it stands in: with a new one, its letters are fetched again. */
  of: Letters;
  send: (wanted: Wanted) => void;
  busy: boolean;
}

export function LetterKind({ kind, of, send, busy }: Props) {
  const letters = useSignal<Letter[]>([]);
  const limit = useSignal(AT_FIRST);
  const asked = limit.value;
  useEffect(() => {
    let gone = false;
    getLetters(asked, kind.reason).then(
      (found) => {
        if (!gone) letters.value = found.letters;
      },
      // The reason and the button stay; the header says that the link is lost.
      () => undefined,
    );
    return () => {
      gone = true;
    };
  }, [asked, of]);
  const hidden = kind.total - letters.value.length;

  return (
    <section class="card letter-kind" data-testid="letter-kind">
      <h3>{t("letters.kind", { count: count(kind.total), time: formatWhen(kind.since, clock.value) })}</h3>
      <p class="letter-label">{t("letters.reason")}</p>
      <pre lang="en">{kind.reason}</pre>
      <button type="button" class="button wide" data-testid="send-kind" disabled={busy} onClick={() => send({ reason: kind.reason })}>
        {t("letters.sendKind")}
      </button>
      <ul>
        {letters.value.map((letter) => (
          <li key={letter.id} data-testid="letter">
            <LetterText letter={letter} />
            {kind.total > 1 && (
              <button type="button" class="button" data-testid="send-one" disabled={busy} onClick={() => send({ ids: [letter.id] })}>
                {t("letters.sendOne")}
              </button>
            )}
          </li>
        ))}
      </ul>
      {letters.value.length > 0 && hidden > 0 && asked < AT_MOST && (
        <button type="button" class="button wide" onClick={() => (limit.value = Math.min(asked + STEP, AT_MOST))}>
          {t("todo.more", { count: count(hidden) })}
        </button>
      )}
    </section>
  );
}

function LetterText({ letter }: { letter: Letter }) {
  const { node, at, readings } = letter;
  if (node === null || at === null) return <pre lang="en">{letter.line}</pre>;
  return (
    <div class="letter-text">
      <p>
        <b>{nodeName(nodeOf(node)?.name ?? node)}</b> <span class="letter-time">{formatWhen(at, clock.value)}</span>{" "}
        {readings.some(({ estimated }) => estimated) && <EstimatedTag />}
      </p>
      <ul>
        {readings.map((one) => (
          <li key={one.channel}>
            {channelName(one)}: <span class="letter-value">{valueText(one)}</span>
          </li>
        ))}
      </ul>
      <p class="letter-since">{t("letters.since", { time: formatWhen(letter.since, clock.value) })}</p>
    </div>
  );
}

function valueText({ value, fault, quantity, unit }: LetterReading): string {
  return value === null ? [t("channel.fault"), faultWords(fault ?? "other").what].join(". ") : reading(value, quantity, unit);
}
