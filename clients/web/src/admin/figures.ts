// What the overview means: whether the promises are kept, and what needs the operator's attention.
import type { Outcome, Overview, Share } from "./types.js";

export const GOALS = ["unauthorized", "undecodable", "recovered", "reconnects"] as const;
export type GoalName = (typeof GOALS)[number];
export type Period = "day" | "sinceStart" | "week";

/** These are promised to stay below the limit, the others to reach it at most. */
const BELOW: ReadonlySet<GoalName> = new Set(["undecodable", "reconnects"]);

export interface Goal {
  readonly name: GoalName;
  readonly period: Period;
  readonly bad: number;
  readonly of: number;
  /** Undefined where nothing has happened yet that could be counted. */
  readonly met: boolean | undefined;
  /** The same over the other periods that the server has. */
  readonly others: ReadonlyArray<{ readonly period: Period; readonly bad: number; readonly of: number }>;
}

/** The four promises, by what the server counted; the last day decides. */
export function goalsOf(success: Overview["success"]): readonly Goal[] {
  return GOALS.flatMap((name) => {
    const outcome: Outcome | undefined = success[name];
    if (!outcome) return [];
    const { day, sinceStart, target } = outcome;
    const others = ([["sinceStart", sinceStart], ["week", outcome]] as const).map(([period, { bad, total }]) => ({ period, bad, of: total }));
    return [{ name, period: "day", bad: day.bad, of: day.total, met: isMet(name, day, target ?? 0), others }];
  });
}

function isMet(name: GoalName, { bad, total: of }: Share, limit: number): boolean | undefined {
  if (of === 0) return undefined;
  return bad === 0 || (BELOW.has(name) ? bad / of < limit : bad / of <= limit);
}

/** Seconds after which a queue is too slow, a node looks away, and is gone. */
const QUEUE_SECONDS = 60;
export const NODE_SECONDS = { warn: 10, bad: 30 };
/** The least share of the disk, and the fewest bytes, that are left in peace. */
const DISK = { share: 0.1, bytes: 1e9 };

export type Problem =
  | { readonly kind: "goal"; readonly tone: "bad"; readonly goal: Goal }
  | { readonly kind: "stalled"; readonly tone: "warn"; readonly jobs: number; readonly since: number | undefined; readonly ids: readonly string[] }
  | { readonly kind: "queue"; readonly tone: "warn"; readonly seconds: number; readonly jobs: number }
  | { readonly kind: "disk"; readonly tone: "bad"; readonly bytes: number; readonly share: number }
  | { readonly kind: "givenUp"; readonly tone: "warn"; readonly webhooks: number }
  | { readonly kind: "node"; readonly tone: "warn" | "bad"; readonly name: string; readonly seconds: number };

/** What is not as it should be, the worst first. */
export function problemsIn(overview: Overview): readonly Problem[] {
  const { queue, disk, nodes, webhooks, stalledJobs, at, success } = overview;
  const found: Problem[] = goalsOf(success).flatMap((goal) => (goal.met === false ? [{ kind: "goal", tone: "bad", goal } as const] : []));
  if (disk && (disk.freeBytes < DISK.bytes || disk.freeBytes / disk.totalBytes < DISK.share)) {
    found.push({ kind: "disk", tone: "bad", bytes: disk.freeBytes, share: disk.freeBytes / disk.totalBytes });
  }
  for (const { name = "", seenAt = at } of nodes) {
    const seconds = (at - seenAt) / 1000;
    if (seconds > NODE_SECONDS.warn) found.push({ kind: "node", tone: seconds > NODE_SECONDS.bad ? "bad" : "warn", name, seconds });
  }
  const stalled = Math.max(queue.stalled, stalledJobs.length);
  if (stalled) {
    const since = stalledJobs.length ? Math.min(...stalledJobs.map((one) => one.lastUpdateTime)) : undefined;
    found.push({ kind: "stalled", tone: "warn", jobs: stalled, since, ids: stalledJobs.map((one) => one.jobId) });
  }
  if (queue.length && queue.ageSeconds > QUEUE_SECONDS) found.push({ kind: "queue", tone: "warn", seconds: queue.ageSeconds, jobs: queue.length });
  if (webhooks.givenUp) found.push({ kind: "givenUp", tone: "warn", webhooks: webhooks.givenUp });
  return found.sort((one, other) => Number(other.tone === "bad") - Number(one.tone === "bad"));
}

/** How many jobs there are of each status, or of one pipeline. */
export function statusCounts(jobs: Overview["jobs"], pipeline?: string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [name, byStatus] of Object.entries(jobs)) {
    if (pipeline !== undefined && name !== pipeline) continue;
    for (const [status, value] of Object.entries(byStatus)) counts[status] = (counts[status] ?? 0) + value;
  }
  return counts;
}
