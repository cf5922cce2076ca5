/** Chooses one of several farms. With one farm there is nothing to choose and nothing on screen. */
import { t } from "../i18n";
import { farms } from "../model/store";
import { chooseFarm, farmChosen } from "../scope";

export function FarmChoice() {
  if (farms.value.length < 2) return null;
  return (
    <label class="farm-choice">
      <span>{t("plots.farm")}</span>
      <select value={farmChosen.value} onChange={(event) => chooseFarm(event.currentTarget.value)}>
        <option value="">{t("plots.allFarms")}</option>
        {farms.value.map((farm) => (
          <option value={farm.id}>{farm.name}</option>
        ))}
      </select>
    </label>
  );
}
