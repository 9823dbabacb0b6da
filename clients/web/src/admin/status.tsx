import { list, statuses } from "../strings/admin.en.js";
import type { JobSummary } from "./types.js";

/** The state of a job as a word with a mark of its own shape. */
export function StatusMark({ job, gone }: { job: Pick<JobSummary, "status" | "stalled" | "pausing">; gone?: boolean | undefined }) {
  const status = job.stalled ? "stalled" : job.pausing ? "pausing" : job.status;
  return (
    <span class={`state ${gone ? "gone" : status}`}>
      <i aria-hidden="true" />
      {gone ? list.gone : statuses[status]}
    </span>
  );
}
