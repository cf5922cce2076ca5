/**
 * The page's language, as a signal: text that was looked up is looked up again when it changes.
 * A further language is one file beside vi.ts and one line in LANGUAGES. Its code is also the locale for numbers and ages.
 */
import { signal } from "@preact/signals";
import { recall, remember } from "../storage";
import { en } from "./en";
import { vi } from "./vi";
import type { Key, Words } from "./words";

export type { Key } from "./words";

export const LANGUAGES = { vi, en } satisfies Record<string, Words>;
export type Language = keyof typeof LANGUAGES;
export const CODES = Object.keys(LANGUAGES) as Language[];

const KEYS = Object.keys(vi) as Key[];
const CROP = "crop.";

const isLanguage = (code: string | null | undefined): code is Language => CODES.some((known) => known === code);

/** `?lang=` in the address, else what was chosen on this phone, else Vietnamese. */
export function firstLanguage(address: string, chosen: string | null): Language {
  const asked = new URLSearchParams(address).get("lang");
  if (isLanguage(asked)) return asked;
  return isLanguage(chosen) ? chosen : "vi";
}

export const language = signal<Language>("vi");

export function startLanguage(): void {
  setLanguage(firstLanguage(location.search, recall("language")));
}

function setLanguage(code: Language): void {
  language.value = code;
  document.documentElement.lang = code;
}

export function chooseLanguage(code: Language): void {
  setLanguage(code);
  remember("language", code);
  // A choice outlives the link that brought one here.
  const url = new URL(location.href);
  if (url.searchParams.has("lang")) {
    url.searchParams.delete("lang");
    history.replaceState(null, "", url);
  }
}

/** The language after this one, for a switch that is one button. */
export const nextLanguage = (): Language => CODES[(CODES.indexOf(language.value) + 1) % CODES.length] ?? "vi";

export type Values = Record<string, string | number>;

/** `{name}` in a text is filled from `values`. */
export function fill(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export const t = (key: Key, values: Values = {}): string => fill(LANGUAGES[language.value][key], values);

/** What a crop is called in this language; the registry may name it by its code or in any of the languages. */
export function cropWord(crop: string): string {
  const written = crop.trim().toLowerCase();
  const known = KEYS.find((key) => {
    if (!key.startsWith(CROP)) return false;
    return key === CROP + written || CODES.some((code) => LANGUAGES[code][key].toLowerCase() === written);
  });
  return known === undefined ? crop : t(known);
}

/** For keys that are made from what the gateway sends; null when this page has no word for it. */
export function tMaybe(prefix: "fault" | "quantity" | "reset", name: string): string | null {
  const words: Record<string, string> = LANGUAGES[language.value];
  return words[`${prefix}.${name}`] ?? null;
}
