/** The top of every page: whose farm, whether the data are live, how old the newest is, which language. */
import { connect } from "../api/feed";
import { chooseLanguage, language, LANGUAGES, nextLanguage, t } from "../i18n";
import { formatWhen } from "../format/time";
import { clock, connection, demo, farms, lastContact, lastReceived } from "../model/store";
import { Age } from "./age";
import { AlertIcon, LotusIcon } from "./icons";
import { SystemNotices } from "./system-notices";

export function Header() {
  return (
    <header class="top">
      <div class="top-row">
        <a class="brand" href="#/">
          <LotusIcon />
          <span>{farmName()}</span>
        </a>
        <LanguageButton />
      </div>
      <div class="top-row top-state">
        <span class="conn" data-testid="conn" data-state={connection.value}>
          <i class="dot" />
          {t(`conn.${connection.value}`)}
        </span>
        <Updated />
        {demo.value && <span class="chip">{t("demo.chip")}</span>}
      </div>
      {connection.value === "lost" && lastContact.value !== null && <LostBanner />}
      <SystemNotices />
    </header>
  );
}

function farmName(): string {
  const [only, second] = farms.value;
  return only !== undefined && second === undefined ? only.name : "Sen";
}

function LanguageButton() {
  const next = nextLanguage();
  return (
    <button
      type="button"
      class="language"
      data-testid="lang"
      aria-label={`${t("language.switch")}: ${LANGUAGES[next]["language.name"]}`}
      onClick={() => chooseLanguage(next)}
    >
      {Object.keys(LANGUAGES).map((code) => (
        <span class={code === language.value ? "on" : ""}>{code.toUpperCase()}</span>
      ))}
    </button>
  );
}

function Updated() {
  const at = lastReceived.value;
  if (at === null) return null;
  return (
    <span class="updated" data-testid="updated">
      <Age at={at} say={(age) => t("header.updated", { age })} />
    </span>
  );
}

function LostBanner() {
  const time = formatWhen(lastContact.value ?? 0, clock.value);
  return (
    <div class="banner" data-testid="banner">
      <AlertIcon />
      <p>
        <b>{t("conn.lost.since", { time })}</b>
        {t("conn.lost.retrying")}
      </p>
      <button type="button" class="button" onClick={() => void connect()}>
        {t("conn.retry")}
      </button>
    </div>
  );
}
