/** All plots at a glance, farm by farm. */
import { t } from "../i18n";
import { FarmChoice } from "../parts/farm-choice";
import { FarmPlots } from "../parts/farm-plots";

export function PlotsPage() {
  return (
    <>
      <h2>{t("plots.title")}</h2>
      <FarmChoice />
      <FarmPlots as="tiles" />
    </>
  );
}
