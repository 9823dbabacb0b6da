import type { ComponentChildren } from "preact";
import { Icon } from "./icon.js";

/** Something went wrong, or needs attention (`warn`). It is read out at once. */
export function Alert({ kind = "bad", children }: { kind?: "bad" | "warn"; children: ComponentChildren }) {
  return (
    <div class={`alert ${kind}`} role="alert">
      {children}
    </div>
  );
}

/** What stands where there is nothing to show. */
export function Empty({ good, children }: { good?: boolean; children: ComponentChildren }) {
  return (
    <div class={`empty${good ? " good" : ""}`}>
      {good && <Icon name="check" size={26} />}
      {children}
    </div>
  );
}

export type Tone = "good" | "warn" | "bad" | "plain";

/** How something is, in a word or two, with a dot beside it; `beat` while it lives. */
export function Chip({ tone, beat, children }: { tone: Tone; beat?: boolean; children: ComponentChildren }) {
  return (
    <span class={`chip ${tone}${beat ? " beat" : ""}`} role="status">
      <i aria-hidden="true" />
      <span>{children}</span>
    </span>
  );
}

export interface BarProps {
  readonly label: string;
  /** From 0 to 1; undefined if it is not known. */
  readonly share: number | undefined;
  /** What a screen reader says of it. Give a text that changes every tenth or so, not at every item. */
  readonly text: string;
  readonly tone?: "gold" | "bad" | undefined;
}

export function Bar({ label, share, text, tone }: BarProps) {
  const values = share === undefined ? {} : { "aria-valuenow": Math.floor(share * 100) };
  return (
    <div class={`bar ${tone ?? ""}`} role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuetext={text} {...values}>
      <i class={share === undefined ? "unknown" : ""} style={{ transform: share === undefined ? "" : `scaleX(${share})` }} />
    </div>
  );
}
