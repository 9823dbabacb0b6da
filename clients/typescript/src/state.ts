// Turns the state document of a job into messages, so that a client that polls shows the same as one on a socket.
import { E_INTERNAL } from "./codes.gen.js";
import type { JobComplete, JobError, JobProgress, JobStarted, State } from "./messages.gen.js";

/** A message from the server that tells of a job. */
export type JobMessage = {
  readonly jobId: string;
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  readonly version: string;
  /** The job's revision that the message shows. */
  readonly seq?: number;
} & (
  | { readonly type: "job_started"; readonly payload: JobStarted }
  | { readonly type: "job_progress"; readonly payload: JobProgress }
  | { readonly type: "job_complete"; readonly payload: JobComplete }
  | { readonly type: "error"; readonly payload: JobError }
);

const TRUNCATED = "Only the first results are shown here; the rest can be fetched.";

/** The messages that are due, in order, to a client that has shown everything up to `after`. */
export function messagesOf(state: State, after = 0): JobMessage[] {
  const messages: JobMessage[] = [];
  const add = (part: Pick<JobMessage, "type" | "payload">): void => {
    const { jobId, pipeline, lastUpdateTime: timestamp, seq } = state;
    messages.push({ ...part, jobId, pipeline, timestamp, version: "1.0.0", seq } as JobMessage);
  };
  if (state.seq > after) {
    if (state.startTime !== undefined) {
      add({ type: "job_started", payload: present<JobStarted>({ totalCount: state.totalCount, metadata: state.metadata }) });
    }
    if (state.processedCount || state.userMessage) add({ type: "job_progress", payload: progress(state) });
  }
  if (state.status === "complete") add({ type: "job_complete", payload: complete(state) });
  if (state.status === "failed" || state.status === "canceled") add({ type: "error", payload: failure(state) });
  return messages;
}

function progress(state: State): JobProgress {
  return present<JobProgress>({
    processedCount: state.processedCount,
    totalCount: state.startTime === undefined ? undefined : state.totalCount,
    failureCount: state.failureCount,
    currentTitle: state.currentTitle,
    currentItem: state.currentItem,
    userMessage: state.userMessage,
    state: state.status,
    etaSeconds: state.etaSeconds,
  });
}

function complete(state: State): JobComplete {
  const { summary, truncated } = state;
  return present<JobComplete>({
    successCount: state.successCount,
    failureCount: state.failureCount,
    duration: state.duration ?? 0,
    results: state.results ?? null,
    summary: truncated ? (summary ? `${summary}. ${TRUNCATED}` : TRUNCATED) : summary,
    resultsUrl: state.resultsUrl,
    truncated,
  });
}

function failure(state: State): JobError {
  const { code, retryable, userMessage } = E_INTERNAL;
  return state.error ?? { code, retryable, userMessage, message: `The job is ${state.status}, for no given reason` };
}

/** Leaves out what is undefined. */
function present<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
