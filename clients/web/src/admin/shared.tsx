// What all screens of the operator's page share: the server they ask, the time, and how an answer that is not there looks.
import { ConnectionLostError, ShelfwireError } from "@shelfwire/client";
import type { Ask, Http } from "@shelfwire/client/http";
import { asError } from "@shelfwire/client/refusals";
import { type ComponentChildren, createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { Alert, Button } from "../parts/index.js";
import { useSyncExternalStore } from "../parts/react.js";
import { states } from "../strings/admin.en.js";
import type { Live, LiveState } from "./live.js";
import { type Session, headersOf, isKeyRefused } from "./session.js";

/** The server, as this operator sees it. */
export class Server {
  readonly session: Session;
  readonly live: Live;
  readonly #http: Http;
  readonly #onRefused: () => void;

  constructor(http: Http, session: Session, live: Live, onRefused: () => void) {
    this.#http = http;
    this.session = session;
    this.live = live;
    this.#onRefused = onRefused;
  }

  get mayChange(): boolean {
    return this.session.role === "admin";
  }

  /** Milliseconds since the epoch by the server's clock. */
  now(): number {
    return this.#http.now();
  }

  /** Throws a `ShelfwireError`. */
  async ask<T>(method: string, path: string, { headers, ...ask }: Ask = {}): Promise<T> {
    try {
      return (await this.#http.data(method, path, { ...ask, headers: { ...headersOf(this.session.key), ...headers } })) as T;
    } catch (thrown) {
      const error = asError(thrown, this.#http.url, ask.signal);
      if (isKeyRefused(error)) this.#onRefused();
      throw error;
    }
  }
}

export const ServerContext = createContext<Server | undefined>(undefined);

export function useServer(): Server {
  const server = useContext(ServerContext);
  if (!server) throw new Error("No server: the key has to be asked for first");
  return server;
}

export function useLive(): LiveState {
  const { live } = useServer();
  return useSyncExternalStore(live.subscribe, live.snapshot);
}

/** The time by the server's clock, in milliseconds; renders again every second. */
export function useNow(): number {
  const server = useServer();
  const [now, tick] = useState(() => server.now());
  useEffect(() => {
    const timer = setInterval(() => tick(server.now()), 1000);
    return () => clearInterval(timer);
  }, [server]);
  return now;
}

export interface Loaded<T> {
  readonly value: T | undefined;
  readonly error: ShelfwireError | undefined;
  readonly loading: boolean;
  readonly again: () => void;
}

/** What a question is answered with; asked anew when one of `inputs` changes. What was there stays until the answer comes. */
export function useAnswer<T>(question: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Loaded<T> {
  const [state, set] = useState<Omit<Loaded<T>, "again">>({ value: undefined, error: undefined, loading: true });
  const [round, ask] = useState(0);
  useEffect(() => {
    const asking = new AbortController();
    set((before) => ({ ...before, loading: true }));
    question(asking.signal).then(
      (value) => !asking.signal.aborted && set({ value, error: undefined, loading: false }),
      (error: unknown) => !asking.signal.aborted && set(({ value }) => ({ value, error: asShelfwireError(error), loading: false })),
    );
    return () => asking.abort();
  }, [...inputs, round]);
  const again = useCallback(() => ask((before) => before + 1), []);
  return { ...state, again };
}

export const asShelfwireError = (error: unknown): ShelfwireError =>
  error instanceof ShelfwireError ? error : new ShelfwireError("E_INTERNAL", String(error), String(error), false);

/** A question that failed: its code, and a way to ask again. */
export function Failed({ error, again }: { error: ShelfwireError; again?: (() => void) | undefined }) {
  return (
    <Alert>
      <p>
        {error instanceof ConnectionLostError ? states.offline : states.failed} <code>{error.code}</code>
        <br />
        <span class="fine">{error.message}</span>
      </p>
      {again && (
        <Button icon="retry" onClick={again}>
          {states.again}
        </Button>
      )}
    </Alert>
  );
}

/** Grey boxes of the height of what will be there. */
export function Bones({ rows, height }: { rows: number; height: number }) {
  return (
    <div class="bones" role="status">
      <span class="sr">{states.loading}</span>
      {Array.from({ length: rows }, (_, n) => (
        <i key={n} style={{ height: `${height}px` }} />
      ))}
    </div>
  );
}

/** The heading of a screen, which takes the focus when the screen is opened. */
export function Heading({ children }: { children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}

/** A table that scrolls sideways where it is too wide; `old` while it is about to be replaced, or could not be. */
export function Wide({ label, old, children }: { label: string; old?: boolean; children: ComponentChildren }) {
  return (
    <div class={`wide${old ? " old" : ""}`} tabIndex={0} role="region" aria-label={states.table(label)}>
      {children}
    </div>
  );
}

export const shortId = (id: string): string => id.slice(0, 8);
