// Work that is done outside of the server, as its worker's side: a job is made or claimed, reported, and let go. For Node.
// Source: section 9 of the wire contract.
import { type Clock, pause } from "./clock.js";
import { BadAnswer, ConnectionLostError, RefusedError } from "./errors.js";
import { type ConnectionOptions, configOf } from "./follow.js";
import { type Ask, type Http, type JobHandle, headerValue, isNetworkFailure, jobPath, reasonOf } from "./http.js";
import type { State } from "./messages.gen.js";
import { asError } from "./refusals.js";

const TICK_MS = 200;
const MAX_ITEMS = 500;
/** Of the items of one report, which may have 1 MiB. */
const MAX_BYTES = 900_000;
const AGAIN = [429, 502, 503, 504];
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 1_000;
/** Nobody can take the job while the server is away, so it is worth coming back. */
const PATIENCE_MS = 900_000;
const BEGIN_MS = 30_000;

type Ranges = ReadonlyArray<readonly [number, number]>;

/** A job that this worker holds. */
export interface Attempt {
  readonly jobId: string;
  /** The secret to report with. */
  readonly reportToken: string;
  readonly attempt: number;
  readonly leaseSeconds: number;
  /** First and last indices of what earlier attempts have recorded. */
  readonly recorded: Ranges;
  /** Likewise, which items of the input the job is about; null for all. */
  readonly selection: Ranges | null;
  readonly inputs: ReadonlyArray<{ readonly name: string; readonly size: number; readonly url: string }>;
  /** The job, where it was claimed. */
  readonly state?: State;
  /** The owner's secret, where the job was made just now. */
  readonly token?: string;
}

export interface WorkOptions extends Pick<ConnectionOptions, "url" | "fetch" | "clock" | "random"> {
  /** One with the role `work`. */
  readonly apiKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ItemError {
  readonly code: string;
  readonly userMessage: string;
  readonly message?: string;
  readonly retryable?: boolean;
}

export interface Progress {
  /** How much is done, in work without items. */
  readonly processedCount?: number;
  readonly fraction?: number;
  readonly currentTitle?: string;
  readonly userMessage?: string;
}

/** Make a job and hold it. Throws a `RefusedError`, or a `ConnectionLostError` if the server cannot be reached. */
export async function begin(
  pipeline: string,
  options: WorkOptions & { total?: number; jobId?: string; leaseSeconds?: number; metadata?: State["metadata"]; tags?: string[] } = {},
): Promise<Reporter> {
  const { total: totalCount, jobId = crypto.randomUUID(), leaseSeconds, metadata, tags } = options;
  const attempt = await asked("/api/jobs", { pipeline, jobId, totalCount, leaseSeconds, metadata, tags }, options);
  return report({ ...attempt, jobId }, options);
}

/** Claim the next waiting job of these pipelines; null if there is none within `wait` seconds. Errors as in `begin`. */
export async function claim(
  pipelines: readonly string[],
  options: WorkOptions & { wait?: number; leaseSeconds?: number; worker?: string } = {},
): Promise<Reporter | null> {
  const { wait, leaseSeconds, worker } = options;
  const attempt = await asked("/api/work/claim", { pipelines, wait, leaseSeconds, worker }, options);
  return attempt && report({ ...attempt, jobId: attempt.state.jobId }, options);
}

/** Report a job that this worker holds. */
export function report(attempt: Attempt, options: WorkOptions = {}): Reporter {
  return new Reporter(attempt, options);
}

/**
 * Gathers what is done and sends it, numbered, every 200 ms or 500 items; renews the lease beside that. End it with
 * `complete`, `failJob`, `release` or `close`.
 */
export class Reporter {
  readonly attempt: Attempt;
  /** What the owner asks for: leave the work and `release`. `signal` is aborted then. */
  stop: "cancel" | "pause" | null = null;
  readonly #over = new AbortController();
  readonly #left = new AbortController();
  readonly #http: Http;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #job: JobHandle;
  #items: object[] = [];
  #content: Record<string, unknown> = {};
  #number = 0;
  #sentAt: number;
  #cancelTick: (() => void) | undefined;
  #sending: Promise<void> = Promise.resolve();
  #status = "running";

  constructor(attempt: Attempt, options: WorkOptions = {}) {
    const { http, clock, random } = configOf({ ...options, network: null });
    this.attempt = attempt;
    this.#http = http;
    this.#clock = clock;
    this.#random = random;
    this.#job = { jobId: attempt.jobId, token: attempt.reportToken };
    this.#sentAt = clock.now();
    void this.#renew();
  }

  /** Aborted when the owner asks to stop, or when the job is lost to another worker; its reason says which. */
  get signal(): AbortSignal {
    return this.#left.signal;
  }

  /** What followers need, where the job was made just now. */
  get handle(): JobHandle | undefined {
    const { jobId, token } = this.attempt;
    return token === undefined ? undefined : { jobId, token };
  }

  /** Whether an earlier attempt has recorded an item. */
  isRecorded(index: number): boolean {
    return this.attempt.recorded.some(([first, last]) => first <= index && index <= last);
  }

  /** Say how many items there are. */
  start(totalCount: number, metadata?: State["metadata"]): Promise<void> {
    return this.#add({ totalCount, ...(metadata && { metadata }) });
  }

  /** Record an item that is done. Awaiting it slows a worker down that is faster than its server. */
  record(index: number, result: unknown, about: { title?: string; author?: string; isbn?: string } = {}): Promise<void> {
    return this.#add({}, { index, ok: true, result, ...about });
  }

  /** Record an item that failed. */
  fail(index: number, error: ItemError, about: { title?: string } = {}): Promise<void> {
    return this.#add({}, { index, ok: false, error, ...about });
  }

  /** Say how far work without items is, or what it is at. */
  progress(progress: Progress): Promise<void> {
    return this.#add({ ...progress });
  }

  /** Keep bytes under a name, for a later attempt. */
  async keep(name: string, bytes: Uint8Array): Promise<void> {
    await this.#deliver("PUT", `/kept/${encodeURIComponent(name)}`, { body: bytes as BodyInit });
  }

  /** Returns when everything so far is durable. */
  flush(): Promise<void> {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    return (this.#sending = this.#sending.then(() => this.#send()));
  }

  /** Complete the job, and return its status. */
  complete(outcome: { summary?: string; results?: unknown } = {}): Promise<string> {
    return this.#end({ complete: outcome });
  }

  /** Let the job fail. */
  failJob(error: ItemError): Promise<string> {
    return this.#end({ fail: error });
  }

  /** Hand the job back: to another worker, or to the owner who asked to stop. */
  release(): Promise<string> {
    return this.#end({ release: {} });
  }

  /** Report nothing more. The job can be claimed by another once its lease has ended. */
  close(): void {
    this.#cancelTick?.();
    this.#over.abort();
  }

  async #end(end: object): Promise<string> {
    try {
      this.#content = { ...this.#content, end };
      await this.flush();
      return this.#status;
    } catch (error) {
      await this.#breakOff(error);
      throw error;
    } finally {
      this.close();
    }
  }

  /** Lets the job be tried again after a report that was refused, since the attempt still holds it. */
  async #breakOff(error: unknown): Promise<void> {
    if (!(error instanceof RefusedError) || this.#over.signal.aborted) return;
    const json = { number: this.#number + 1, end: { retry: { message: error.message } } };
    await this.#deliver("POST", "/report", { json }).catch(() => {}); // the lease will end all the same
  }

  async #add(content: object, item?: object): Promise<void> {
    if (this.#over.signal.aborted) throw this.#left.signal.reason ?? new TypeError("This attempt has ended");
    this.#content = { ...this.#content, ...content };
    if (item) this.#items.push(item);
    if (this.#items.length >= MAX_ITEMS) return this.flush();
    this.#cancelTick ??= this.#clock.timer(TICK_MS, () => void this.flush().catch(() => {})); // the next call throws it
  }

  /** Sends what there is, in as many reports as it takes; what ends the attempt goes with the last. */
  async #send(): Promise<void> {
    while (this.#items.length || Object.keys(this.#content).length) {
      const [items, bytes] = this.#takeItems();
      const { end, ...content } = this.#content;
      // Beside many items the results of an ending may be too much for one report.
      const fits = items.length === 0 || bytes + bytesOf(end) <= MAX_BYTES;
      const last = end !== undefined && fits && this.#items.length === 0;
      this.#content = end === undefined || last ? {} : { end };
      const body = { number: this.#number + 1, ...content, ...(items.length && { items }), ...(last && { end }) };
      if (Object.keys(body).length === 1) continue;
      await this.#deliver("POST", "/report", { json: body });
      this.#number += 1;
    }
  }

  /** Takes the items of the next report; returns how many bytes they have as well. */
  #takeItems(): [object[], number] {
    let bytes = 0;
    let count = 0;
    for (const item of this.#items.slice(0, MAX_ITEMS)) {
      const more = bytesOf(item) + 1;
      if (count && bytes + more > MAX_BYTES) break;
      bytes += more;
      count += 1;
    }
    return [this.#items.splice(0, count), bytes];
  }

  /** Sends the same bytes until they are answered: the server knows a report by its number. */
  async #deliver(method: string, below: string, ask: Ask): Promise<void> {
    try {
      const sentAt = this.#clock.now();
      const signal = this.#over.signal;
      const data = await answered(this.#http, this.#clock, this.#random, method, jobPath(this.#job, below), { ...ask, job: this.#job, signal }, PATIENCE_MS);
      this.#sentAt = Math.max(this.#sentAt, sentAt);
      if (!data?.status) return;
      this.#status = data.status;
      this.stop = data.stop ?? null;
      if (this.stop) this.#left.abort(new Error(`The job's owner asks for: ${this.stop}`));
    } catch (error) {
      if (error instanceof ConnectionLostError || (error instanceof RefusedError && ["E_LEASE_LOST", "E_UNAUTHORIZED"].includes(error.code))) {
        this.#left.abort(error);
        this.close();
      }
      throw error;
    }
  }

  /** A report without content renews the lease. */
  async #renew(): Promise<void> {
    const third = (this.attempt.leaseSeconds * 1000) / 3;
    const { signal } = this.#over;
    while (!signal.aborted) {
      await pause(this.#clock, Math.max(1, this.#sentAt + third - this.#clock.now()), signal);
      if (signal.aborted) return;
      if (this.#clock.now() - this.#sentAt >= third) await this.#deliver("POST", "/report", { json: {} }).catch(() => {});
    }
  }
}

const bytesOf = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length;

async function asked(path: string, json: object, { apiKey, signal, ...options }: WorkOptions): Promise<any> {
  const { http, clock, random } = configOf({ ...options, network: null });
  const headers = apiKey === undefined ? {} : { "X-API-Key": headerValue(apiKey, "API key") };
  return answered(http, clock, random, "POST", path, { json, headers, signal }, BEGIN_MS);
}

/** Sends a request, which must do no harm if it arrives twice, until it is answered or `ms` have passed. */
async function answered(http: Http, clock: Clock, random: () => number, method: string, path: string, ask: Ask, ms: number): Promise<any> {
  const until = clock.now() + ms;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(LAST_PAUSE_MS, wait * 2)) {
    try {
      return await http.data(method, path, ask);
    } catch (error) {
      const again = error instanceof BadAnswer ? AGAIN.includes(error.status) : isNetworkFailure(error);
      if (!again || ask.signal?.aborted) throw asError(error, http.url, ask.signal);
      if (clock.now() >= until) throw new ConnectionLostError(reasonOf(error));
      await pause(clock, wait * (0.5 + random() / 2), ask.signal);
    }
  }
}
