/** Pages that the first screen does not need: each is fetched with its code and style when it is opened, or before, by `load`. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { Busy, Notice } from "./notice";

function lazy<Props extends object>(fetchPage: () => Promise<ComponentType<Props>>) {
  const page = signal<ComponentType<Props> | null>(null);
  const failed = signal(false);

  async function load(): Promise<void> {
    failed.value = false;
    try {
      page.value = await fetchPage();
    } catch {
      failed.value = true;
    }
  }

  function Lazy(props: Props) {
    useEffect(() => {
      if (page.peek() === null) void load();
    }, []);
    const Page = page.value;
    if (Page !== null) return <Page {...props} />;
    if (!failed.value) return <Busy />;
    return <Notice title={t("load.failed")} text={t("load.failed.do")} retry={() => void load()} />;
  }

  return Object.assign(Lazy, { load });
}

export const LazyChart = lazy(async () => (await import("../pages/chart")).ChartPage);
export const LazyMore = lazy(async () => (await import("../pages/more")).MorePage);
export const LazyLetters = lazy(async () => (await import("../pages/letters")).LettersPage);
