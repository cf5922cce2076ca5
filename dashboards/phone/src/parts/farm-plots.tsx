/** The plots of the farms in view, under the farm's name where there are several. */
import { t } from "../i18n";
import { connection, farms, lastContact } from "../model/store";
import { farmsInScope } from "../scope";
import { Busy, Notice, Unreachable } from "./notice";
import { PlotCard } from "./plot-card";

export function FarmPlots({ as }: { as: "rows" | "tiles" }) {
  if (lastContact.value === null) return connection.value === "lost" ? <Unreachable /> : <Busy />;
  const shown = farmsInScope.value;
  if (shown.every((farm) => farm.plots.length === 0)) return <Notice title={t("load.noFarms")} text={t("load.noFarms.do")} />;
  const several = farms.value.length > 1;
  return (
    <>
      {shown.map((farm) => (
        <section key={farm.id} class="farm">
          {several && (
            <h3 class="farm-name">
              {farm.name}
              {farm.commune !== null && <small>{farm.commune}</small>}
            </h3>
          )}
          <div class="cards">
            {farm.plots.map((plot) => (
              <PlotCard key={plot.id} plot={plot} as={as} />
            ))}
          </div>
        </section>
      ))}
    </>
  );
}
