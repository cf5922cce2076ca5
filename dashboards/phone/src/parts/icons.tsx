/** Drawn signs. All are decoration beside a word: hidden from screen readers, never the only carrier of a meaning. */
import type { ComponentChildren } from "preact";

function Icon({ children, name }: { children: ComponentChildren; name: string }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const LotusIcon = () => (
  <Icon name="lotus">
    <path d="M12 21c-5 0-9-3-10-8 3 0 5 1 6 2-1-4 0-8 4-12 4 4 5 8 4 12 1-1 3-2 6-2-1 5-5 8-10 8z" />
  </Icon>
);
export const TodayIcon = () => (
  <Icon name="today">
    <path d="M4 11l8-7 8 7v8a1 1 0 0 1-1 1h-4v-6H9v6H5a1 1 0 0 1-1-1z" />
  </Icon>
);
export const PlotsIcon = () => (
  <Icon name="plots">
    <path d="M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z" />
  </Icon>
);
export const MoreIcon = () => (
  <Icon name="more">
    <path d="M5 7h14M5 12h14M5 17h14" />
  </Icon>
);
export const BackIcon = () => (
  <Icon name="back">
    <path d="M15 5l-7 7 7 7" />
  </Icon>
);
export const ForwardIcon = () => (
  <Icon name="forward">
    <path d="M9 5l7 7-7 7" />
  </Icon>
);
export const CheckIcon = () => (
  <Icon name="check">
    <path d="M5 12.5l4.5 4.5L19 7.5" />
  </Icon>
);
export const AlertIcon = () => (
  <Icon name="alert">
    <path d="M12 4l9 16H3zM12 10v4.5M12 17v.5" />
  </Icon>
);
