/** Binds a node to a plot by the code on its label: read by the camera where the browser can, else typed. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { plotOptions } from "./add";
import { claim } from "./api";
import { Choice, Field, Outcome, useDoing, Who } from "./parts";
import { canScan, codeIn, scan } from "./scan";
import { say } from "./words";

export function ClaimPage({ code: given }: { code: string }) {
  const [code, plot, name] = [useSignal(given), useSignal(""), useSignal("")];
  const done = useSignal<string | null>(null);
  const [doing, run] = useDoing();
  const submit = () =>
    run(async () => {
      done.value = (await claim(code.peek(), plot.peek(), name.peek().trim())).id;
    });
  if (done.value !== null) {
    return (
      <section class="card tech-box" role="status" data-testid="claimed">
        <p>{say("claim.done", { node: done.value })}</p>
        <a class="button" href={`#/tech/node/${encodeURIComponent(done.value)}`}>
          {say("plan.title")}
        </a>
      </section>
    );
  }
  return (
    <form
      class="card tech-box"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <h3>{say("claim.title")}</h3>
      <Scanner found={(text) => (code.value = text)} />
      <Field name="code" label={say("claim.code")} value={code} />
      <Choice name="plot" label={say("add.plot")} value={plot} options={plotOptions("–")} />
      <Field name="name" label={say("claim.name")} value={name} />
      <Who />
      <Outcome doing={doing} />
      <button class="button" data-testid="claim" disabled={plot.value === "" || codeIn(code.value) === null}>
        {say("claim.do")}
      </button>
    </form>
  );
}

function Scanner({ found }: { found: (code: string) => void }) {
  const on = useSignal(false);
  const failed = useSignal(false);
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (!on.value || video.current === null) return;
    const stop = new AbortController();
    scan(video.current, stop.signal).then(
      (code) => {
        if (code !== null) found(code);
        on.value = false;
      },
      () => {
        failed.value = true;
        on.value = false;
      },
    );
    return () => stop.abort();
  }, [on.value]);
  if (!canScan() || failed.value) return <p class="tech-dim">{say("claim.noCamera")}</p>;
  return (
    <>
      {on.value && <video ref={video} class="scanner" muted playsInline />}
      <button type="button" class="button" onClick={() => (on.value = !on.value)}>
        {say(on.value ? "claim.stop" : "claim.scan")}
      </button>
    </>
  );
}
