// Keeps the token of a follow from expiring, in one tab or in several.
import { type Clock, pause } from "./clock.js";
import { BadAnswer } from "./errors.js";
import { type Http, type JobHandle, isNetworkFailure, jobPath } from "./http.js";
import { refreshIn } from "./reconnect.js";
import { isBusy } from "./ways/link.js";

const AGAIN_MS = 5_000;
/** Timers overflow after 24 days and sleep with the device, so they are set again at least every hour. */
const HOUR_MS = 3_600_000;

/** Where tabs share the tokens of jobs. */
export interface TokenStore {
  /** The job with the newest token, if one is known. */
  load(jobId: string): JobHandle | undefined;
  save(job: JobHandle): void;
  /** Calls `act` when another tab saves a job, until the returned function is called. */
  onSave(act: (job: JobHandle) => void): () => void;
  /** Runs `act` while no other tab does. */
  alone<T>(jobId: string, act: () => Promise<T>): Promise<T>;
}

/** The tokens of jobs in `storage`, shared by the tabs of a website. Whoever can run a script in them can read it. */
export function storedTokens(storage: Storage = localStorage, prefix = "shelfwire.token."): TokenStore {
  const read = (text: string | null): JobHandle | undefined => {
    try {
      const job = JSON.parse(text ?? "null");
      return typeof job?.token === "string" && typeof job.jobId === "string" ? job : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    load: (jobId) => read(storage.getItem(prefix + jobId)),
    save: (job) => storage.setItem(prefix + job.jobId, JSON.stringify(job)),
    onSave(act) {
      const listener = ({ key, newValue, storageArea }: StorageEvent): void => {
        const job = storageArea === storage && key?.startsWith(prefix) ? read(newValue) : undefined;
        if (job) act(job);
      };
      addEventListener("storage", listener);
      return () => removeEventListener("storage", listener);
    },
    alone: (jobId, act) => (navigator.locks ? (navigator.locks.request(prefix + jobId, act) as ReturnType<typeof act>) : act()),
  };
}

export interface TokenHolder {
  job: JobHandle;
  readonly http: Http;
  readonly clock: Clock;
  readonly store: TokenStore | undefined;
  /** Receives a new token, to be kept. */
  onToken(job: JobHandle): unknown;
}

/** Replaces the holder's token whenever it is about to expire, until `signal` is aborted. */
export async function keepToken(holder: TokenHolder, signal: AbortSignal): Promise<void> {
  const { clock, http, store } = holder;
  take(holder, store?.load(holder.job.jobId));
  const unlisten = store?.onSave((job) => take(holder, job));
  try {
    while (!signal.aborted && holder.job.expiresAt !== undefined) {
      if (!(await knowsTime(holder, signal))) {
        await pause(clock, AGAIN_MS, signal);
        continue;
      }
      const job = holder.job;
      const due = http.now() + refreshIn(holder.job.expiresAt, http.now()) * 1000;
      while (!signal.aborted && holder.job === job && http.now() < due) {
        await pause(clock, Math.min(due - http.now(), HOUR_MS), signal);
      }
      if (!signal.aborted && holder.job === job && !(await renew(holder, signal))) return;
    }
  } finally {
    unlisten?.();
  }
}

/** Asks the server to replace a token. */
export async function rotated(http: Http, job: JobHandle, body: object = {}, signal?: AbortSignal): Promise<JobHandle> {
  const made = await http.data("POST", jobPath(job, "/token"), { job, json: body, signal });
  return { jobId: job.jobId, token: made.token, expiresAt: made.expiresAt };
}

/** Returns whether there is a new token. Otherwise the old one lasts as long as it lasts. */
async function renew(holder: TokenHolder, signal: AbortSignal): Promise<boolean> {
  const { clock, http, store } = holder;
  const old = holder.job;
  const replace = async (): Promise<void> => {
    take(holder, store?.load(old.jobId));
    if (holder.job !== old) return; // another tab was first
    const job = await rotated(http, old, {}, signal);
    holder.job = job;
    store?.save(job);
    await holder.onToken(job);
  };
  while (!signal.aborted && http.now() < old.expiresAt!) {
    try {
      await (store ? store.alone(old.jobId, replace) : replace());
      return true;
    } catch (error) {
      const again = error instanceof BadAnswer ? isBusy(error.status) || !error.problem : isNetworkFailure(error);
      if (!again) return false;
      await pause(clock, AGAIN_MS, signal);
    }
  }
  return false;
}

/** Takes a token that lasts longer than the holder's. */
function take(holder: TokenHolder, job: JobHandle | undefined): void {
  if (job?.jobId === holder.job.jobId && (job.expiresAt ?? Infinity) > (holder.job.expiresAt ?? Infinity)) holder.job = job;
}

/** Whether the server's time is known. It is asked for if no answer had it yet. */
async function knowsTime({ http, job }: TokenHolder, signal: AbortSignal): Promise<boolean> {
  if (!http.knowsTime) await http.data("GET", jobPath(job), { job, signal }).catch(() => undefined);
  return http.knowsTime;
}
