/** The points that the server of the InfluxDB sink refused: their shapes, reading and requests. Comes with its page. */
import { get, post } from "./client";
import { isObject, list, number, numberOrNull, object, text, textOrNull } from "./read";

/** One value of a refused point. */
export interface LetterReading {
  channel: string;
  quantity: string;
  /** UCUM code. */
  unit: string;
  value: number | null;
  fault: string | null;
  estimated: boolean;
}

export interface Letter {
  id: number;
  /** When it was refused first. */
  since: number;
  /** null when the gateway can't read its own line any more; `line` says it then. */
  node: string | null;
  /** When it was measured. */
  at: number | null;
  readings: LetterReading[];
  line: string;
  reason: string;
}

/** What was refused with the same words. */
export interface Kind {
  reason: string;
  total: number;
  since: number;
}

export interface Letters {
  total: number;
  kinds: Kind[];
  letters: Letter[];
}

/** Which to send again: one, all of a kind, or all. */
export type Wanted = { ids: number[] } | { reason: string } | Record<string, never>;

/** What became of them. */
export interface Outcome {
  sent: number;
  refused: number;
  left: number;
  problem: string | null;
}

/** The gateway sends up to 5 000 points, and each that is refused again costs a request of its own. */
const RESEND_TIMEOUT_MS = 120_000;

/** The kinds, and the newest letters of one of them or of all. */
export async function getLetters(limit: number, reason?: string): Promise<Letters> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (reason !== undefined) query.set("reason", reason);
  return readLetters(await get(`dead-letters?${query}`));
}

export const resend = async (wanted: Wanted): Promise<Outcome> => readOutcome(await post("dead-letters/resend", wanted, RESEND_TIMEOUT_MS));

export function readLetters(x: unknown): Letters {
  const letters = object(x, "dead letters");
  return {
    total: number(letters.total),
    kinds: list(letters.kinds)
      .filter(isObject)
      .map((kind) => ({ reason: text(kind.reason), total: number(kind.total), since: number(kind.since) })),
    letters: list(letters.letters)
      .filter(isObject)
      .map((letter) => ({
        id: number(letter.id),
        since: number(letter.since),
        node: textOrNull(letter.node),
        at: numberOrNull(letter.at),
        readings: list(letter.readings)
          .filter(isObject)
          .map((reading) => ({
            channel: text(reading.channel),
            quantity: text(reading.quantity) || text(reading.channel).replace(/_\d$/, ""),
            unit: text(reading.unit),
            value: numberOrNull(reading.value),
            fault: textOrNull(reading.fault),
            estimated: reading.estimated === true,
          })),
        line: text(letter.line),
        reason: text(letter.reason),
      })),
  };
}

function readOutcome(x: unknown): Outcome {
  const outcome = object(x, "outcome");
  return { sent: number(outcome.sent), refused: number(outcome.refused), left: number(outcome.left), problem: textOrNull(outcome.problem) };
}
