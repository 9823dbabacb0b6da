// Which transport to use, when to reconnect, which messages to show. The rules are those of shelfwire.protocol.reconnect;
// both run tests/protocol/follow_cases.json.
import type { Message } from "./messages.gen.js";

export type Transport = "websocket" | "sse" | "polling";

/** Seconds before each attempt to reconnect. */
export const DELAYS: readonly number[] = [2, 4, 8, 16, 30];

/**
 * How a connection failed. `lost`: the server is away or busy. `mute`: cut before anything was received. `blocked`:
 * something on the way does not let this transport through. `unfinished`: closed as if the job had ended, without an ending.
 */
export type FailureKind = "lost" | "mute" | "blocked" | "unfinished";

const PATIENCE = { mute: 2, blocked: 1, unfinished: 1 };
const PROVEN_PATIENCE = 3;
const REFRESH_AHEAD_MS = 60_000;

/** Whether a message is the last of its job. */
export const isTerminal = (type: string): boolean => type === "job_complete" || type === "error";

/** The delays before attempts to reconnect. */
export class Backoff {
  #delays: readonly number[];
  #attempts = 0;

  constructor(delays: readonly number[] = DELAYS) {
    this.#delays = delays;
  }

  /** Seconds until the next attempt, or undefined to give up. `fraction`, random in [0, 1), takes off up to half. */
  next(fraction: number): number | undefined {
    const delay = this.#delays[this.#attempts];
    if (delay === undefined) return undefined;
    this.#attempts += 1;
    return delay * (1 - fraction / 2);
  }

  /** Start from the first delay again: a connection succeeded. */
  connected(): void {
    this.#attempts = 0;
  }
}

/** Chooses the transport: the first that gets through, and from then on that one. */
export class TransportFallback {
  #allowed: readonly Transport[];
  #at = 0;
  #proven = false;
  #failures = 0;

  constructor(allowed: readonly Transport[]) {
    if (allowed.length === 0) throw new TypeError("at least one transport is needed");
    this.#allowed = allowed;
  }

  /** The transport to try next. */
  get current(): Transport {
    return this.#allowed[this.#at]!;
  }

  /** Stay with the current transport: something was received on it. */
  works(): void {
    this.#proven = true;
    this.#failures = 0;
  }

  /** Whether to try another transport at once. Otherwise the caller waits before it tries `current`. */
  failed(failure: FailureKind): boolean {
    if (failure === "lost") {
      if (!this.#proven) this.startOver();
      return false;
    }
    this.#failures += 1;
    if (failure !== "unfinished" && this.#failures < (this.#proven ? PROVEN_PATIENCE : PATIENCE[failure])) return false;
    const following = this.#at + 1;
    this.startOver();
    this.#at = following % this.#allowed.length;
    return this.#at > 0;
  }

  /** Forget what worked: the network has changed. */
  startOver(): void {
    this.#at = 0;
    this.#proven = false;
    this.#failures = 0;
  }
}

/** Drops messages that were shown already, over all connections. */
export class Deduplicator {
  /** The newest revision shown. */
  seq = 0;
  /** The newest revision shown in full, to attach after: the start shares its revision with the progress after it. */
  after = 0;
  /** Whether the ending was shown. */
  over = false;
  #started = false;

  /** Whether to show a message: not if it is older than what was shown; each start and ending once. */
  accept({ type, seq }: Pick<Message, "type"> & { readonly seq?: number }): boolean {
    const terminal = isTerminal(type);
    if (this.over || (seq !== undefined && seq < this.seq && !terminal)) return false;
    if (type === "job_started") {
      if (this.#started) return false;
      this.#started = true;
    }
    if (seq !== undefined) {
      this.seq = Math.max(this.seq, seq);
      if (type !== "job_started") this.after = this.seq;
    }
    this.over = terminal;
    return true;
  }
}

/** Seconds until a token should be replaced: a minute before its expiry, or at half of what is left if that is less. */
export function refreshIn(expiresAt: number, now: number): number {
  const left = Math.max(0, expiresAt - now);
  return (left - Math.min(REFRESH_AHEAD_MS, Math.floor(left / 2))) / 1000;
}
