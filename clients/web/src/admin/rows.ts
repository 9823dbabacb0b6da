// The rows of the list of jobs: what a page brought, kept up to date without ever moving a row.
import type { JobNews, JobSummary } from "./types.js";

export interface Row {
  readonly job: JobSummary;
  /** Whether it has been erased since it was listed. */
  readonly gone?: boolean;
}

export const rowsOf = (items: readonly JobSummary[]): readonly Row[] => items.map((job) => ({ job }));

const ENDED = new Set(["complete", "failed", "canceled"]);
export const hasEnded = (job: Pick<JobSummary, "status">): boolean => ENDED.has(job.status);

/** The rows after news; each keeps its place, and is the same object if nothing changed of it. */
export function updated(rows: readonly Row[], news: Pick<JobNews, "items" | "gone">): readonly Row[] {
  const items = new Map(news.items.map((job) => [job.jobId, job]));
  const gone = new Set(news.gone);
  let changed = false;
  const after = rows.map((row) => {
    const job = items.get(row.job.jobId);
    if (gone.has(row.job.jobId) && !row.gone) return ((changed = true), { ...row, gone: true });
    if (job && job.seq > row.job.seq) return ((changed = true), { job });
    return row;
  });
  return changed ? after : rows;
}

/** The jobs whose news are worth waiting for: one that has ended never changes again. */
export const watched = (rows: readonly Row[]): readonly string[] => rows.flatMap(({ job, gone }) => (gone || hasEnded(job) ? [] : [job.jobId]));

/** When the newest job of a list was made; 0 for none. */
export const newestOf = (rows: readonly Row[]): number => Math.max(0, ...rows.map(({ job }) => job.createdAt));

export type Action = "pause" | "resume" | "cancel" | "retry" | "delete";

/** Whether something can be done to a job as it is known here; the server decides. */
export function canDo(action: Action, job: Pick<JobSummary, "status" | "pausing">): boolean {
  switch (action) {
    case "pause":
      return job.status === "queued" || (job.status === "running" && !job.pausing);
    case "resume":
      return job.status === "paused" || Boolean(job.pausing);
    case "cancel":
      return !hasEnded(job) && job.status !== "canceling";
    case "retry":
      return hasEnded(job);
    case "delete":
      return true;
  }
}

/** From 0 to 1; undefined where the number of items is not known. */
export const shareOf = ({ processedCount, totalCount, status }: JobSummary): number | undefined =>
  status === "complete" ? 1 : totalCount ? Math.min(1, processedCount / totalCount) : undefined;
