/** The technician's pages: nodes, one node, its calibration, a board. Fetched when they are opened. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { BackIcon } from "../parts/icons";
import { AddPage } from "./add";
import { mayChange, tryToken, useToken } from "./api";
import { CalibratePage } from "./calibrate";
import { ClaimPage } from "./claim";
import { FlashPage } from "./flash";
import { ListPage } from "./list";
import { NodePage } from "./node";
import { Field } from "./parts";
import { say } from "./words";
import "../style/code.css";
import "./technician.css";

export function TechnicianPage({ at }: { at: string[] }) {
  useEffect(() => {
    if (mayChange.peek() === null) void tryToken();
  }, []);
  return (
    <div class="tech" data-testid="tech">
      <a class="back" href={at.length === 0 ? "#/more" : "#/tech"}>
        <BackIcon />
        {at.length === 0 ? t("chart.back") : say("back")}
      </a>
      <Page at={at} />
      <Token />
    </div>
  );
}

function Page({ at: [what, node, inner, channel] }: { at: string[] }) {
  if (what === "add") return <AddPage />;
  if (what === "claim") return <ClaimPage code={node ?? ""} />;
  if (what === "flash") return <FlashPage node={node ?? ""} />;
  if (what === "node" && node && inner === "cal" && channel) return <CalibratePage key={`${node}/${channel}`} node={node} channel={channel} />;
  if (what === "node" && node) return <NodePage key={node} id={node} />;
  return <ListPage />;
}

function Token() {
  const text = useSignal("");
  const wrong = useSignal(false);
  const use = async () => {
    wrong.value = !(await useToken(text.peek().trim()));
    if (!wrong.peek()) text.value = "";
  };
  if (mayChange.value === true) {
    return (
      <section class="card tech-box" data-testid="token" data-state="in">
        <p>{say("token.in")}</p>
        <button type="button" class="button" onClick={() => void useToken("")}>
          {say("token.out")}
        </button>
      </section>
    );
  }
  return (
    <form
      class="card tech-box"
      data-testid="token"
      data-state="out"
      onSubmit={(event) => {
        event.preventDefault();
        void use();
      }}
    >
      <p>{say("token.why")}</p>
      <Field name="token" label={say("token.label")} value={text} secret />
      {wrong.value && (
        <p class="tech-bad" role="alert">
          {say("token.wrong")}
        </p>
      )}
      <button class="button">{say("token.use")}</button>
    </form>
  );
}
