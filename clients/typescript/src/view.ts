// What a page shows of a job: one follow, reduced to a snapshot, for any number of components.
import { type Client, type Following, type JobHandle, type JobMessage, type Metadata, ShelfwireError, type Status, type Transport } from "./client.js";
import type { TokenStore } from "./tokens.js";

/** `waiting`: it has not started. `none`: there is no job to show. */
export type Phase = "none" | "waiting" | "running" | "paused" | "canceling" | "complete" | "failed" | "canceled";

export interface JobSnapshot {
  readonly phase: Phase;
  /** `closed`: nothing is followed: the job has ended, or `error` says why. */
  readonly connection: Status | "closed";
  /** What the newest message came over. */
  readonly transport: Transport | undefined;
  /** Seconds between the loss of the connection and the next attempt, while `connection` is `waiting`. */
  readonly wait: number | undefined;
  readonly pipeline: string | undefined;
  /** What the job works on, once it has started. */
  readonly metadata: Metadata | undefined;
  readonly processed: number;
  /** Items in the input, once known. */
  readonly total: number | undefined;
  readonly failures: number;
  /** Title of the item recorded last. */
  readonly title: string | undefined;
  /** Its author. */
  readonly author: string | undefined;
  /** A message for the user, beside the counts. */
  readonly userMessage: string | undefined;
  /** Seconds that are left. */
  readonly eta: number | undefined;
  /** Items a second. */
  readonly rate: number | undefined;
  /** The terminal message. */
  readonly ending: (JobMessage & { type: "job_complete" | "error" }) | undefined;
  /** Why the follow ended before the job did. */
  readonly error: ShelfwireError | undefined;
}

export const NOTHING: JobSnapshot = {
  phase: "none",
  connection: "closed",
  transport: undefined,
  wait: undefined,
  pipeline: undefined,
  metadata: undefined,
  processed: 0,
  total: undefined,
  failures: 0,
  title: undefined,
  author: undefined,
  userMessage: undefined,
  eta: undefined,
  rate: undefined,
  ending: undefined,
  error: undefined,
};
export const BEGINNING: JobSnapshot = { ...NOTHING, phase: "waiting", connection: "connecting" };

const SERVER_PHASES: Readonly<Record<string, Phase>> = { queued: "waiting", paused: "paused", canceling: "canceling" };

/** The snapshot after a message. */
export function reduced(earlier: JobSnapshot, message: JobMessage): JobSnapshot {
  const before = { ...earlier, pipeline: message.pipeline };
  switch (message.type) {
    case "job_started": {
      const { totalCount: total, metadata } = message.payload;
      return { ...before, total, metadata, phase: before.phase === "waiting" ? "running" : before.phase };
    }
    case "job_progress": {
      const { processedCount: processed, totalCount: total = before.total, etaSeconds: eta, state, currentTitle: title } = message.payload;
      return {
        ...before,
        phase: SERVER_PHASES[state ?? ""] ?? "running",
        processed,
        total,
        failures: message.payload.failureCount ?? before.failures,
        ...(title !== undefined && { title, author: message.payload.currentItem?.author }),
        userMessage: message.payload.userMessage,
        eta,
        rate: eta && total !== undefined ? (total - processed) / eta : undefined,
      };
    }
    case "job_complete": {
      const { successCount, failureCount, summary } = message.payload;
      const total = successCount + failureCount;
      return { ...ended(before, message), phase: "complete", processed: total, total, failures: failureCount, userMessage: summary };
    }
    case "error": {
      const { code, userMessage } = message.payload;
      return { ...ended(before, message), phase: code === "E_JOB_CANCELED" ? "canceled" : "failed", userMessage };
    }
  }
}

const ended = (before: JobSnapshot, ending: JobSnapshot["ending"]): JobSnapshot => ({ ...before, ending, eta: undefined, rate: undefined });

export interface ViewOptions {
  /** Receives the token that replaces one about to expire, to be kept. */
  readonly onToken?: ((job: JobHandle) => unknown) | undefined;
  /** Shares renewed tokens with the other tabs of a website. */
  readonly store?: TokenStore | undefined;
}

/** Follows a job while anybody listens; tells of changes at most once a frame. */
export class JobView {
  snapshot = BEGINNING;
  readonly #client: Client;
  readonly #job: JobHandle;
  readonly #options: ViewOptions;
  readonly #onIdle: () => void;
  readonly #listeners = new Set<() => void>();
  #following: Following | undefined;
  #due = false;
  #latest = BEGINNING;

  /** `onIdle` is called when the last listener has gone. */
  constructor(client: Client, job: JobHandle, options: ViewOptions = {}, onIdle: () => void = () => {}) {
    this.#client = client;
    this.#job = job;
    this.#options = options;
    this.#onIdle = onIdle;
  }

  /** The job, with the token that is valid now. */
  get job(): JobHandle {
    return this.#following?.job ?? this.#job;
  }

  /** Calls `listener` when the snapshot has changed, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#settle();
    return () => {
      this.#listeners.delete(listener);
      this.#settle();
    };
  }

  /** Connect at once, also after every attempt has failed. */
  retryConnection(): void {
    if (this.#latest.error) {
      this.#following = undefined;
      this.#change({ ...this.#latest, error: undefined, connection: "connecting" });
      this.#settle();
    } else {
      this.#following?.networkRestored();
    }
  }

  /** Follows or stops, once nothing else is due: React, when strict, subscribes twice in one go. */
  #settle(): void {
    queueMicrotask(() => {
      if (this.#listeners.size === 0) {
        this.#following?.close();
        this.#onIdle();
      } else if (!this.#following) {
        void this.#follow();
      }
    });
  }

  async #follow(): Promise<void> {
    const onStatus = (connection: Status): void => this.#change({ ...this.#latest, connection, transport: following.transport });
    const onWait = (wait: number): void => this.#change({ ...this.#latest, wait });
    const following: Following = this.#client.follow(this.job, { ...this.#options, onStatus, onWait });
    this.#following = following;
    let error: ShelfwireError | undefined;
    try {
      for await (const message of following) this.#change(reduced(this.#latest, message));
    } catch (thrown) {
      error = thrown instanceof ShelfwireError ? thrown : new ShelfwireError("E_INTERNAL", String(thrown), String(thrown), false);
    }
    if (following === this.#following) this.#change({ ...this.#latest, connection: "closed", error });
  }

  #change(snapshot: JobSnapshot): void {
    this.#latest = snapshot;
    if (this.#due) return;
    this.#due = true;
    nextFrame(() => {
      this.#due = false;
      this.snapshot = this.#latest;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

/** A page that is not looked at has no frames. */
function nextFrame(act: () => void): void {
  if (globalThis.document?.visibilityState === "visible") requestAnimationFrame(act);
  else setTimeout(act, 100);
}
