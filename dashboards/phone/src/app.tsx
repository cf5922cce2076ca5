/** The frame around every page. */
import { useEffect } from "preact/hooks";
import { t } from "./i18n";
import { channelOf } from "./model/store";
import { PlotsPage } from "./pages/plots";
import { TodayPage } from "./pages/today";
import { Announcer } from "./parts/announcer";
import { Header } from "./parts/header";
import { LazyChart, LazyLetters, LazyMore } from "./parts/lazy";
import { Nav } from "./parts/nav";
import { type Route, route } from "./route";
import { channelName } from "./words";

export function App() {
  const at = route.value;
  const title = titleOf(at);
  useEffect(() => {
    document.title = `${title} · Sen`;
  }, [title]);
  return (
    <>
      <Header />
      <main id="main" tabIndex={-1}>
        {at.page !== "chart" && <h1 class="hidden">{title}</h1>}
        <Page at={at} />
      </main>
      <Nav />
      <Announcer />
    </>
  );
}

function Page({ at }: { at: Route }) {
  switch (at.page) {
    case "today":
      return <TodayPage />;
    case "plots":
      return <PlotsPage />;
    case "more":
      return <LazyMore />;
    case "chart":
      return <LazyChart key={`${at.node}/${at.channel}`} node={at.node} channel={at.channel} />;
    case "letters":
      return <LazyLetters />;
  }
}

const TITLES = { today: "nav.today", plots: "nav.plots", more: "nav.more", letters: "letters.title" } as const;

function titleOf(at: Route): string {
  if (at.page === "chart") {
    const latest = channelOf(at.node, at.channel)?.peek();
    return latest === undefined ? at.channel : channelName(latest);
  }
  return t(TITLES[at.page]);
}
