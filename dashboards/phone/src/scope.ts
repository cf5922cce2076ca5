/** Which farm is looked at, where a gateway serves several. Kept on this phone. */
import { computed, signal } from "@preact/signals";
import { farms } from "./model/store";
import { recall, remember } from "./storage";

/** "" is all farms. */
const chosen = signal(recall("farm") ?? "");

/** A farm that is gone doesn't leave an empty page. */
export const farmChosen = computed(() => (farms.value.some((farm) => farm.id === chosen.value) ? chosen.value : ""));

export const farmsInScope = computed(() =>
  farmChosen.value === "" ? farms.value : farms.value.filter((farm) => farm.id === farmChosen.value),
);

export function chooseFarm(id: string): void {
  chosen.value = id;
  remember("farm", id);
}
