/** The chart page with its plotting code, fetched once the first page stands, so that the first page comes sooner. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { Busy, Notice } from "./notice";

interface Props {
  node: string;
  channel: string;
}

const page = signal<ComponentType<Props> | null>(null);
const failed = signal(false);

export async function loadChart(): Promise<void> {
  failed.value = false;
  try {
    page.value = (await import("../pages/chart")).ChartPage;
  } catch {
    failed.value = true;
  }
}

export function LazyChart(props: Props) {
  useEffect(() => {
    if (page.peek() === null) void loadChart();
  }, []);
  const Page = page.value;
  if (Page !== null) return <Page key={`${props.node}/${props.channel}`} {...props} />;
  if (!failed.value) return <Busy />;
  return <Notice title={t("chart.failed")} text={t("chart.failed.do")} retry={() => void loadChart()} />;
}
