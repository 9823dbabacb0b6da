// What this browser keeps: the keys of its reader's jobs, and for the visit the files that were sent.
import type { JobHandle, TokenStore } from "@shelfwire/client";

export interface KeptJob extends JobHandle {
  readonly name: string;
  /** The pipeline. */
  readonly kind: string;
  /** When it was started, in milliseconds since the epoch. */
  readonly at: number;
  /** The jobs that tried mended rows of this one again, oldest first. */
  readonly retries?: readonly JobHandle[];
  /** The token only allows to watch. */
  readonly watching?: boolean;
  /** It came by a link, so that its name is the one that the server knows. */
  readonly linked?: boolean;
}

const KEY = "shelfwire.jobs";
/** A job that somebody let this tab watch; its token must not outlive the tab. */
const WATCHED = "shelfwire.watched";
const API_KEY = "shelfwire.key";
const MOST = 100;

const isJob = (job: Partial<KeptJob> | null): job is KeptJob => typeof job?.jobId === "string" && typeof job.token === "string";

function read(storage: Storage, key: string): readonly KeptJob[] {
  try {
    const jobs: unknown = JSON.parse(storage.getItem(key) ?? "[]");
    return Array.isArray(jobs) ? jobs.filter(isJob) : [];
  } catch {
    return [];
  }
}

/** Storage may be full or forbidden; the page then goes on without. */
function write(storage: Storage, key: string, jobs: readonly KeptJob[]): void {
  try {
    storage.setItem(key, JSON.stringify(jobs));
  } catch {
    lost = jobs;
  }
}
/** What could not be stored, for as long as the page lasts. */
let lost: readonly KeptJob[] = [];

export const listJobs = (): readonly KeptJob[] => read(localStorage, KEY);

export function findJob(id: string): KeptJob | undefined {
  return [...read(sessionStorage, WATCHED), ...listJobs(), ...lost].find(({ jobId }) => jobId === id);
}

/** A job with the token that is valid now. */
export const fresh = (job: JobHandle): JobHandle => findJob(job.jobId) ?? job;

/** Keeps a job, in place of what was kept of it before; the newest come first. */
export function keepJob(job: KeptJob): void {
  const [storage, key] = job.watching ? [sessionStorage, WATCHED] : [localStorage, KEY];
  const others = read(storage, key).filter(({ jobId }) => jobId !== job.jobId);
  write(storage, key, [job, ...others].sort((a, b) => b.at - a.at).slice(0, MOST));
}

export function forgetJob(id: string): void {
  write(localStorage, KEY, listJobs().filter(({ jobId }) => jobId !== id));
  write(sessionStorage, WATCHED, read(sessionStorage, WATCHED).filter(({ jobId }) => jobId !== id));
  lost = lost.filter(({ jobId }) => jobId !== id);
  sentFiles.delete(id);
}

export function forgetAllJobs(): void {
  listJobs().forEach(({ jobId }) => forgetJob(jobId));
}

/** Calls `act` when another tab has changed what is kept, until the returned function is called. */
export function onKept(act: () => void): () => void {
  const changed = (event: StorageEvent): void => {
    if (event.key === KEY) act();
  };
  addEventListener("storage", changed);
  return () => removeEventListener("storage", changed);
}

/** Shares renewed tokens among the tabs, in the list of jobs. */
export const tokens: TokenStore = {
  load: findJob,
  save(handle) {
    const job = findJob(handle.jobId);
    if (job) return keepJob({ ...job, ...handle });
    for (const other of listJobs()) {
      if (!other.retries?.some(({ jobId }) => jobId === handle.jobId)) continue;
      keepJob({ ...other, retries: other.retries.map((retry) => (retry.jobId === handle.jobId ? handle : retry)) });
    }
  },
  onSave: (act) => onKept(() => listJobs().forEach(act)),
  alone: (jobId, act) => (navigator.locks ? (navigator.locks.request(`shelfwire.${jobId}`, act) as ReturnType<typeof act>) : act()),
};

/** The files of this visit by job: photos are shown from them at once. */
export const sentFiles = new Map<string, readonly File[]>();

/** The key that this tab creates jobs with, where the server wants one. */
export const apiKey = {
  get: (): string | undefined => sessionStorage.getItem(API_KEY) ?? undefined,
  set: (key: string): void => sessionStorage.setItem(API_KEY, key),
  forget: (): void => sessionStorage.removeItem(API_KEY),
};
