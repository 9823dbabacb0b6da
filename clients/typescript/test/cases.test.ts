import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Backoff, Deduplicator, TransportFallback, refreshIn } from "../src/reconnect.js";
import { messagesOf } from "../src/state.js";

const cases = JSON.parse(readFileSync(process.env["FOLLOW_CASES"] ?? "../../tests/protocol/follow_cases.json", "utf8"));

test("the delays are the Python client's", () => {
  for (const { delays, fraction, expected, connected } of cases.backoff) {
    const backoff = new Backoff(delays);
    for (const delay of expected) assert.equal(backoff.next(fraction) ?? null, delay);
    backoff.connected();
    assert.equal(backoff.next(fraction), connected);
  }
});

test("the choice of transports is the Python client's", () => {
  for (const { allowed, events, expected } of cases.fallback) {
    const fallback = new TransportFallback(allowed);
    const seen = events.map((event: any) => {
      if (event === "works") return [fallback.works() ?? null, fallback.current];
      if (event === "start_over") return [fallback.startOver() ?? null, fallback.current];
      return [fallback.failed(event), fallback.current];
    });
    assert.deepEqual(seen, expected, JSON.stringify(events));
  }
});

test("no transport at all is a mistake", () => assert.throws(() => new TransportFallback([]), TypeError));

test("what is shown and what is dropped is the Python client's choice", () => {
  for (const { arrivals, expected } of cases.deduplicator) {
    const shown = new Deduplicator();
    const seen = arrivals.map(([type, seq]: [any, number | null]) => {
      const accepted = shown.accept({ type, ...(seq !== null && { seq }) });
      return [accepted, shown.seq, shown.after, shown.over];
    });
    assert.deepEqual(seen, expected, JSON.stringify(arrivals));
  }
});

test("a token is replaced when the Python client replaces it", () => {
  for (const [left, seconds] of cases.refresh) assert.equal(refreshIn(1_000_000 + left, 1_000_000), seconds);
});

test("a state is shown as the Python client's messages", () => {
  for (const { state, after, expected } of cases.messages) assert.deepEqual(messagesOf(state, after), expected);
});
