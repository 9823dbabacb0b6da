// The pure parts of the operator's page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type JobsView, filterOf, fragmentOf, placeOf, queryOf } from "../src/admin/address.js";
import { goalsOf, problemsIn, statusCounts } from "../src/admin/figures.js";
import { since, span } from "../src/admin/format.js";
import { canDo, newestOf, rowsOf, shareOf, updated, watched } from "../src/admin/rows.js";
import { type Point, dotsOf, lastOf, nearest, niceTop, pathOf, thinned } from "../src/admin/scale.js";
import type { JobSummary, Overview } from "../src/admin/types.js";

const VIEW: JobsView = { status: ["failed", "canceled"], pipeline: "csv_import", tag: "user:17", search: "a&b=ü", within: "24h", oldest: true, cursor: "WzE=" };

test("what jobs are listed by is the same after a reload", () => {
  const place = { screen: "jobs" as const, code: undefined, stalled: undefined, ...VIEW };
  assert.deepEqual(placeOf(fragmentOf(place)), place);
  assert.equal(fragmentOf(placeOf(fragmentOf(place))), fragmentOf(place));
});

test("every place has an address that leads back to it", () => {
  for (const fragment of ["#/", "#/?window=7d", "#/jobs", "#/jobs?code=E_INTERNAL", "#/jobs?stalled=1&sort=created", "#/job/0123-4567", "#/webhooks?status=given_up", "#/audit?job=0123&key=anna&cursor=7"]) {
    assert.equal(fragmentOf(placeOf(fragment)), fragment);
  }
});

test("an address that says nothing sensible leads to what can be shown", () => {
  for (const fragment of ["", "#", "#/nowhere", "#/job/", "#/?window=1y"]) assert.deepEqual(placeOf(fragment), { screen: "overview", window: "15m" });
  const place = placeOf("#/jobs?status=failed,nonsense&within=1y&sort=size");
  assert.deepEqual(place, placeOf("#/jobs?status=failed"));
  assert.deepEqual(placeOf("#/job/%E0%A4%A"), { screen: "job", id: "%E0%A4%A" });
});

test("the server is asked for what the address says, and only for that", () => {
  assert.deepEqual(queryOf({ status: [], oldest: false }, 1_000), { status: undefined, sort: undefined, cursor: undefined });
  const day = 86_400_000;
  assert.deepEqual(queryOf(VIEW, day + 5), { pipeline: "csv_import", tag: "user:17", q: "a&b=ü", since: 5, status: "failed,canceled", sort: "created", cursor: "WzE=" });
  assert.deepEqual(queryOf({ status: [], stalled: true, oldest: true }, 0), { status: "running", sort: "created", cursor: undefined });
  assert.deepEqual(filterOf({ status: ["paused"], code: "E_INTERNAL" }, 0), { status: ["paused"], q: "E_INTERNAL" });
});

const job = (id: string, seq: number, more: Partial<JobSummary> = {}): JobSummary =>
  ({ jobId: id, seq, status: "running", createdAt: 1, processedCount: 0, totalCount: 0, ...more }) as JobSummary;

test("rows keep their places and take only what is newer", () => {
  const rows = rowsOf([job("a", 3), job("b", 3), job("c", 3)]);
  const after = updated(rows, { items: [job("c", 2), job("b", 4, { status: "failed" }), job("z", 9)], gone: ["a"] });
  assert.deepEqual(after.map(({ job: { jobId, seq }, gone }) => [jobId, seq, gone ?? false]), [["a", 3, true], ["b", 4, false], ["c", 3, false]]);
  assert.equal(after[2], rows[2]);
  assert.equal(updated(after, { items: [job("b", 4)], gone: ["a"] }), after);
});

test("jobs that have ended or are gone are not asked for again", () => {
  const rows = updated(rowsOf([job("a", 1), job("b", 1, { status: "complete" }), job("c", 1)]), { items: [], gone: ["c"] });
  assert.deepEqual(watched(rows), ["a"]);
  assert.equal(newestOf(rowsOf([job("a", 1, { createdAt: 7 }), job("b", 1)])), 7);
  assert.equal(newestOf([]), 0);
});

test("what can be done follows from the state", () => {
  const can = (status: string, more = {}) => (["pause", "resume", "cancel", "retry", "delete"] as const).filter((action) => canDo(action, { status, ...more } as JobSummary));
  assert.deepEqual(can("queued"), ["pause", "cancel", "delete"]);
  assert.deepEqual(can("running"), ["pause", "cancel", "delete"]);
  assert.deepEqual(can("running", { pausing: true }), ["resume", "cancel", "delete"]);
  assert.deepEqual(can("paused"), ["resume", "cancel", "delete"]);
  assert.deepEqual(can("canceling"), ["delete"]);
  assert.deepEqual(can("failed"), ["retry", "delete"]);
});

test("a share is known where the number of items is, or the job is complete", () => {
  assert.equal(shareOf(job("a", 1)), undefined);
  assert.equal(shareOf(job("a", 1, { processedCount: 1, totalCount: 4 })), 0.25);
  assert.equal(shareOf(job("a", 1, { status: "complete" })), 1);
});

const outcome = (bad: number, total: number, target: number | null) => ({ bad, total, day: { bad, total }, sinceStart: { bad: 0, total: 0 }, target });
const WELL = {
  nodes: [{ version: "1", workers: 2 }],
  queue: { length: 0, ageSeconds: 0, stalled: 0 },
  jobs: {},
  disk: { freeBytes: 50e9, totalBytes: 100e9, dataBytes: 1 },
  webhooks: { waiting: 3, givenUp: 0 },
  stalledJobs: [],
  success: { unauthorized: outcome(0, 9, 0), undecodable: outcome(0, 9, 0.01), recovered: outcome(0, 0, 0), reconnects: outcome(1, 100, 0.02) },
  at: 100_000,
} as unknown as Overview;

test("a promise is kept below its limit, and open where nothing happened", () => {
  const met = (success: object) => goalsOf({ ...WELL.success, ...success } as Overview["success"]).map((goal) => goal.met);
  assert.deepEqual(met({}), [true, true, undefined, true]);
  assert.deepEqual(met({ reconnects: outcome(2, 100, 0.02), undecodable: outcome(1, 100, 0.01) }), [true, false, undefined, false]);
  assert.deepEqual(met({ unauthorized: outcome(1, 1e6, 0), recovered: outcome(1, 9, 0) }), [false, true, false, true]);
});

test("what needs attention is named, the worst first, and nothing else", () => {
  assert.deepEqual(problemsIn(WELL), []);
  const kinds = (overview: object) => problemsIn({ ...WELL, ...overview } as Overview).map(({ kind, tone }) => `${kind} ${tone}`);
  assert.deepEqual(kinds({ queue: { length: 2, ageSeconds: 61, stalled: 1 }, webhooks: { waiting: 0, givenUp: 1 }, disk: { freeBytes: 5e9, totalBytes: 100e9, dataBytes: 1 } }), [
    "disk bad",
    "stalled warn",
    "queue warn",
    "givenUp warn",
  ]);
  assert.deepEqual(kinds({ nodes: [{ version: "1", workers: 1, seenAt: 89_000 }, { version: "1", workers: 1, seenAt: 69_000 }, { version: "1", workers: 1, seenAt: 95_000 }] }), ["node bad", "node warn"]);
  assert.deepEqual(kinds({ queue: { length: 0, ageSeconds: 900, stalled: 0 } }), []);
});

test("jobs are counted over all pipelines, or of one", () => {
  const jobs = { a: { failed: 2, running: 1 }, b: { failed: 3 } };
  assert.deepEqual(statusCounts(jobs), { failed: 5, running: 1 });
  assert.deepEqual(statusCounts(jobs, "b"), { failed: 3 });
});

test("an axis ends with a round number that nothing is above", () => {
  for (const [top, nice] of [[0, 1], [0.03, 0.05], [0.9, 1], [1, 1], [1.1, 2], [3, 5], [7, 10], [31, 50], [59, 100], [61, 120], [310, 600], [3_000, 3_600], [1e9, 1e9]]) assert.equal(niceTop(top!), nice);
});

test("a line has gaps where nothing was measured, and dots where it would be too short to be seen", () => {
  const points: readonly Point[] = [[0, 1], [1, 2], [2, null], [3, 4], [4, null]];
  const same = (value: number) => value;
  assert.equal(pathOf(points, same, same), "M0.0 1.0L1.0 2.0M3.0 4.0");
  assert.equal(dotsOf(points, same, same), "M3.0 4.0h0");
  assert.equal(lastOf(points), 4);
  assert.equal(lastOf([]), null);
  assert.equal(nearest([1, 5, 9], 6), 1);
  assert.equal(nearest([], 6), undefined);
  assert.deepEqual(thinned([1, 2, 3, 4, 5], 2), [2, 5]);
});

test("a span of time is told in one unit", () => {
  for (const [seconds, text] of [[0, "0 ms"], [0.0123, "12.3 ms"], [0.9, "900 ms"], [1, "1 s"], [59.94, "59.9 s"], [60, "1 min"], [647, "10.8 min"], [7_200, "2 h"], [864_000, "10 d"]] as const) {
    assert.equal(span(seconds), text);
  }
  assert.deepEqual([since(5_999, 8_000), since(9_000, 8_000)], ["2 sec", "0 sec"]);
});
