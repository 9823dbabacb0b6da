// One follow of a job: over any number of connections, for one listener.
import { type Clock, Deadline, pause, systemClock } from "./clock.js";
import { ConnectionLostError } from "./errors.js";
import { Http, type JobHandle, reasonOf } from "./http.js";
import type { State } from "./messages.gen.js";
import { type Network, pageNetwork } from "./network.js";
import { Backoff, DELAYS, Deduplicator, type Transport, TransportFallback, isTerminal } from "./reconnect.js";
import { type JobMessage, messagesOf } from "./state.js";
import { type TokenHolder, type TokenStore, keepToken } from "./tokens.js";
import type { Link, Position, SocketClass, Way } from "./ways/link.js";
import { byPolling } from "./ways/poll.js";
import { ANSWER_MS, bySocket } from "./ways/socket.js";
import { byStream } from "./ways/stream.js";

export type Status = "connecting" | "live" | "waiting" | "offline";

export interface FollowOptions {
  /** Receives the seconds until the next attempt to reconnect. */
  readonly onWait?: ((seconds: number) => void) | undefined;
  /** Receives the token that replaces one about to expire, to be kept. */
  readonly onToken?: ((job: JobHandle) => unknown) | undefined;
  /** Receives how the connection is. */
  readonly onStatus?: ((status: Status) => void) | undefined;
  /** Shares renewed tokens with the other tabs of a website. */
  readonly store?: TokenStore | undefined;
  /** Ends the follow. The job goes on. */
  readonly signal?: AbortSignal | undefined;
}

export interface Callbacks {
  readonly onStarted?: ((message: JobMessage & { type: "job_started" }) => unknown) | undefined;
  readonly onProgress?: ((message: JobMessage & { type: "job_progress" }) => unknown) | undefined;
  readonly onComplete?: ((message: JobMessage & { type: "job_complete" }) => unknown) | undefined;
  /** The job failed or was canceled. */
  readonly onError?: ((message: JobMessage & { type: "error" }) => unknown) | undefined;
}

export interface ConnectionOptions {
  /** The server's address, which may have a path; by default that of the page. */
  readonly url?: string | undefined;
  /** The transports to use, in the order in which they are tried. */
  readonly transports?: readonly Transport[] | undefined;
  /** Seconds before each attempt to reconnect. */
  readonly delays?: readonly number[] | undefined;
  readonly fetch?: typeof fetch | undefined;
  /** Null for none. */
  readonly WebSocket?: SocketClass | null | undefined;
  /** Returns fractions in [0, 1), which shorten the delays. */
  readonly random?: (() => number) | undefined;
  /** What says whether the device has a network; null for nothing. By default the page's. */
  readonly network?: Network | null | undefined;
  readonly clock?: Clock | undefined;
}

/** What all follows of a client share. */
export interface FollowConfig {
  readonly http: Http;
  readonly clock: Clock;
  readonly random: () => number;
  readonly delays: readonly number[];
  readonly transports: readonly Transport[];
  readonly WebSocket: SocketClass | undefined;
  readonly network: Network | undefined;
}

const WAYS: Readonly<Record<Transport, Way>> = { websocket: bySocket, sse: byStream, polling: byPolling };
/** The messages that are shown, and the callback of each. */
const CALLBACKS: Readonly<Record<string, keyof Callbacks>> = { job_started: "onStarted", job_progress: "onProgress", job_complete: "onComplete", error: "onError" };
/** How long a page that is looked at again waits for an answer before it connects anew. */
const CHECK_MS = 3_000;
/** Longer than an event stream that lives is silent. */
const FRESH_MS = 20_000;

/** Follow a job until it ends, whatever happens to the connection. `Client.follow` does so with a client's connection. */
export function follow(job: JobHandle, options: ConnectionOptions & FollowOptions = {}): Following {
  return new Following(configOf(options), job, options);
}

/** Throws a `TypeError` if the address cannot be a server's. */
export function configOf(options: ConnectionOptions): FollowConfig {
  const { clock = systemClock, delays = DELAYS, network = pageNetwork(), random = Math.random } = options;
  const WebSocket = (options.WebSocket === undefined ? globalThis.WebSocket : options.WebSocket) ?? undefined;
  const transports = (options.transports ?? (["websocket", "sse", "polling"] as const)).filter((name) => WebSocket || name !== "websocket");
  const http = new Http(options.url ?? "", options.fetch ?? ((...words) => fetch(...words)), clock);
  return { http, clock, random, delays, transports, WebSocket, network: network ?? undefined };
}

/**
 * Iterate over it for the job's messages, once, until its ending; or call `run`. The iteration throws a `RefusedError` if
 * the server refuses for good, and a `ConnectionLostError` if every attempt to reconnect failed. Leaving it closes the
 * connection and leaves the job alone.
 */
export class Following implements AsyncIterable<JobMessage> {
  /** The job, with the token that is valid now. */
  job: JobHandle;
  /** The transport on which something was received last. */
  transport: Transport | undefined;
  /** Frames that could not be read. */
  unreadable = 0;

  readonly #config: FollowConfig;
  readonly #options: FollowOptions;
  readonly #position: Position = { shown: new Deduplicator(), eventId: "", returning: false };
  readonly #inbox = new Inbox();
  readonly #backoff: Backoff;
  readonly #fallback: TransportFallback;
  readonly #over = new AbortController();
  readonly #pings = new Map<number, (answered: boolean) => void>();
  readonly #link: Link & TokenHolder;
  #attempt = new AbortController();
  #socket: WebSocket | undefined;
  #live = false;
  #heardAt = 0;
  #online = true;
  #canceled = false;
  #begun = false;

  constructor(config: FollowConfig, job: JobHandle, options: FollowOptions = {}) {
    this.#config = config;
    this.#options = options;
    this.job = job;
    this.#backoff = new Backoff(config.delays);
    this.#fallback = new TransportFallback(config.transports);
    this.#link = this.#makeLink();
    if (options.signal?.aborted) this.close();
    else options.signal?.addEventListener("abort", this.close, { signal: this.#over.signal });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<JobMessage, void, undefined> {
    if (this.#begun) throw new Error("This follow was iterated over before. Call follow again for another");
    this.#begun = true;
    try {
      this.#watchNetwork();
      void keepToken(this.#link, this.#over.signal).catch((error: unknown) => this.#inbox.end(error));
      void this.#run().then(
        () => this.#inbox.end(),
        (error: unknown) => this.#inbox.end(error),
      );
      yield* this.#inbox.messages();
    } finally {
      this.close();
    }
  }

  /** Follow to the end with callbacks, which may be async, and return the terminal message; undefined after `close`. */
  async run(callbacks: Callbacks = {}): Promise<JobMessage | undefined> {
    for await (const message of this) {
      await callbacks[CALLBACKS[message.type]!]?.(message as never);
      if (isTerminal(message.type)) return message;
    }
    return undefined;
  }

  /**
   * The round-trip time in milliseconds: on the socket if there is one, else by HTTP.
   * Throws a `ConnectionLostError` if no answer comes within `ms`.
   */
  async ping(ms = ANSWER_MS): Promise<number> {
    const { clock, http } = this.#config;
    const began = clock.now();
    const deadline = new Deadline(clock, this.#over.signal);
    deadline.beat(ms);
    try {
      if (this.#socket) await this.#pong(deadline.signal);
      else await http.send("GET", "/health/live", { signal: deadline.signal });
    } catch (error) {
      throw new ConnectionLostError(reasonOf(error));
    } finally {
      deadline.end();
    }
    return clock.now() - began;
  }

  /** Pause: the device has no network. No attempts are used up until `networkRestored`. */
  networkLost(): void {
    this.#online = false;
    this.#attempt.abort();
  }

  /** Connect at once, with all attempts left, over whatever transport now works best. */
  networkRestored(): void {
    this.#online = true;
    this.#backoff.connected();
    this.#fallback.startOver();
    this.#attempt.abort();
  }

  /** Make no further attempt: the iteration throws a `ConnectionLostError` once the connection is lost. */
  cancelReconnection(): void {
    this.#canceled = true;
    if (!this.#live) this.#attempt.abort();
  }

  /** Stop following. The job goes on. */
  readonly close = (): void => {
    this.#over.abort();
    this.#attempt.abort();
    this.#inbox.close();
  };

  async #run(): Promise<void> {
    while (!this.#over.signal.aborted) {
      if (this.#canceled) throw new ConnectionLostError("reconnecting was cancelled");
      const { signal } = (this.#attempt = new AbortController());
      if (!this.#online) {
        await this.#idle(signal);
        continue;
      }
      this.#say("connecting");
      const failure = await WAYS[this.#fallback.current](this.#link, signal);
      this.#live = false;
      this.#attempt.abort();
      if (this.#position.shown.over) return;
      if (failure && !this.#fallback.failed(failure.kind)) await this.#wait(failure.reason);
    }
  }

  async #wait(reason: string): Promise<void> {
    if (this.#canceled || !this.#online) return;
    const { clock, network, random } = this.#config;
    const { signal } = (this.#attempt = new AbortController());
    const delay = this.#backoff.next(random());
    if (delay !== undefined) {
      this.#say("waiting");
      this.#options.onWait?.(delay);
      await pause(clock, delay * 1000, signal);
    } else if (network?.visible() === false) {
      await this.#idle(signal); // nobody is looking: go on when somebody does
    } else {
      throw new ConnectionLostError(reason);
    }
  }

  /** Waits for the network, or for somebody to look. */
  #idle(signal: AbortSignal): Promise<void> {
    this.#say("offline");
    return new Promise((resolve) => {
      if (signal.aborted || this.#over.signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve());
    });
  }

  #say(status: Status): void {
    if (!this.#over.signal.aborted) this.#options.onStatus?.(status);
  }

  #makeLink(): Link & TokenHolder {
    const { http, clock, WebSocket } = this.#config;
    const { store, onToken } = this.#options;
    const following = this;
    return {
      http,
      clock,
      WebSocket,
      position: this.#position,
      store,
      onToken: (job) => onToken?.(job),
      get job() {
        return following.job;
      },
      set job(job) {
        following.job = job;
      },
      alive: () => this.#alive(),
      receive: (frame) => this.#receive(frame),
      news: (state: State) => messagesOf(state, this.#position.shown.after).forEach((message) => this.#show(message)),
      use: (socket) => {
        this.#socket = socket;
        for (const settle of this.#pings.values()) settle(false);
      },
      say: (type, payload = {}) => this.#send(type, payload),
    };
  }

  #alive(): void {
    this.#heardAt = this.#config.clock.now();
    if (this.#live) return;
    this.#live = true;
    this.transport = this.#fallback.current;
    this.#fallback.works();
    this.#backoff.connected();
    this.#say("live");
  }

  #receive(frame: unknown): void {
    let message: any;
    try {
      message = JSON.parse(String(frame));
    } catch {
      message = undefined;
    }
    if (typeof message?.type !== "string" || typeof message.payload !== "object" || message.payload === null) {
      this.unreadable += 1;
    } else if (message.type === "pong") {
      this.#pings.get(message.payload.clientTime)?.(true);
    } else if (Object.hasOwn(CALLBACKS, message.type)) {
      this.#show(message);
    }
  }

  #show(message: JobMessage): void {
    if (this.#position.shown.accept(message)) this.#inbox.put(message);
  }

  #send(type: string, payload: object): void {
    const envelope = { type, jobId: this.job.jobId, pipeline: "", timestamp: this.#config.clock.now(), version: "1.0.0", payload };
    this.#socket?.send(JSON.stringify(envelope));
  }

  #pong(signal: AbortSignal): Promise<void> {
    const clientTime = Math.floor(this.#config.random() * 2 ** 52);
    return new Promise<void>((resolve, reject) => {
      this.#pings.set(clientTime, (answered) => (answered ? resolve() : reject(new Error("The socket was closed"))));
      signal.addEventListener("abort", () => reject(signal.reason));
      this.#send("ping", { clientTime });
    }).finally(() => this.#pings.delete(clientTime));
  }

  #watchNetwork(): void {
    const { network } = this.#config;
    if (!network) return;
    const offs = [
      network.on("online", () => this.networkRestored()),
      network.on("thawed", () => this.networkRestored()),
      network.on("frozen", () => this.networkLost()),
      network.on("offline", async () => {
        // It may be back by then, and a late `offline` would pause for good.
        if (!(await this.#answers()) && !network.online()) this.networkLost();
      }),
      network.on("shown", async () => {
        const attempt = this.#attempt; // another one, begun meanwhile, is left alone
        if (!(await this.#fresh()) && this.#attempt === attempt) this.networkRestored();
      }),
    ];
    this.#over.signal.addEventListener("abort", () => offs.forEach((off) => off()));
  }

  /** Whether a connection is open and still carries something; phones cut sockets without a word. */
  async #fresh(): Promise<boolean> {
    if (!this.#live || !this.#online) return false;
    return this.#socket ? this.#answers() : this.#config.clock.now() - this.#heardAt < FRESH_MS;
  }

  #answers(): Promise<boolean> {
    return this.#live ? this.ping(CHECK_MS).then(() => true, () => false) : Promise.resolve(false);
  }
}

/** Messages received and not yet taken. At most the start, the newest progress and the ending are kept. */
class Inbox {
  #messages: JobMessage[] = [];
  #ended = false;
  #error: unknown;
  #wake: () => void = () => {};

  put(message: JobMessage): void {
    if (message.type === "job_progress") this.#messages = this.#messages.filter(({ type }) => type !== "job_progress");
    this.#messages.push(message);
    this.#wake();
  }

  end(error?: unknown): void {
    if (!this.#ended) this.#error = error;
    this.#ended = true;
    this.#wake();
  }

  /** End, and forget what nobody took. */
  close(): void {
    this.#messages = [];
    this.end();
  }

  async *messages(): AsyncGenerator<JobMessage, void, undefined> {
    for (;;) {
      const message = this.#messages.shift();
      if (message) yield message;
      else if (this.#error !== undefined) throw this.#error;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
