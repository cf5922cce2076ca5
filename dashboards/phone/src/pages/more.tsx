/** What a technician asks for: devices, refused messages, language, version. Renewed while it is open. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { getAbout, getDisk, getLedger, getNodes, getRefused } from "../api/client";
import type { About, Disk, Ledger, Refused } from "../api/types";
import { chooseLanguage, CODES, language, LANGUAGES, t } from "../i18n";
import { formatWhen } from "../format/time";
import { clock, demo, nodes, system } from "../model/store";
import { gatewayClockWords } from "../parts/clock-fact";
import { DeviceCard } from "../parts/device-card";
import { RefusedList } from "../parts/refused-list";
import { Storage } from "../parts/storage";
import "../style/code.css";
import "../style/more.css";

const AGAIN_AFTER_MS = 15_000;
/** Days move slowly. */
const LEDGER_AFTER_MS = 60_000;

export function MorePage() {
  const refused = useSignal<Refused | null>(null);
  const about = useSignal<About | null>(null);
  const disk = useSignal<Disk | null>(null);
  const ledger = useSignal<Ledger | null>(null);
  const failed = useSignal(false);

  useEffect(() => {
    let gone = false;
    let ledgerAt = 0;
    const loadLedger = async () => {
      if (Date.now() - ledgerAt < LEDGER_AFTER_MS) return;
      ledgerAt = Date.now();
      try {
        ledger.value = await getLedger();
      } catch {
        // The devices are shown without their days then; the next round tries again.
        ledgerAt = 0;
      }
    };
    const load = async () => {
      if (document.hidden) return;
      void loadLedger();
      try {
        const [devices, messages, version, room] = await Promise.all([getNodes(), getRefused(), getAbout(), getDisk()]);
        if (gone) return;
        nodes.value = devices;
        refused.value = messages;
        about.value = version;
        system.value = version.system;
        disk.value = room;
        failed.value = false;
      } catch {
        failed.value = true;
      }
    };
    void load();
    const timer = setInterval(() => void load(), AGAIN_AFTER_MS);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, []);

  return (
    <>
      <h2>{t("more.devices")}</h2>
      {nodes.value.length === 0 && <p class="card notice">{t("more.devices.empty")}</p>}
      <div class="cards">
        {nodes.value.map((node) => (
          <DeviceCard
            key={node.id}
            node={node}
            ledger={ledger.value?.nodes.find((entry) => entry.node === node.id) ?? null}
            lateAfter={ledger.value?.late_after_ms ?? 0}
          />
        ))}
      </div>

      <h2>{t("more.refused")}</h2>
      {refused.value !== null && <RefusedList refused={refused.value} />}
      {refused.value === null && failed.value && <p class="card notice">{t("more.failed")}</p>}

      <h2>{t("more.language")}</h2>
      <div class="spans" role="group" aria-label={t("more.language")}>
        {CODES.map((code) => (
          <button type="button" lang={code} aria-pressed={language.value === code} onClick={() => chooseLanguage(code)}>
            {LANGUAGES[code]["language.name"]}
          </button>
        ))}
      </div>

      <h2>{t("more.about")}</h2>
      <section class="card about">
        <p>{t("more.about.promise")}</p>
        {demo.value && <p>{t("demo.note")}</p>}
        {about.value !== null && (
          <dl class="facts">
            <dt>{t("more.about.version")}</dt>
            <dd>
              {about.value.name} {about.value.version}
            </dd>
            <dt>{t("more.about.started")}</dt>
            <dd>{formatWhen(about.value.started_at, clock.value)}</dd>
            <dt>{t("clock.gateway")}</dt>
            <dd>{gatewayClockWords(system.value.clock)}</dd>
          </dl>
        )}
        {disk.value !== null && <Storage disk={disk.value} />}
      </section>
    </>
  );
}
