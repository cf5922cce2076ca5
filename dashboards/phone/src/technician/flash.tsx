/** A board, written from the browser: first what would go where, then, over Web Serial, just that. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { count } from "../words";
import { MadeBox } from "./add";
import { getImages, getParts, type Image, mayChange, type Part, type Parts, type Wanted } from "./api";
import { Box, Choice, Field, Outcome, useDoing } from "./parts";
import { hasSerial, type Loader, openBoard, OtherChip, writeBoard } from "./serial";
import { say } from "./words";

interface Props {
  node: string;
  /** A test puts its own board here. */
  connect?: () => Promise<Loader>;
}

export function FlashPage({ node: given, connect = openBoard }: Props) {
  const images = useSignal<Image[] | null>(null);
  const [node, board, host] = [useSignal(given), useSignal(""), useSignal(hostForNodes())];
  const [wifi, wifiPassword, apn] = [useSignal(""), useSignal(""), useSignal("")];
  const plain = useSignal(false);
  const shown = useSignal<Parts | null>(null);
  const written = useSignal<Parts | null>(null);
  const percent = useSignal<number | null>(null);
  const otherChip = useSignal<string | null>(null);
  const [doing, run] = useDoing();
  useEffect(() => {
    getImages().then(
      (found) => {
        images.value = found;
        board.value = found.find((image) => image.problem === null)?.board ?? "";
      },
      () => (images.value = []),
    );
  }, []);
  const wanted = (): Wanted => ({
    board: board.peek(),
    host: host.peek().trim(),
    plain: plain.peek(),
    ...(wifi.peek() === "" ? {} : { wifi: wifi.peek() }),
    ...(wifi.peek() === "" || wifiPassword.peek() === "" ? {} : { wifi_password: wifiPassword.peek() }),
    ...(apn.peek() === "" ? {} : { apn: apn.peek() }),
  });
  const show = () =>
    run(async () => {
      shown.value = null;
      shown.value = await getParts(node.peek().trim(), wanted(), false);
    });
  const write = () =>
    run(async () => {
      otherChip.value = null;
      percent.value = 0;
      try {
        const loader = await connect();
        await writeBoard(
          loader,
          board.peek(),
          async () => {
            const parts = await getParts(node.peek().trim(), wanted(), true);
            // Whatever becomes of the board from here on: this is its password.
            written.value = parts;
            return parts.writes;
          },
          (now) => (percent.value = now),
        );
        percent.value = 100;
      } catch (error) {
        percent.value = null;
        if (!(error instanceof OtherChip)) throw error;
        otherChip.value = error.found;
      }
    });
  const command = `sen flash ${node.value || "NODE"} --board ${board.value || "BOARD"} --image images/${board.value || "BOARD"}.bin --config sen.toml --host ${host.value || "HOST"}${wifi.value === "" ? "" : ` --wifi "${wifi.value}" --wifi-password-file wifi.txt`}${plain.value ? " --plain" : ""}`;
  return (
    <>
      <form
        class="card tech-box"
        onSubmit={(event) => {
          event.preventDefault();
          show();
        }}
      >
        <h3>{say("flash.title")}</h3>
        {images.value?.length === 0 && <p data-testid="no-images">{say("flash.noImages")}</p>}
        <Field name="node" label={say("flash.node")} value={node} why={say("add.id.why")} />
        <Choice
          name="image"
          label={say("flash.image")}
          value={board}
          options={(images.value ?? []).map((image) => ({
            value: image.board,
            text: image.problem === null ? image.board : `${image.board}: ${say("flash.bad")}`,
            disabled: image.problem !== null,
          }))}
        />
        <Field name="host" label={say("flash.host")} value={host} />
        <Field name="wifi" label={say("flash.wifi")} value={wifi} />
        <Field name="wifi-password" label={say("flash.wifiPassword")} value={wifiPassword} secret />
        <Field name="apn" label={say("flash.apn")} value={apn} />
        <label class="check">
          <input type="checkbox" checked={plain.value} onChange={(event) => (plain.value = event.currentTarget.checked)} />
          <span>{say("flash.plain")}</span>
        </label>
        <Outcome doing={doing} />
        <button class="button" data-testid="show" disabled={mayChange.value !== true || board.value === "" || host.value.trim() === ""}>
          {say("flash.show")}
        </button>
      </form>
      {shown.value !== null && (
        <Box title={say("flash.show")}>
          <ul data-testid="writes">
            {shown.value.writes.map((part) => (
              <PartLine key={part.offset} part={part} />
            ))}
            {shown.value.inlaid !== null && <PartLine part={shown.value.inlaid} inlaid />}
          </ul>
          <p>{say("flash.newPassword")}</p>
          {hasSerial() && (
            <button type="button" class="button" data-testid="write" onClick={write}>
              {say("flash.write")}
            </button>
          )}
          {percent.value !== null && (
            <p role="status" data-testid="progress" data-percent={percent.value}>
              {percent.value === 100 ? say("flash.done") : say("flash.progress", { percent: percent.value })}
            </p>
          )}
          {otherChip.value !== null && <p class="tech-bad">{say("flash.otherChip", { found: otherChip.value, board: board.value })}</p>}
        </Box>
      )}
      {!hasSerial() && (
        <section class="card tech-box" data-testid="no-serial">
          <p>{say("flash.noSerial")}</p>
          <pre lang="en">{command}</pre>
        </section>
      )}
      {written.value?.password != null && (
        <MadeBox made={{ node: node.value, password: written.value.password, claim_code: written.value.claim_code }} />
      )}
    </>
  );
}

/** Where this page is, unless that is a name that means another machine on a node. */
function hostForNodes(): string {
  const host = location.hostname;
  return host === "localhost" || host.startsWith("127.") || host.includes(":") ? "" : host;
}

function PartLine({ part, inlaid = false }: { part: Part; inlaid?: boolean }) {
  return (
    <li data-testid={`part-${part.offset}`}>
      <b>{say(`flash.what.${part.what}`)}</b>
      {inlaid && ` (${say("flash.inlaid")})`}
      <p>{say("flash.line", { offset: `0x${part.offset.toString(16)}`, length: count(part.length), partition: part.partition ?? "–" })}</p>
      <p class="tech-dim">
        <code>sha256 {part.sha256}</code>
      </p>
    </li>
  );
}
