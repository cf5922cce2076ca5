/** "Việc hôm nay": each task says what is the matter, what to do, and since when. Alarms will stand here first. */
import { useSignal } from "@preact/signals";
import { formatWhen } from "../format/time";
import { t } from "../i18n";
import { judgedAt, lastReceived, openTodos, plotOf } from "../model/store";
import type { Todo } from "../model/todo";
import { chartHref } from "../route";
import { channelName, duration, faultWords, inSentence, nodeName } from "../words";
import { AlertIcon, CheckIcon, ForwardIcon } from "./icons";

/** More than these at once is a wall that nobody reads. */
const SHOWN_AT_FIRST = 3;

export function TodoList() {
  const all = useSignal(false);
  const open = openTodos.value;
  if (open.length === 0) return <Calm />;
  const shown = all.value ? open : open.slice(0, SHOWN_AT_FIRST);
  return (
    <>
      <ul class="todos" data-testid="todos">
        {shown.map((todo) => (
          <li key={`${todo.kind} ${todo.id}`}>
            <TodoCard todo={todo} />
          </li>
        ))}
      </ul>
      {shown.length < open.length && (
        <button type="button" class="button wide" onClick={() => (all.value = true)}>
          {t("todo.more", { count: open.length - shown.length })}
        </button>
      )}
    </>
  );
}

function Calm() {
  const known = lastReceived.value !== null;
  return (
    <section class="todo todo-calm" data-testid="calm">
      {known && <CheckIcon />}
      <div>
        <h3>{t(known ? "todo.calm" : "todo.unknown")}</h3>
        <p>{t(known ? "todo.calm.why" : "todo.unknown.why")}</p>
      </div>
    </section>
  );
}

interface Words {
  title: string;
  text: string;
  why?: string;
  href: string;
  action: string;
}

function TodoCard({ todo }: { todo: Todo }) {
  const { title, text, why, href, action } = words(todo);
  return (
    <a class="todo todo-warn" href={href} data-testid={`todo-${todo.kind}`}>
      <p class="todo-level">
        <AlertIcon />
        {t("todo.level")}
      </p>
      <h3>{title}</h3>
      <p>{text}</p>
      {why !== undefined && <p class="why">{why}</p>}
      <p class="todo-go">
        {action}
        <ForwardIcon />
      </p>
    </a>
  );
}

function words(todo: Todo): Words {
  const now = judgedAt.value;
  const lastHeard = (since: number) => t("todo.lastHeard", { time: formatWhen(since, now) });
  const devices = { href: "#/more", action: t("todo.openDevices") };
  switch (todo.kind) {
    case "all-silent":
      return {
        title: t("todo.allSilent", { count: todo.count, duration: duration(now - todo.since) }),
        text: t("todo.allSilent.do"),
        why: lastHeard(todo.since),
        ...devices,
      };
    case "node-silent":
      return {
        title: t("todo.nodeSilent", { node: nodeName(todo.node.name), duration: duration(now - todo.since) }),
        text: t("todo.nodeSilent.do"),
        why: [plotOf(todo.node.plot)?.name, lastHeard(todo.since)].filter(Boolean).join(" · "),
        ...devices,
      };
    case "node-never":
      return {
        title: t("todo.nodeNever", { node: nodeName(todo.node.name) }),
        text: t("todo.nodeNever.do"),
        why: plotOf(todo.node.plot)?.name,
        ...devices,
      };
    case "fault": {
      const { what, todo: advice } = faultWords(todo.latest.fault ?? "");
      return { title: t("todo.fault", place(todo)), text: `${what} ${advice}`, href: chartHref(todo.latest), action: t("todo.openChart") };
    }
    case "stale":
      return {
        title: t("todo.stale", { ...place(todo), duration: duration(now - todo.latest.at) }),
        text: t("todo.stale.do"),
        why: lastHeard(todo.latest.at),
        href: chartHref(todo.latest),
        action: t("todo.openChart"),
      };
  }
}

function place({ latest }: Extract<Todo, { kind: "fault" | "stale" }>): { plot: string; quantity: string } {
  return { plot: plotOf(latest.plot)?.name ?? latest.node, quantity: inSentence(channelName(latest)) };
}
