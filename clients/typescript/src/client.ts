import { type Clock, pause } from "./clock.js";
import { E_FILE_TOO_LARGE } from "./codes.gen.js";
import { BadAnswer, ConnectionLostError, RefusedError, ShelfwireError } from "./errors.js";
import { type ConnectionOptions, type FollowConfig, type FollowOptions, Following, configOf } from "./follow.js";
import { type Ask, type Http, type JobHandle, headerValue, isNetworkFailure, jobPath } from "./http.js";
import type { ResultItem, ResultPage, State } from "./messages.gen.js";
import type { Network } from "./network.js";
import { Backoff, DELAYS, type Transport } from "./reconnect.js";
import { asError } from "./refusals.js";
import { rotated } from "./tokens.js";
import { type OnUpload, upload } from "./upload.js";

export type * from "./messages.gen.js";
export type { Callbacks, FollowOptions, Status } from "./follow.js";
export type { JobMessage } from "./state.js";
export { type TokenStore, storedTokens } from "./tokens.js";
export { type Clock, ConnectionLostError, DELAYS, Following, type JobHandle, type Network, RefusedError, ShelfwireError, type Transport };

export interface ClientOptions extends ConnectionOptions {
  /** Sent only where jobs are created. A page must hold none: everybody can read it there. */
  readonly apiKey?: string | undefined;
}

export interface CreateOptions {
  /** A UUID of the caller's own choice. */
  readonly jobId?: string | undefined;
  /** Unguessable: the same key and input mean the same job. Without one, a new one covers the call. */
  readonly idempotencyKey?: string | undefined;
  readonly onUpload?: OnUpload | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface EnrichOption {
  /** Whether to look the books up with the providers of book data too. */
  readonly enrich?: boolean | undefined;
}

export interface Book {
  readonly title: string;
  readonly author?: string;
  readonly isbn?: string;
}

export type Scope = "watch" | "control" | "results";

export interface Selection {
  readonly status?: "ok" | "failed" | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Input {
  /** An input, sent as the form field `file`. */
  readonly file?: Blob | undefined;
  /** More inputs, by form field. */
  readonly files?: Readonly<Record<string, Blob>> | undefined;
  /** The input as JSON, for pipelines that take no file. */
  readonly json?: Readonly<Record<string, unknown>> | undefined;
}

/** An item to try again with what was wrong put right: some cells of its row by column, or the whole book. */
export interface MendedItem {
  /** Its place in the job's input. */
  readonly index: number;
  readonly cells?: Readonly<Record<string, string>>;
  readonly book?: Partial<Book>;
}

/** What a person puts right in a result. The job's results stay as they are; exports can have it applied. */
export interface Correction {
  /** The item. */
  readonly index: number;
  /** The book's place within the item, from 0. */
  readonly book: number;
  readonly title?: string;
  readonly authors?: readonly string[];
  /** It is no book. */
  readonly struck?: boolean;
}

export interface ResultFile {
  /** As the server proposes it. */
  readonly name: string;
  readonly data: Blob;
}

const CREATE_RETRIES = 3;
const MAX_PAGE = 1000;
const GATEWAY = [502, 503, 504];
const EXPORTS = { csv: "text/csv", ndjson: "application/x-ndjson" };

/**
 * A connection to a shelfwire server. Its methods throw a `RefusedError` if the server refuses, and a
 * `ConnectionLostError` if it cannot be reached.
 */
export class Client {
  readonly #http: Http;
  readonly #config: FollowConfig;
  readonly #keyHeader: Readonly<Record<string, string>>;

  constructor({ apiKey, ...options }: ClientOptions = {}) {
    this.#config = configOf(options);
    this.#http = this.#config.http;
    this.#keyHeader = apiKey === undefined ? {} : { "X-API-Key": headerValue(apiKey, "API key") };
  }

  /** The server's address, without a slash at its end. */
  get url(): string {
    return this.#http.url;
  }

  /** Send a book list (CSV, .xlsx, .ods, or one of them in a .zip) and start its import. */
  importCsv(file: Blob, options: CreateOptions & EnrichOption & { gemini?: "auto" | "always" | "never" } = {}): Promise<JobHandle> {
    const { gemini } = options;
    const form = formOf([["file", file]], gemini === undefined ? {} : { gemini });
    return this.create("/api/import/csv-gemini", { body: form, query: enriched(options) }, options);
  }

  /** Send 1 to 20 photos of bookshelves and start to read them. */
  scan(photos: readonly Blob[], options: CreateOptions & EnrichOption = {}): Promise<JobHandle> {
    const [path, field] = photos.length === 1 ? ["", "image"] : ["/batch", "images"];
    const body = formOf(photos.map((photo) => [field, photo]));
    return this.create(`/api/scan-bookshelf${path}`, { body, query: enriched(options) }, options);
  }

  /** Send 1 to 1,000 books and start to look them up. */
  enrich(books: readonly Book[], options: CreateOptions = {}): Promise<JobHandle> {
    return this.create("/api/enrichment/batch", { json: { books } }, options);
  }

  /** Start a job of any pipeline. */
  start(pipeline: string, { file, files, json }: Input, options: CreateOptions = {}): Promise<JobHandle> {
    const parts = Object.entries({ ...(file && { file }), ...files });
    const input = json === undefined ? { body: formOf(parts) } : { json };
    return this.create(`/api/pipelines/${encodeURIComponent(pipeline)}/jobs`, input, options);
  }

  /**
   * Start a job with a POST to any route that makes one. A request whose answer is lost is sent again, three times, and
   * makes no second job. Throws a `ConnectionLostError` with the `idempotencyKey` to call this again with, where it is not
   * known whether a job was started.
   */
  async create(path: string, input: Pick<Ask, "json" | "query" | "headers"> & { readonly body?: FormData }, options: CreateOptions = {}): Promise<JobHandle> {
    const { jobId, signal, onUpload, idempotencyKey = crypto.randomUUID() } = options;
    const { body, json } = input;
    if (jobId !== undefined) body?.append("jobId", jobId);
    const keys = { ...this.#keyHeader, "Idempotency-Key": headerValue(idempotencyKey, "idempotency key") };
    const ask: Ask = {
      ...input,
      ...(json !== undefined && { json: jobId === undefined ? json : { ...(json as object), jobId } }),
      headers: { ...keys, ...input.headers },
      signal,
    };
    const made = await this.#untilAnswered(() => upload(this.#http, path, ask, onUpload), ask, idempotencyKey);
    return { jobId: made.jobId, token: made.token, expiresAt: made.tokenExpiresAt };
  }

  /** The state of a job. */
  state(job: JobHandle, signal?: AbortSignal): Promise<State> {
    return this.#of(job, "GET", "", { signal });
  }

  /** Request that a job stop until `resume`. */
  pause(job: JobHandle): Promise<State> {
    return this.#of(job, "POST", "/pause");
  }

  /** Let a paused job go on. */
  resume(job: JobHandle): Promise<State> {
    return this.#of(job, "POST", "/resume");
  }

  /** Request that a job stop for good. */
  cancel(job: JobHandle): Promise<State> {
    return this.#of(job, "POST", "/cancel");
  }

  /**
   * Start a new job over the failed and unrecorded items of an ended one; `items` among them are tried as they are given,
   * and with `only: "given"` no others.
   */
  retry(
    job: JobHandle,
    { items, only, ...options }: Omit<CreateOptions, "jobId" | "onUpload"> & { items?: readonly MendedItem[]; only?: "given" } = {},
  ): Promise<JobHandle> {
    const headers = { Authorization: `Bearer ${headerValue(job.token, "token")}` };
    return this.create(jobPath(job, "/retry"), { headers, ...(items && { json: { items, only } }) }, options);
  }

  /** End a job if it has not ended, and erase all its data, tokens included. */
  async delete(job: JobHandle): Promise<void> {
    await this.#of(job, "DELETE");
  }

  /** One page of a job's results, in the order of the input; `cursor` is `next` of the page before. */
  page(job: JobHandle, options: Selection & { cursor?: string | null; limit?: number } = {}): Promise<ResultPage> {
    const { cursor, limit = MAX_PAGE, signal, status } = options;
    return this.#of(job, "GET", "/results", { query: { cursor: cursor ?? undefined, limit, status }, signal });
  }

  /** Iterate over the items that are recorded now, in the order of the input. */
  async *results(job: JobHandle, options: Selection = {}): AsyncGenerator<ResultItem, void, undefined> {
    let cursor: string | null = null;
    for (;;) {
      const { items, next }: ResultPage = await this.page(job, { ...options, cursor });
      yield* items;
      if (next === null || next === cursor) return;
      cursor = next;
    }
  }

  /**
   * Iterate over the parts of one file with the items that are recorded now: `csv` is a table that is safe to open in a
   * spreadsheet, `ndjson` a JSON document per line. `original`: the failed items alone, as they stood in the table that was
   * sent, with the reason in an added column; always as CSV.
   */
  async *export(
    job: JobHandle,
    { kind = "csv", original, status, signal }: Selection & { kind?: "csv" | "ndjson"; original?: boolean } = {},
  ): AsyncGenerator<string, void, undefined> {
    const headers = { Accept: EXPORTS[kind] };
    let cursor: string | undefined;
    for (;;) {
      const query = { limit: MAX_PAGE, cursor, status, original: original ? "true" : undefined };
      const page = await this.#asking(this.#http.send("GET", jobPath(job, "/results"), { job, query, headers, signal }), signal);
      const text = await this.#asking(page.text(), signal);
      yield cursor !== undefined && kind === "csv" ? text.slice(text.indexOf("\r\n") + 2) : text; // each page repeats the header
      const next = cursorIn(page.headers.get("Link"));
      if (next === undefined || next === cursor) return;
      cursor = next;
    }
  }

  /** All items that are recorded now, as one file of a format that the server knows, such as `csv`, `json` or `goodreads`. */
  async file(
    job: JobHandle,
    { format = "csv", corrected, status, signal }: Selection & { format?: string; corrected?: boolean } = {},
  ): Promise<ResultFile> {
    const query = { format, file: 1, corrected: corrected ? 1 : undefined, status };
    const answer = await this.#asking(this.#http.send("GET", jobPath(job, "/results"), { job, query, signal }), signal);
    const [, name = `books.${format}`] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "") ?? [];
    return { name, data: await this.#asking(answer.blob(), signal) };
  }

  /** A photo of a job, from 0, upright, as JPEG; `width` in pixels, at most. */
  async photo(job: JobHandle, place: number, { width, signal }: { width?: number; signal?: AbortSignal } = {}): Promise<Blob> {
    const path = jobPath(job, `/photos/${place}`);
    const answer = await this.#asking(this.#http.send("GET", path, { job, query: { width }, signal }), signal);
    return this.#asking(answer.blob(), signal);
  }

  /** What was corrected in a job's results. */
  async corrections(job: JobHandle, signal?: AbortSignal): Promise<readonly Correction[]> {
    return (await this.#of(job, "GET", "/corrections", { signal })).corrections;
  }

  /** Replace the corrections of one item; returns those of all. */
  async correct(job: JobHandle, index: number, corrections: ReadonlyArray<Omit<Correction, "index">>): Promise<readonly Correction[]> {
    return (await this.#of(job, "PUT", `/corrections/${index}`, { json: { corrections } })).corrections;
  }

  /** Create another token for a job, for a holder with fewer rights; `expiresIn` is in seconds. */
  newToken(job: JobHandle, options: { scopes: readonly Scope[]; expiresIn?: number }): Promise<JobHandle> {
    return this.#asking(rotated(this.#http, job, options));
  }

  /** Replace a token by a new one; the old one is valid for another minute. */
  rotate(job: JobHandle, options: { expiresIn?: number } = {}): Promise<JobHandle> {
    return this.#asking(rotated(this.#http, job, options));
  }

  /** Revoke a token, and close every connection made with it. */
  async revoke(job: JobHandle): Promise<void> {
    await this.#of(job, "DELETE", "/token");
  }

  /** Follow a job until it ends, whatever happens to the connection. */
  follow(job: JobHandle, options: FollowOptions = {}): Following {
    return new Following(this.#config, job, options);
  }

  #of(job: JobHandle, method: string, below = "", ask: Ask = {}): Promise<any> {
    return this.#asking(this.#http.data(method, jobPath(job, below), { ...ask, job }), ask.signal);
  }

  async #asking<T>(answer: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw asError(error, this.url, signal);
    }
  }

  /** Sends again while the answer is lost, once the server has answered something small. */
  async #untilAnswered(send: () => Promise<any>, { body, signal }: Ask, key: string): Promise<any> {
    const { clock, delays, random } = this.#config;
    const backoff = new Backoff(delays.slice(0, CREATE_RETRIES));
    let throughGateway = false;
    for (;;) {
      try {
        return await send();
      } catch (error) {
        const gateway = error instanceof BadAnswer && !error.problem && GATEWAY.includes(error.status);
        if (signal?.aborted || !(gateway || isNetworkFailure(error))) throw asError(error, this.url, signal);
        if (gateway && throughGateway && body) throw notPassedOn(error.status);
        throughGateway = gateway;
        do {
          const delay = backoff.next(random());
          if (delay === undefined) throw asError(gateway ? new TypeError(`a gateway answered ${error.status}`) : error, this.url, signal, key);
          await pause(clock, delay * 1000, signal);
        } while (!signal?.aborted && !(await this.#answers(signal)));
      }
    }
  }

  #answers(signal?: AbortSignal): Promise<boolean> {
    return this.#http.send("GET", "/health/live", { signal }).then(() => true, () => false);
  }
}

function notPassedOn(status: number): RefusedError {
  const message = `Something on the way answered ${status} to this upload, twice; the upload may exceed its limit`;
  return new RefusedError({ ...E_FILE_TOO_LARGE, message }, 413);
}

function formOf(files: ReadonlyArray<readonly [string | undefined, Blob]>, fields: Readonly<Record<string, string>> = {}): FormData {
  const form = new FormData();
  for (const [name, text] of Object.entries(fields)) form.append(name, text);
  for (const [name = "file", file] of files) form.append(name, file);
  return form;
}

const enriched = ({ enrich }: EnrichOption): Ask["query"] => ({ enrich: enrich ? "true" : undefined });

/** The cursor of the next page in a `Link` header. */
function cursorIn(link: string | null): string | undefined {
  const [, query] = /^<\?([^>]*)>; rel="next"/.exec(link ?? "") ?? [];
  return new URLSearchParams(query).get("cursor") ?? undefined;
}
