/** Readings in the words of the chosen language: what components ask for instead of formatting themselves. */
import type { Latest } from "./api/types";
import { formatAge, formatDuration } from "./format/age";
import { formatNumber, withUnit } from "./format/number";
import { language, t, tMaybe } from "./i18n";
import { decimalsOf } from "./quantities";

export const age = (ms: number): string => formatAge(ms, language.value, t("age.now"));
export const duration = (ms: number): string => formatDuration(ms, language.value);
export const count = (n: number): string => formatNumber(n, 0, language.value);
export const decimal = (value: number, decimals: number): string => formatNumber(value, decimals, language.value);

export const figure = (value: number, quantity: string): string => decimal(value, decimalsOf(quantity));
export const reading = (value: number, quantity: string, ucum: string): string => withUnit(figure(value, quantity), ucum);

export const quantityName = (quantity: string): string => tMaybe("quantity", quantity) ?? quantity.replace(/_/g, " ");

/** "Độ mặn", and "Độ mặn 2" for the second of a node. */
export function channelName(latest: Pick<Latest, "quantity" | "channel">): string {
  const instance = /_(\d)$/.exec(latest.channel.slice(latest.quantity.length))?.[1];
  const quantity = quantityName(latest.quantity);
  return instance === undefined ? quantity : t("channel.instance", { quantity, instance });
}

/** A name inside a sentence: "Độ mặn" gets small, "CO₂" and "pH" stay. */
export function inSentence(name: string): string {
  const [first = "", second = ""] = name;
  return second === second.toLowerCase() && second !== second.toUpperCase() ? first.toLowerCase() + name.slice(first.length) : name;
}

/** "Nút đo Ao 2"; a name that says already that it is a node is left alone. */
export function nodeName(name: string): string {
  const word = t("node.word").split(" ")[0] ?? "";
  return name.toLowerCase().startsWith(word.toLowerCase()) ? name : t("node.named", { name });
}

export const resetReason = (reason: string): string | null => tMaybe("reset", reason);

/** What is wrong with a sensor and what to do about it. */
export function faultWords(fault: string): { what: string; todo: string } {
  return {
    what: tMaybe("fault", fault) ?? t("fault.other"),
    todo: tMaybe("fault", `${fault}.do`) ?? t("fault.other.do"),
  };
}
