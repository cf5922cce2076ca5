/** The first page: what needs doing now, then the plots. */
import { t } from "../i18n";
import { farms, lastContact } from "../model/store";
import { FarmChoice } from "../parts/farm-choice";
import { FarmPlots } from "../parts/farm-plots";
import { TodoList } from "../parts/todo-list";

export function TodayPage() {
  const known = lastContact.value !== null && farms.value.length > 0;
  return (
    <>
      {known && (
        <>
          <h2>{t("todo.title")}</h2>
          <TodoList />
        </>
      )}
      <div class="section-head">
        <h2>{t("plots.title")}</h2>
        {known && <small aria-hidden="true">{t("plots.span")}</small>}
      </div>
      <FarmChoice />
      <FarmPlots as="rows" />
    </>
  );
}
