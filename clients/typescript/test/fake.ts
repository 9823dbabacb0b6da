// A server in memory whose connections go wrong by script, and a clock that jumps.
import type { Clock } from "../src/clock.js";
import type { JobHandle } from "../src/http.js";
import type { State } from "../src/messages.gen.js";
import type { Network, NetworkEvent } from "../src/network.js";

/** Lets everything that is due happen: what waits on promises alone. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Time passes only while everybody waits, and then at once. */
export class FakeClock implements Clock {
  #now = 1_700_000_000_000;
  #timers: { at: number; act: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  timer(ms: number, act: () => void): () => void {
    const timer = { at: this.#now + ms, act };
    if (!Number.isFinite(ms)) throw new RangeError("no clock can wait for ever");
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** The number of timers that were set and have not fired. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Lets time pass until `promise` is settled, and returns its result. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    promise.then(done, done);
    for (let turn = 0; turn < 100_000; turn += 1) {
      await settle();
      if (settled) return promise;
      this.#jump(Infinity);
    }
    throw new Error("it never came to an end");
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    while (this.#timers.some(({ at }) => at <= end)) {
      this.#jump(end);
      await settle();
    }
    this.#now = end;
    await settle();
  }

  #jump(end: number): void {
    const next = this.#timers.reduce((first, timer) => (timer.at < first.at ? timer : first), this.#timers[0] ?? { at: Infinity, act: () => {} });
    if (next.at === Infinity) throw new Error("everybody waits, and no timer is set");
    if (next.at > end) return;
    this.#timers = this.#timers.filter((timer) => timer !== next);
    this.#now = Math.max(this.#now, next.at);
    next.act();
  }
}

/** What happens to one connection, in place of what a server does. */
export type Fault =
  /** It is cut after that many messages; with a close code where it is a socket. */
  | { cut: number; code?: number; reason?: string }
  /** It carries that many messages and nothing afterwards. */
  | { hold: number; comments?: number }
  /** It is refused. Without a problem it is a proxy that answers. */
  | { refuse: number; problem?: string; retryAfter?: string }
  /** It is not answered: `fail` as without a network, `silent` never. */
  | "fail"
  /** A socket whose handshake fails with an error and no close, as Node 20 has it. */
  | "error"
  | "silent"
  | "serve";

export interface Connection {
  readonly path: string;
  readonly headers: Headers;
  readonly at: number;
}

type Send = (message: object) => unknown;
type Finish = (code?: number, reason?: string) => void;

const TOKEN = /^[\w.~-]+$/;

export class FakeServer {
  readonly clock: FakeClock;
  readonly url = "http://server.test/below";
  readonly job: JobHandle = { jobId: "11111111-2222-4333-8444-555555555555", token: "token-1" };
  /** How the next connections of each kind go wrong; after these they are served. */
  readonly faults: Record<"websocket" | "events" | "state" | "token" | "create" | "health", Fault[]> = {
    websocket: [], events: [], state: [], token: [], create: [], health: [],
  };
  /** Every connection, by kind. */
  readonly seen: { kind: string; path: string; headers: Headers; at: number; protocols?: string[] }[] = [];
  /** Every message of a client, on any socket. */
  readonly said: { type: string; at: number; payload: any }[] = [];
  readonly options: RequestInit[] = [];
  /** What the server's clock is ahead of the client's. */
  ahead = 0;
  answersPings = true;
  waits = true;
  tokenSeconds: number | undefined;
  sockets = 0;
  readonly #followers = new Set<{ send: Send; finish: Finish; sent: number }>();
  #waiters = new Set<() => void>();
  state: State;

  constructor(clock = new FakeClock()) {
    this.clock = clock;
    const links = {} as State["links"];
    this.state = {
      jobId: this.job.jobId, pipeline: "csv_import", status: "running", totalCount: 100, processedCount: 0, successCount: 0,
      failureCount: 0, lastUpdateTime: clock.now(), startTime: clock.now(), seq: 1, attempt: 1, expiresAt: 9e15, links,
    };
  }

  get attached(): number {
    return this.#followers.size;
  }

  kinds(): string[] {
    return this.seen.map(({ kind }) => kind);
  }

  /** Records items after `ms`. */
  at(ms: number, act: () => void): this {
    this.clock.timer(ms, act);
    return this;
  }

  record(processed: number): void {
    const { seq } = this.state;
    this.state = { ...this.state, seq: seq + 1, processedCount: processed, successCount: processed };
    this.broadcast(this.#progress());
    this.#wake();
  }

  end(): void {
    this.state = { ...this.state, seq: this.state.seq + 1, status: "complete", duration: 1, results: [], processedCount: 100, successCount: 100 };
    for (const follower of [...this.#followers]) {
      follower.send(this.#ending());
      follower.finish(1000, "Job completed");
    }
    this.#wake();
  }

  /** Sends a message to everybody who is attached now. */
  broadcast(message: object): void {
    for (const { send } of [...this.#followers]) send(message);
  }

  /** Cuts off everybody. */
  cut(code = 1006, reason = ""): void {
    for (const { finish } of [...this.#followers]) finish(code, reason);
  }

  message(type: string, payload: object, seq: number | undefined = this.state.seq): object {
    return { type, jobId: this.job.jobId, pipeline: "csv_import", timestamp: this.state.lastUpdateTime, version: "1.0.0", payload, seq };
  }

  #progress = (): object => this.message("job_progress", { processedCount: this.state.processedCount });
  #ending = (): object =>
    this.message("job_complete", { successCount: 100, failureCount: 0, duration: 1, results: [] });

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const wake of waiters) wake();
  }

  #fault(kind: keyof FakeServer["faults"], path: string, headers: Headers, protocols?: string[]): Fault {
    this.seen.push({ kind, path, headers, at: this.clock.now(), ...(protocols && { protocols }) });
    return this.faults[kind].shift() ?? "serve";
  }

  /** Sends a follower what it is due, then whatever follows, as its fault allows. */
  #attach(fault: Fault, after: number, write: Send, close: Finish): () => void {
    const limit = typeof fault !== "object" ? Infinity : "cut" in fault ? fault.cut : "hold" in fault ? fault.hold : Infinity;
    const follower = {
      sent: 0,
      send: (message: object) => {
        if (follower.sent < limit) write(message);
        follower.sent += 1;
        cutIfDue();
      },
      finish: (code?: number, reason?: string) => {
        if (this.#followers.delete(follower)) close(code, reason);
      },
    };
    const cutIfDue = (): void => {
      if (typeof fault === "object" && "cut" in fault && follower.sent >= fault.cut) follower.finish(fault.code ?? 1006, fault.reason ?? "");
    };
    this.#followers.add(follower);
    cutIfDue();
    if (this.state.seq > after) {
      if (this.state.startTime !== undefined) follower.send(this.message("job_started", { totalCount: 100 }));
      follower.send(this.#progress());
    }
    if (this.state.status === "complete") {
      follower.send(this.#ending());
      follower.finish(1000, "Job completed");
    }
    return () => this.#followers.delete(follower);
  }

  fetch: typeof fetch = async (input, init = {}) => {
    const url = new URL(String(input));
    const headers = new Headers(init.headers);
    const path = url.pathname.slice("/below".length) + url.search;
    this.options.push(init);
    const kind = path.startsWith("/health") ? "health"
      : /\/events$/.test(path) ? "events"
      : path.endsWith("/token") ? "token"
      : path.startsWith("/api/jobs/") ? "state" : "create";
    const fault = this.#fault(kind, path, headers);
    const { signal } = init;
    if (fault === "fail") throw new TypeError("fetch failed");
    if (fault === "silent") return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    if (typeof fault === "object" && "refuse" in fault) return this.#refusal(fault);
    if (kind === "events") return this.#events(fault, headers, signal);
    if (kind === "health") return Response.json({ status: "ok" });
    if (kind === "token") {
      const token = `token-${this.kinds().filter((name) => name === "token").length + 1}`;
      return this.#answer({ token, scopes: [], ...(this.tokenSeconds && { expiresAt: this.clock.now() + this.ahead + this.tokenSeconds * 1000 }) });
    }
    if (kind === "create") return this.#answer({ success: true, message: "", links: {}, ...this.job });
    const after = Number(url.searchParams.get("after") ?? -1);
    if (url.searchParams.has("wait") && this.waits && this.state.seq <= after) await this.#news(25_000, signal);
    return this.#answer(this.state);
  };

  #news(ms: number, signal: AbortSignal | null | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.timer(ms, resolve);
      this.#waiters.add(() => {
        cancel();
        resolve();
      });
      signal?.addEventListener("abort", () => {
        cancel();
        reject(signal.reason);
      });
    });
  }

  #answer(data: object): Response {
    return Response.json({ success: true, data, metadata: { timestamp: new Date(this.clock.now() + this.ahead).toISOString() } });
  }

  #refusal({ refuse, problem, retryAfter }: { refuse: number; problem?: string; retryAfter?: string }): Response {
    const headers: Record<string, string> = retryAfter === undefined ? {} : { "Retry-After": retryAfter };
    if (problem === undefined) return new Response("<html>No</html>", { status: refuse, headers });
    const body = { code: problem, detail: `because of ${problem}`, userMessage: "No.", retryable: false };
    return Response.json(body, { status: refuse, headers });
  }

  #events(fault: Fault, headers: Headers, signal: AbortSignal | null | undefined): Response {
    let detach = (): unknown => undefined;
    let open = true;
    const comments = typeof fault === "object" && "hold" in fault ? (fault.comments ?? 0) : Infinity;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const write = (text: string): unknown => open && controller.enqueue(new TextEncoder().encode(text));
        let stop = (): void => {};
        const beat = (left: number): void => {
          if (left > 0) stop = this.clock.timer(15_000, () => (write(":\n\n"), beat(left - 1)));
        };
        const end = (act: () => void): void => {
          if (open) act();
          open = false;
          stop();
        };
        write(`:${" ".repeat(10)}\n\n`);
        beat(comments);
        signal?.addEventListener("abort", () => detach());
        const send = (message: any): unknown =>
          write(`event: ${message.type}\n${message.type === "job_started" ? "" : `id: ${message.seq}\n`}data: ${JSON.stringify(message)}\n\n`);
        const remove = this.#attach(fault, Number(headers.get("Last-Event-ID") ?? -1), send, () => end(() => controller.close()));
        detach = () => {
          remove();
          end(() => controller.error(signal?.reason));
        };
      },
      cancel: () => {
        open = false;
        detach();
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream; charset=utf-8" } });
  }

  /** The sockets of this server, as a browser's: they say nothing about why a handshake failed. */
  get WebSocket(): new (url: string, protocols: string[]) => WebSocket {
    const server = this;
    class FakeSocket {
      onopen: (() => void) | null = null;
      onmessage: ((event: { data: string }) => void) | null = null;
      onerror: (() => void) | null = null;
      onclose: ((event: { code: number; reason: string }) => void) | null = null;
      readyState = 0;
      #detach: () => unknown = () => undefined;

      constructor(url: string, protocols: string[]) {
        if (!protocols.every((name) => TOKEN.test(name))) throw new SyntaxError("no such subprotocol is possible");
        const { pathname, search, searchParams } = new URL(url);
        const fault = server.#fault("websocket", pathname.slice("/below".length) + search, new Headers(), protocols);
        server.sockets += 1;
        queueMicrotask(() => {
          if (this.readyState === 3 || fault === "silent") return;
          if (fault === "error") return this.onerror?.();
          if (fault === "fail" || (typeof fault === "object" && "refuse" in fault)) return this.#closed(1006, "");
          this.readyState = 1;
          this.#mute = typeof fault === "object" && ("hold" in fault || ("cut" in fault && fault.cut === 0));
          this.onopen?.();
          const write = (message: object): void => queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(message) }));
          this.#detach = server.#attach(fault, Number(searchParams.get("after")), write, (code, reason) =>
            queueMicrotask(() => this.#closed(code ?? 1006, reason ?? "")),
          );
        });
      }

      #mute = false;

      #closed(code: number, reason: string): void {
        if (this.readyState === 3) return;
        this.readyState = 3;
        server.sockets -= 1;
        this.onclose?.({ code, reason });
      }

      send(text: string): void {
        const { type, payload } = JSON.parse(text);
        server.said.push({ type, payload, at: server.clock.now() });
        queueMicrotask(() => {
          if (this.readyState !== 1 || this.#mute || !server.answersPings) return;
          if (type === "ping") this.onmessage?.({ data: JSON.stringify(server.message("pong", payload, undefined)) });
        });
      }

      close(): void {
        this.#detach();
        this.#closed(1000, "");
      }
    }
    return FakeSocket as unknown as new (url: string, protocols: string[]) => WebSocket;
  }
}

/** A page's network, which a test switches. */
export class FakeNetwork implements Network {
  isOnline = true;
  isVisible = true;
  readonly listeners = new Set<{ event: NetworkEvent; act: () => void }>();

  online = (): boolean => this.isOnline;
  visible = (): boolean => this.isVisible;

  on(event: NetworkEvent, act: () => void): () => void {
    const listener = { event, act };
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  fire(event: NetworkEvent): void {
    for (const listener of [...this.listeners]) if (listener.event === event) listener.act();
  }
}
