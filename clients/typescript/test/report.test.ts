import assert from "node:assert/strict";
import { test } from "node:test";
import { type Attempt, Reporter } from "../src/report.js";
import { FakeClock } from "./fake.js";

const ATTEMPT: Attempt = { jobId: "j", reportToken: "secret", attempt: 1, leaseSeconds: 9, recorded: [[0, 2], [5, 5]], selection: null, inputs: [] };

/** A server that takes reports, and what it was sent; `answers` come before those that take them. */
function reporting(...answers: (() => Response)[]): { reporter: Reporter; clock: FakeClock; sent: { body: any; at: number; text: string }[]; stop: { now: string | null } } {
  const clock = new FakeClock();
  const began = clock.now();
  const sent: { body: any; at: number; text: string }[] = [];
  const stop: { now: string | null } = { now: null };
  const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
    const text = String(init?.body);
    sent.push({ body: JSON.parse(text), at: clock.now() - began, text });
    const answer = answers.shift();
    if (answer) return answer();
    const status = JSON.parse(text).end ? "complete" : "running";
    return Response.json({ data: { seq: 1, status, number: 1, stop: stop.now, leaseUntil: 0 }, metadata: {} });
  };
  return { reporter: new Reporter(ATTEMPT, { url: "http://server.test", fetch: fetch as typeof globalThis.fetch, clock, random: () => 0 }), clock, sent, stop };
}

const refusal = (status: number, code: string) => (): Response => Response.json({ code, detail: "", userMessage: "", retryable: false }, { status });
const lost = (): Response => {
  throw new TypeError("fetch failed");
};

test("what is recorded goes in numbered reports of at most 500 items, and the last ends the job", async () => {
  const { reporter, clock, sent } = reporting();
  await clock.until((async () => {
    await reporter.start(1200);
    for (let index = 0; index < 1200; index += 1) void reporter.record(index, { index });
    assert.equal(await reporter.complete({ summary: "done" }), "complete");
  })());
  assert.deepEqual(sent.map(({ body }) => body.number), sent.map((_, index) => index + 1));
  assert.deepEqual(sent.flatMap(({ body }) => (body.items ?? []).map((item: any) => item.index)), Array.from({ length: 1200 }, (_, index) => index));
  assert.ok(sent.every(({ body }) => (body.items ?? []).length <= 500));
  assert.equal(sent[0]?.body.totalCount, 1200);
  assert.deepEqual(sent.map(({ body }) => body.end), [...sent.slice(1).map(() => undefined), { complete: { summary: "done" } }]);
});

test("few items wait for 200 ms, and large ones go in several reports", async () => {
  const { reporter, clock, sent } = reporting();
  void reporter.record(0, "x".repeat(600_000));
  void reporter.record(1, "x".repeat(600_000));
  await clock.pass(199);
  assert.equal(sent.length, 0);
  await clock.pass(1);
  assert.deepEqual(sent.map(({ body, at }) => [body.items.length, at]), [[1, 200], [1, 200]]);
  reporter.close();
});

test("a report whose answer is lost is sent again with the same bytes", async () => {
  const { reporter, clock, sent } = reporting(lost, refusal(503, "E_OVERLOADED"));
  void reporter.record(0, 1);
  await clock.pass(1_000);
  assert.equal(sent.length, 3);
  assert.equal(new Set(sent.map(({ text }) => text)).size, 1);
  reporter.close();
});

test("an empty report renews the lease at a third of it, and has no number", async () => {
  const { reporter, clock, sent } = reporting();
  await clock.pass(7_000);
  assert.deepEqual(sent.map(({ at, text }) => [at, text]), [[3_000, "{}"], [6_000, "{}"]]);
  reporter.close();
  await clock.pass(20_000);
  assert.equal(sent.length, 2);
});

test("a lost lease aborts the signal, and nothing more is taken", async () => {
  const { reporter, clock } = reporting(refusal(409, "E_LEASE_LOST"));
  void reporter.record(0, 1);
  await clock.pass(300);
  assert.equal(reporter.signal.reason.code, "E_LEASE_LOST");
  await assert.rejects(reporter.record(1, 1), { code: "E_LEASE_LOST" });
  assert.equal(clock.pending, 0);
});

test("a stop that the owner asks for aborts the signal, and a release confirms it", async () => {
  const { reporter, clock, sent, stop } = reporting();
  stop.now = "cancel";
  await clock.pass(3_000);
  assert.deepEqual([reporter.stop, reporter.signal.aborted], ["cancel", true]);
  await clock.until(reporter.release());
  assert.deepEqual(sent.at(-1)?.body, { number: 1, end: { release: {} } });
});

test("a report that is refused for what it says is an error of the next call", async () => {
  const { reporter, clock } = reporting(refusal(422, "E_ITEM_UNKNOWN"));
  void reporter.record(7, 1);
  await clock.pass(300);
  await assert.rejects(clock.until(reporter.complete()), { code: "E_ITEM_UNKNOWN" });
});

test("a job whose report was refused is tried again, and not held until its lease ends", async () => {
  const { reporter, clock, sent } = reporting(refusal(422, "E_ITEM_UNKNOWN"));
  void reporter.record(7, 1);
  await assert.rejects(clock.until(reporter.complete()), { code: "E_ITEM_UNKNOWN" });
  assert.deepEqual(sent.map(({ body }) => [body.number, Object.keys(body.end)]), [[1, ["complete"]], [1, ["retry"]]]);
  assert.equal(clock.pending, 0);
});

test("results of an ending that do not fit beside the last items follow them", async () => {
  const { reporter, clock, sent } = reporting();
  for (let index = 0; index < 3; index += 1) void reporter.record(index, "x".repeat(250_000));
  await clock.until(reporter.complete({ results: "y".repeat(700_000) }));
  assert.deepEqual(sent.map(({ body }) => [body.items?.length, body.end !== undefined]), [[3, false], [undefined, true]]);
});

test("what an earlier attempt has recorded is known", () => {
  const { reporter } = reporting();
  assert.deepEqual([0, 2, 3, 5, 6].map((index) => reporter.isRecorded(index)), [true, true, false, true, false]);
  reporter.close();
});
