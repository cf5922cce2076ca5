/** The banners below the header: what is the matter with the gateway, and what to do. */
import { formatWhen } from "../format/time";
import { t } from "../i18n";
import { clock, connection, system } from "../model/store";
import { type SystemNotice, systemNotices } from "../model/system";
import { route } from "../route";
import { count } from "../words";
import { AlertIcon, ForwardIcon } from "./icons";

/** Where warnings stand, too: they are for who looks after the gateway. */
const WITH_WARNINGS = ["today", "more"];

export function SystemNotices() {
  // Without a link nothing is known of the gateway.
  const known = connection.value === "live" ? systemNotices(system.value) : [];
  const shown = known.filter(({ level }) => level === "bad" || WITH_WARNINGS.includes(route.value.page));
  return (
    <div role="status">
      {shown.map((notice) => (
        <Banner key={notice.kind} notice={notice} />
      ))}
    </div>
  );
}

function Banner({ notice }: { notice: SystemNotice }) {
  const { title, text, link } = words(notice);
  return (
    <div class={`banner banner-${notice.level}`} data-testid={`system-${notice.kind}`}>
      <AlertIcon />
      <p>
        <b>{title}</b>
        {text}
      </p>
      {link && (
        <a class="button" href={link.href}>
          {link.action}
          <ForwardIcon />
        </a>
      )}
    </div>
  );
}

interface Words {
  title: string;
  text: string;
  link?: { href: string; action: string };
}

function words(notice: SystemNotice): Words {
  switch (notice.kind) {
    case "full":
      return { title: t("storing.not"), text: t("storing.not.do") };
    case "damage":
      return {
        title: t("system.damage", { time: formatWhen(notice.at, clock.value) }),
        text: t("system.damage.do", { count: count(notice.lost) }),
      };
    case "clock":
      return { title: t("system.clock"), text: t("system.clock.do") };
    case "letters":
      return {
        title: t("system.letters", { count: count(notice.count) }),
        text: t("system.letters.do"),
        link: { href: "#/letters", action: t("system.letters.open") },
      };
  }
}
