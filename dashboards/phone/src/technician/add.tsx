/** A new node: its password, shown once, and its claim code. */
import { useSignal } from "@preact/signals";
import { language } from "../i18n";
import { farms } from "../model/store";
import { addNode, label, type Made } from "./api";
import { Box, Choice, Field, Outcome, useDoing } from "./parts";
import { say } from "./words";

export const plotOptions = (first: string) => [
  { value: "", text: first },
  ...farms.value.flatMap((farm) => farm.plots.map((plot) => ({ value: plot.id, text: `${farm.name} · ${plot.name}` }))),
];

export function AddPage() {
  const [id, name, plot, board] = [useSignal(""), useSignal(""), useSignal(""), useSignal("")];
  const made = useSignal<Made | null>(null);
  const [doing, run] = useDoing();
  const add = () =>
    run(async () => {
      made.value = await addNode({ id: id.peek().trim(), name: name.peek().trim(), plot: plot.peek(), board: board.peek().trim() });
    });
  if (made.value !== null) return <MadeBox made={made.value} />;
  return (
    <form
      class="card tech-box"
      onSubmit={(event) => {
        event.preventDefault();
        add();
      }}
    >
      <h3>{say("add.title")}</h3>
      <Field name="id" label={say("add.id")} value={id} why={say("add.id.why")} />
      <Field name="name" label={say("add.name")} value={name} />
      <Choice name="plot" label={say("add.plot")} value={plot} options={plotOptions(say("add.plot.later"))} />
      <Field name="board" label={say("add.board")} value={board} why={say("add.board.why")} />
      <Outcome doing={doing} />
      <button class="button" data-testid="add">
        {say("add.do")}
      </button>
    </form>
  );
}

export function MadeBox({ made }: { made: Made }) {
  return (
    <Box title={say("made.title", { node: made.node })}>
      <p>{say("made.once")}</p>
      <dl class="facts">
        <dt>{say("made.password")}</dt>
        <dd>
          <code data-testid="password">{made.password}</code>
        </dd>
        {made.claim_code !== null && (
          <>
            <dt>{say("made.code")}</dt>
            <dd>
              <code data-testid="claim-code">{made.claim_code}</code>
            </dd>
          </>
        )}
      </dl>
      <div class="row">
        {made.claim_code !== null && <LabelButton node={made.node} />}
        <a class="button" href={`#/tech/flash/${encodeURIComponent(made.node)}`}>
          {say("node.flash")}
        </a>
        <a class="button" href={`#/tech/node/${encodeURIComponent(made.node)}`}>
          {say("plan.title")}
        </a>
      </div>
    </Box>
  );
}

/** The window is opened at once, by the touch: one that is opened after an answer would be taken for an advertisement. */
export function LabelButton({ node }: { node: string }) {
  const [doing, run] = useDoing();
  const print = () => {
    const opened = open("", "_blank");
    run(async () => {
      try {
        const html = await label(node, language.peek());
        const url = URL.createObjectURL(new Blob([html], { type: "text/html" }));
        if (opened !== null) opened.location.href = url;
        else location.href = url;
      } catch (error) {
        opened?.close();
        throw error;
      }
    });
  };
  return (
    <>
      <button type="button" class="button" data-testid="label" onClick={print}>
        {say("label.print")}
      </button>
      <Outcome doing={doing} />
    </>
  );
}
