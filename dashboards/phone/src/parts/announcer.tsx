/** Says state changes to screen readers, once and politely: the link, and how much there is to do. Ages are not announced. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { formatWhen } from "../format/time";
import { t } from "../i18n";
import { connection, lastContact, openTodos } from "../model/store";

export function Announcer() {
  const said = useSignal("");
  const wasLost = useSignal(false);
  const state = connection.value;
  const count = openTodos.value.length;

  useEffect(() => {
    const at = lastContact.peek() ?? 0;
    if (state === "lost") said.value = t("conn.lost.since", { time: formatWhen(at, at) });
    else if (state === "live" && wasLost.peek()) said.value = t("conn.regained");
    wasLost.value = state === "lost";
  }, [state]);

  useEffect(() => {
    if (count > 0) said.value = t("todo.count", { count });
  }, [count]);

  return (
    <p class="hidden" role="status" aria-live="polite">
      {said}
    </p>
  );
}
