/** The address after `#`: which page is on screen. Unknown addresses are the first page. */
import { signal } from "@preact/signals";

export type Route =
  | { page: "today" }
  | { page: "plots" }
  | { page: "more" }
  | { page: "letters" }
  | { page: "chart"; node: string; channel: string };

export function parseRoute(hash: string): Route {
  const [page, node, channel] = hash.replace(/^#\/?/, "").split("/").map(decode);
  if (page === "plots" || page === "more" || page === "letters") return { page };
  if (page === "c" && node && channel) return { page: "chart", node, channel };
  return { page: "today" };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

export const chartHref = (at: { node: string; channel: string }): string =>
  `#/c/${encodeURIComponent(at.node)}/${encodeURIComponent(at.channel)}`;

/** Pages that are opened from another one, and begin at their top. */
const isInner = ({ page }: Route): boolean => page === "chart" || page === "letters";

export const route = signal<Route>({ page: "today" });
/** Where "back" leads from a page without a tab: the tab that it was opened from. */
export const backHref = signal("#/");

/** Where a page was left: coming back from a chart must not mean to search again. */
const left = new Map<string, number>();

const address = (): string => location.hash || "#/";

export function startRouter(arrived: () => void): void {
  let at = address();
  let scrolled = 0;
  addEventListener("scroll", () => (scrolled = scrollY), { passive: true });
  route.value = parseRoute(at);
  addEventListener("hashchange", () => {
    left.set(at, scrolled);
    if (!isInner(route.value)) backHref.value = at;
    at = address();
    route.value = parseRoute(at);
    const back = isInner(route.value) ? 0 : (left.get(at) ?? 0);
    requestAnimationFrame(() => {
      arrived();
      scrollTo(0, back);
    });
  });
}
