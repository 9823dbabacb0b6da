// What a connection of a follow works with, and what its failures mean.
import type { Clock } from "../clock.js";
import { BadAnswer, RefusedError } from "../errors.js";
import { type Http, type JobHandle, isNetworkFailure, reasonOf } from "../http.js";
import type { State } from "../messages.gen.js";
import type { Deduplicator, FailureKind } from "../reconnect.js";

/** The position of a follow, over all its connections. */
export interface Position {
  /** Drops what was shown already. */
  readonly shown: Deduplicator;
  /** The last id that an event stream named; of several events with one `seq` only the last has an id. */
  eventId: string;
  /** Whether there was a socket before, on which something may have been missed. */
  returning: boolean;
}

/** A socket as browsers and Node have it. */
export type SocketClass = new (url: string, protocols: string[]) => WebSocket;

export interface Link {
  readonly http: Http;
  readonly clock: Clock;
  readonly WebSocket: SocketClass | undefined;
  /** The job, with the token that is valid now. */
  readonly job: JobHandle;
  readonly position: Position;
  /** Take note that something was received. */
  alive(): void;
  /** Handle a message as it was sent. */
  receive(frame: unknown): void;
  /** Show what a state document says. */
  news(state: State): void;
  /** Use this socket for pings; undefined when it has closed. */
  use(socket: WebSocket | undefined): void;
  /** Send a message of this type on the socket in use. */
  say(type: "ping" | "sync_request", payload?: object): void;
}

export interface Failure {
  readonly kind: FailureKind;
  readonly reason: string;
}

/**
 * One connection, over one transport. Resolves to its failure, or to undefined when the ending was shown or `signal` was
 * aborted; rejects with a `RefusedError` if the server refused for good.
 */
export type Way = (link: Link, signal: AbortSignal) => Promise<Failure | undefined>;

/** Servers' own answers where they lack the transport, or see no upgrade because a proxy has removed it. */
const NOT_HERE = [404, 405, 426];

/** The failure that a thrown error stands for. Throws what the server refused for good, and defects. */
export function judge(error: unknown): Failure {
  if (error instanceof BadAnswer) {
    const { status, problem } = error;
    const reason = problem?.message ?? `Something between this client and the server answered ${status}`;
    if (!problem || NOT_HERE.includes(status)) return { kind: "blocked", reason };
    if (isBusy(status)) return { kind: "lost", reason };
    throw new RefusedError(problem, status, error.retryAfter);
  }
  if (isNetworkFailure(error)) return { kind: "lost", reason: reasonOf(error) };
  throw error;
}

/** Whether a status says that the same request may succeed in a moment. */
export const isBusy = (status: number): boolean => status === 429 || status >= 500;
