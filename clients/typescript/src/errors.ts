import { E_INTERNAL, E_MAX_RETRIES } from "./codes.gen.js";

/** What went wrong with a request or a follow. */
export class ShelfwireError extends Error {
  /** An error code of the server's table, see `@shelfwire/client/codes`; a server may know more. */
  declare readonly code: string;
  /** What happened and what to do next, for the user. */
  declare readonly userMessage: string;
  /** Whether the same may succeed later. */
  declare readonly retryable: boolean;

  constructor(code: string, message: string, userMessage: string, retryable: boolean) {
    super(message);
    Object.assign(this, { code, userMessage, retryable });
  }
}

/** The server refused. */
export class RefusedError extends ShelfwireError {
  override readonly name = "RefusedError";
  /** The HTTP status, or the WebSocket's close code. */
  declare readonly status: number;
  /** Seconds after which to try again, if the server says so. */
  declare readonly retryAfter: number | undefined;
  /** Further JSON values for a program, if the server gives any. */
  declare readonly details: unknown;

  constructor({ code, message, userMessage, retryable, details }: Problem, status: number, retryAfter?: number) {
    super(code, message, userMessage, retryable);
    Object.assign(this, { status, retryAfter, details });
  }
}

/** The server cannot be reached, or every attempt to reconnect failed. A job that runs goes on. */
export class ConnectionLostError extends ShelfwireError {
  override readonly name = "ConnectionLostError";
  /** Of a request whose answer was lost and that may have started a job: the same call with this key starts no second one. */
  readonly idempotencyKey: string | undefined;

  constructor(reason: string, idempotencyKey?: string) {
    const { code, message, userMessage, retryable } = E_MAX_RETRIES;
    super(code, `${message}: ${reason}`, userMessage, retryable);
    this.idempotencyKey = idempotencyKey;
  }
}

export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly userMessage: string;
  readonly retryable: boolean;
  readonly details?: unknown;
}

/** An HTTP answer that is not good, read to its end. */
export class BadAnswer {
  readonly status: number;
  /** What the server says; undefined where something on the way answered in its place. */
  readonly problem: Problem | undefined;
  readonly retryAfter: number | undefined;

  constructor(status: number, headers: { get(name: string): string | null }, body: unknown) {
    this.status = status;
    this.problem = problemIn(body, headers.get("X-Error-Code"));
    const seconds = headers.get("Retry-After") ?? "";
    this.retryAfter = /^\d{1,9}$/.test(seconds) ? Math.min(Number(seconds), 86_400) : undefined;
  }
}

function problemIn(body: unknown, header: string | null): Problem | undefined {
  const { code, detail, title, userMessage, retryable, details } = (body ?? {}) as Record<string, unknown>;
  if (typeof code === "string" && typeof userMessage === "string") {
    return { code, message: String(detail ?? title ?? code), userMessage, retryable: retryable === true, details };
  }
  return header === null ? undefined : { ...E_INTERNAL, code: header, message: header, retryable: false };
}
