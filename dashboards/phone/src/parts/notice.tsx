/** The states without data: loading, empty, failed. Each says what is the matter and what to do. */
import { connect } from "../api/feed";
import { t } from "../i18n";

interface Props {
  title: string;
  text?: string;
  /** Shows the button; without it there is nothing a second try would change. */
  retry?: () => void;
}

export function Notice({ title, text, retry }: Props) {
  return (
    <section class="card notice" role="status">
      <h3>{title}</h3>
      {text !== undefined && <p>{text}</p>}
      {retry && (
        <button type="button" class="button" onClick={retry}>
          {t("conn.retry")}
        </button>
      )}
    </section>
  );
}

export const Busy = () => (
  <section class="card notice" role="status">
    <p class="busy">{t("load.busy")}</p>
  </section>
);

export const Unreachable = () => (
  <Notice title={t("load.failed")} text={t("load.failed.do")} retry={() => void connect()} />
);
