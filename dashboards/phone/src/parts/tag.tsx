/** A word beside a colour, for who can't tell the colours apart. */
import { t } from "../i18n";

export const StaleTag = () => <span class="tag tag-stale">{t("channel.stale")}</span>;
export const EstimatedTag = () => <span class="tag tag-stale">{t("channel.estimated")}</span>;
