/** The technician's words: they come with these pages, so that a farmer's phone does not fetch them. A further language is one more file. */
import { fill, language, type Language, type Values } from "../../i18n";
import { en } from "./en";
import { vi } from "./vi";

export type Key = keyof typeof vi;
export type Words = Record<Key, string>;

export const WORDS: Record<Language, Words> = { vi, en };

export const say = (key: Key, values: Values = {}): string => fill(WORDS[language.value][key], values);

/** For keys that are made of what the gateway says; null when there is no word for it. */
export function sayMaybe(prefix: "reason" | "error" | "curve", name: string): string | null {
  const words: Record<string, string> = WORDS[language.value];
  return words[`${prefix}.${name}`] ?? null;
}

/** Why somebody was refused. A reason without a word here is not shown by its code. */
export const reasonWords = (reason: string): string => sayMaybe("reason", reason) ?? say("reason.other");
