// The same action on many jobs: on those that match a filter, by the server's own count, or on some by their ids.
import { RefusedError } from "@shelfwire/client";
import type { Action } from "./rows.js";
import { type Server, asShelfwireError } from "./shared.js";
import type { BulkAnswer } from "./types.js";

/** Requests at a time about single jobs. */
const AT_ONCE = 6;

export interface Outcome {
  readonly done: number;
  readonly failed: ReadonlyArray<{ readonly jobId: string; readonly code: string }>;
  /** Why it stopped before all was tried. */
  readonly stopped?: { readonly code: string; readonly message: string } | undefined;
}

export type OnProgress = (outcome: Outcome) => void;

export const count = (server: Server, action: Action, filter: object): Promise<BulkAnswer> =>
  server.ask("POST", "/api/admin/bulk", { json: { action, filter } });

/** The number of jobs that match by now, if a refusal says that it is another one. */
export function changedTo(error: unknown): number | undefined {
  if (!(error instanceof RefusedError) || error.status !== 409) return undefined;
  const { matches } = (error.details ?? {}) as { matches?: unknown };
  return typeof matches === "number" ? matches : undefined;
}

/** Acts on all jobs that match, if they are as many as were counted. Throws the refusal of the first call. */
export async function actOnMatching(server: Server, action: Action, filter: object, counted: BulkAnswer, onProgress: OnProgress): Promise<Outcome> {
  let outcome: Outcome = { done: 0, failed: [] };
  let call: { expect: number; cursor?: string } = { expect: counted.matches };
  for (;;) {
    let answer: BulkAnswer;
    try {
      answer = await server.ask("POST", "/api/admin/bulk", { json: { action, filter, asOf: counted.asOf, ...call } });
    } catch (error) {
      if (call.cursor === undefined) throw error;
      return { ...outcome, stopped: asShelfwireError(error) };
    }
    outcome = { done: outcome.done + (answer.done ?? 0), failed: [...outcome.failed, ...(answer.failed ?? [])] };
    onProgress(outcome);
    if (!answer.left || !answer.next) return outcome;
    call = { expect: answer.left, cursor: answer.next };
  }
}

/** Acts on single jobs, a few at a time. */
export async function actOn(server: Server, action: Action, ids: readonly string[], onProgress: OnProgress): Promise<Outcome> {
  let outcome: Outcome = { done: 0, failed: [] };
  const left = [...ids];
  const worker = async (): Promise<void> => {
    for (let id = left.shift(); id !== undefined && !outcome.stopped; id = left.shift()) {
      try {
        await actOnOne(server, action, id);
        outcome = { ...outcome, done: outcome.done + 1 };
      } catch (thrown) {
        const error = asShelfwireError(thrown);
        outcome = { ...outcome, failed: [...outcome.failed, { jobId: id, code: error.code }] };
        if (!(error instanceof RefusedError) || error.status === 401) outcome = { ...outcome, stopped: error };
      }
      onProgress(outcome);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (left.length) outcome = { ...outcome, failed: [...outcome.failed, ...left.map((jobId) => ({ jobId, code: outcome.stopped?.code ?? "" }))] };
  return outcome;
}

/** Acts on one job; returns the new job of a retry. */
export function actOnOne(server: Server, action: Action, id: string): Promise<{ readonly jobId?: string } | undefined> {
  const path = `/api/jobs/${encodeURIComponent(id)}`;
  if (action === "delete") return server.ask("DELETE", path);
  const headers = action === "retry" ? { "Idempotency-Key": crypto.randomUUID() } : {};
  return server.ask("POST", `${path}/${action}`, { headers });
}
