/** What a language file has to contain. */
import type { vi } from "./vi";

export type Key = keyof typeof vi;
export type Words = Record<Key, string>;
