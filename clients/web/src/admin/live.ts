// The one event stream of the page: how the server stands, and what changes of the jobs in sight.
import { RefusedError } from "@shelfwire/client";
import { type Clock, Deadline, pause, systemClock } from "@shelfwire/client/clock";
import type { Http } from "@shelfwire/client/http";
import { asError } from "@shelfwire/client/refusals";
import { eventsIn } from "@shelfwire/client/ways/stream";
import { headersOf } from "./session.js";
import type { JobNews, Overview } from "./types.js";

/** Events come every two seconds. */
const SILENCE_MS = 10_000;
/** What rates are taken over. */
const RATE_MS = 15_000;
const DELAYS_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000];

export interface LiveState {
  readonly connection: "connecting" | "live" | "lost";
  readonly overview: Overview | undefined;
  /** Items and commits a second, of the last events; undefined until there are two. */
  readonly rates: { readonly items: number; readonly commits: number } | undefined;
  /** When the overview came, in milliseconds by this device. */
  readonly heardAt: number;
  /** Why the server takes the key no more; nothing is tried again. */
  readonly refused: RefusedError | undefined;
}

/** The jobs to be told of. */
export interface Sight {
  readonly jobs: readonly string[];
  /** Also count those that match and were made after `newer`; both are parameters of the server's. */
  readonly query?: Readonly<Record<string, string | number | undefined>> | undefined;
  readonly onNews: (news: JobNews) => void;
}

export class Live {
  state: LiveState = { connection: "connecting", overview: undefined, rates: undefined, heardAt: 0, refused: undefined };
  readonly #http: Http;
  readonly #key: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  #past: readonly Overview[] = [];
  #sight: Sight | undefined;
  #round = new AbortController();
  #wake: () => void = () => {};

  constructor(http: Http, key: string, clock: Clock = systemClock) {
    this.#http = http;
    this.#key = key;
    this.#clock = clock;
    void this.#run();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly snapshot = (): LiveState => this.state;

  /** Looks at these jobs in place of those before. */
  look(sight: Sight | undefined): void {
    const before = this.#sight;
    this.#sight = sight;
    if (same(before, sight)) return;
    this.#round.abort();
    this.#wake();
  }

  /** Try again at once, if it is waiting for its next try. */
  retry(): void {
    this.#wake();
  }

  close(): void {
    this.#stop.abort();
    this.#round.abort();
    this.#wake();
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      const round = (this.#round = new AbortController());
      try {
        await this.#listen(round.signal, () => (failures = 0));
      } catch (thrown) {
        const error = asError(thrown, this.#http.url);
        if (error instanceof RefusedError && [401, 403, 404].includes(error.status)) return this.#change({ connection: "lost", refused: error });
      }
      if (round.signal.aborted) continue;
      this.#change({ connection: "lost" });
      await this.#pause(DELAYS_MS[Math.min(failures, DELAYS_MS.length - 1)]!);
      failures += 1;
    }
  }

  async #listen(signal: AbortSignal, heard: () => void): Promise<void> {
    const deadline = new Deadline(this.#clock, signal);
    try {
      deadline.beat(SILENCE_MS);
      const sight = this.#sight;
      const query = { jobs: sight?.jobs.join(",") || undefined, ...sight?.query };
      const headers = { ...headersOf(this.#key), Accept: "text/event-stream" };
      const answer = await this.#http.send("GET", "/api/admin/events", { query, headers, signal: deadline.signal });
      if (!answer.body) return;
      for await (const events of eventsIn(answer.body)) {
        deadline.beat(SILENCE_MS);
        for (const { type, data } of events) {
          heard();
          if (type === "overview") this.#show(JSON.parse(data) as Overview);
          else if (type === "jobs" && !signal.aborted) this.#sight?.onNews(JSON.parse(data) as JobNews);
        }
      }
    } finally {
      deadline.end();
    }
  }

  #show(overview: Overview): void {
    this.#past = [...this.#past, overview].filter(({ at, commits }) => at > overview.at - RATE_MS && commits <= overview.commits);
    this.#change({ connection: "live", overview, rates: ratesOf(this.#past), heardAt: this.#clock.now() });
  }

  async #pause(ms: number): Promise<void> {
    const waiting = new AbortController();
    this.#wake = () => waiting.abort();
    await pause(this.#clock, ms, waiting.signal);
    this.#wake = () => {};
  }

  #change(change: Partial<LiveState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Items and commits a second between the first and the last of some overviews. */
export function ratesOf(past: ReadonlyArray<Pick<Overview, "at" | "items" | "commits">>): LiveState["rates"] {
  const [first, last] = [past[0], past.at(-1)];
  if (!first || !last || last.at <= first.at) return undefined;
  const seconds = (last.at - first.at) / 1000;
  return { items: (last.items - first.items) / seconds, commits: (last.commits - first.commits) / seconds };
}

const same = (one: Sight | undefined, other: Sight | undefined): boolean =>
  JSON.stringify([one?.jobs, one?.query]) === JSON.stringify([other?.jobs, other?.query]);
