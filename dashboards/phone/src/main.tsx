/** Starts the page: language, address, first paint, then the feed and, when there is time, the code of further pages. */
import { render } from "preact";
import { startFeed } from "./api/feed";
import { App } from "./app";
import { startLanguage } from "./i18n";
import { LazyChart, LazyMore } from "./parts/lazy";
import { startRouter } from "./route";
import "./style/tokens.css";
import "./style/base.css";
import "./style/parts.css";

/** After the first page is there; before the link may be gone. */
const PAGES_AFTER_MS = 3_000;

startLanguage();
// A new page is read from its beginning, as after a full load.
startRouter(() => document.getElementById("main")?.focus({ preventScroll: true }));
const app = document.getElementById("app");
if (app !== null) render(<App />, app);
startFeed();
setTimeout(() => {
  void LazyChart.load();
  void LazyMore.load();
}, PAGES_AFTER_MS);
