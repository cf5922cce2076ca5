/** "2 phút trước", moving by itself: the text node follows the clock, and nothing around it is drawn again. */
import { useComputed } from "@preact/signals";
import { clock } from "../model/store";
import { age } from "../words";

interface Props {
  at: number;
  /** Puts the age into a sentence. */
  say?: (age: string) => string;
}

export function Age({ at, say }: Props) {
  // The key makes a new clock hand for a new time: a computed would keep the first one.
  return <Hand key={at} at={at} say={say} />;
}

function Hand({ at, say }: Props) {
  const text = useComputed(() => {
    const since = age(clock.value - at);
    return say ? say(since) : since;
  });
  return <>{text}</>;
}
