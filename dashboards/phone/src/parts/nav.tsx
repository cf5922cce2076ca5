/** The bottom navigation, within the thumb's reach. */
import type { ComponentType } from "preact";
import { type Key, t } from "../i18n";
import { type Route, route } from "../route";
import { MoreIcon, PlotsIcon, TodayIcon } from "./icons";

interface Tab {
  page: Route["page"];
  href: string;
  label: Key;
  Icon: ComponentType;
}

/** One line a page. The alarms' page goes between plots and more when it exists; the bar divides its width by itself. */
const TABS: Tab[] = [
  { page: "today", href: "#/", label: "nav.today", Icon: TodayIcon },
  { page: "plots", href: "#/plots", label: "nav.plots", Icon: PlotsIcon },
  { page: "more", href: "#/more", label: "nav.more", Icon: MoreIcon },
];

export function Nav() {
  const page = route.value.page;
  return (
    <nav class="nav" aria-label={t("nav.label")}>
      {TABS.map(({ page: own, href, label, Icon }) => (
        <a href={href} aria-current={own === page ? "page" : undefined}>
          <Icon />
          {t(label)}
        </a>
      ))}
    </nav>
  );
}
