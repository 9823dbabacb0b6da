// Requests to one server.
import { type Clock, Deadline, systemClock } from "./clock.js";
import { BadAnswer } from "./errors.js";

/** What it takes to come back to a job. The token is a secret: keep it where only its owner can read it. */
export interface JobHandle {
  readonly jobId: string;
  readonly token: string;
  /** When the token expires, in milliseconds since the epoch; undefined means with the job. */
  readonly expiresAt?: number | undefined;
}

export interface Ask {
  readonly job?: JobHandle | undefined;
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  readonly json?: unknown;
  readonly body?: BodyInit | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How long an answer may take: more than a long poll does. */
const ANSWER_MS = 60_000;

export class Http {
  /** Without a slash at its end. */
  readonly url: string;
  readonly #fetch: typeof fetch;
  readonly #clock: Clock;
  #ahead: number | undefined;

  constructor(url: string, fetcher: typeof fetch, clock: Clock = systemClock) {
    this.url = checkedUrl(url);
    this.#fetch = fetcher;
    this.#clock = clock;
  }

  /** Milliseconds since the epoch by the server's clock, as an answer told it; until then by this device's. */
  now(): number {
    return this.#clock.now() + (this.#ahead ?? 0);
  }

  /** Whether an answer told the server's time. */
  get knowsTime(): boolean {
    return this.#ahead !== undefined;
  }

  /** The address of a path below the server's URL. */
  address(path: string, query: Ask["query"] = {}): string {
    const given = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]));
    return `${this.url}${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
  }

  /**
   * Sends a request and returns the answer if it is good.
   * Throws what `fetch` throws where no answer came, or a `BadAnswer`.
   */
  async send(method: string, path: string, ask: Ask = {}): Promise<Response> {
    const { job, json, body, signal } = ask;
    const headers = {
      ...(job && { Authorization: `Bearer ${headerValue(job.token, "token")}` }),
      ...(json !== undefined && { "Content-Type": "application/json" }),
      ...ask.headers,
    };
    const response = await this.#fetch(this.address(path, ask.query), {
      method,
      headers,
      body: json === undefined ? (body ?? null) : JSON.stringify(json),
      signal: signal ?? null,
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      cache: "no-store",
    });
    if (response.ok) return response;
    throw new BadAnswer(response.status, response.headers, await response.json().catch(() => undefined));
  }

  /** Sends a request and returns `data` of the answer. Throws as `send` does, within `ms`; 0 is no limit. */
  async data(method: string, path: string, ask: Ask = {}, ms = ANSWER_MS): Promise<any> {
    const deadline = new Deadline(this.#clock, ask.signal);
    if (ms) deadline.beat(ms);
    try {
      const response = await this.send(method, path, { ...ask, signal: deadline.signal });
      return response.status === 204 ? undefined : this.dataIn(await response.json().catch(unlessCut), response.status);
    } finally {
      deadline.end();
    }
  }

  /** The content of a good answer's body. Throws a `BadAnswer` if no shelfwire server wrote it. */
  dataIn(body: any, status: number): any {
    if (typeof body?.data !== "object" || body.data === null) throw new BadAnswer(status, new Headers(), undefined);
    const time = Date.parse(body.metadata?.timestamp);
    if (!Number.isNaN(time)) this.#ahead = time - this.#clock.now();
    return body.data;
  }
}

/** Whether no answer came, in contrast to a mistake of the caller's. */
export function isNetworkFailure(error: unknown): boolean {
  return error instanceof DOMException || (error instanceof TypeError && !(error instanceof MisuseError));
}

export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** An argument that cannot be sent. The message does not repeat it, since it may be a secret. */
class MisuseError extends TypeError {}

/** Returns `text` if it can be the value of a header. */
export function headerValue(text: string, what: string): string {
  if (/^[!-~]+$/.test(text)) return text;
  throw new MisuseError(`The ${what} is empty, or holds a space, a line break or a character outside ASCII`);
}

export const jobPath = (job: JobHandle, below = ""): string => `/api/jobs/${encodeURIComponent(job.jobId)}${below}`;

/** Takes what is no JSON for nothing, and an answer that was cut off for what it is. */
function unlessCut(error: unknown): void {
  if (!(error instanceof SyntaxError)) throw error;
}

function checkedUrl(given: string): string {
  const url = new URL(given || ".", globalThis.location?.href);
  if (!/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new TypeError("This is not a server's address. One looks like http://127.0.0.1:8787");
  }
  return url.href.replace(/\/+$/, "");
}
