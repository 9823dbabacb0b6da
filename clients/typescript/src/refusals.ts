// What the errors of requests mean to callers. A follow has rules of its own: see ways/link.ts.
import { E_FILE_TOO_LARGE, E_INTERNAL, E_RATE_LIMITED } from "./codes.gen.js";
import { BadAnswer, ConnectionLostError, RefusedError, type ShelfwireError } from "./errors.js";
import { isNetworkFailure, reasonOf } from "./http.js";

/** Statuses by which a proxy, or a network with a login page, keeps a client from the server, or does not reach it. */
const KEPT_AWAY = [401, 403, 407, 502, 503, 504, 511];

/** Turns what `Http` throws into the errors that callers see. */
export function asError(error: unknown, url: string, signal?: AbortSignal, idempotencyKey?: string): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof BadAnswer) return errorOf(error);
  if (isNetworkFailure(error)) return new ConnectionLostError(`${url} cannot be reached: ${reasonOf(error)}`, idempotencyKey);
  return error;
}

/**
 * What answers in the server's place, such as a proxy or the login page of a network, says nothing of the job or its
 * token: its 401 is a lost connection.
 */
function errorOf({ status, problem, retryAfter }: BadAnswer): ShelfwireError {
  if (problem) return new RefusedError(problem, status, retryAfter);
  const message = `Something between this client and the server answered ${status}`;
  if (status === 413) return new RefusedError({ ...E_FILE_TOO_LARGE, message }, status);
  if (status === 429) return new RefusedError({ ...E_RATE_LIMITED, message }, status, retryAfter);
  if (KEPT_AWAY.includes(status)) return new ConnectionLostError(message);
  return new RefusedError({ ...E_INTERNAL, message: `${message}, and not as a shelfwire server does`, retryable: false }, status);
}
