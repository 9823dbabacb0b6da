import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../src/ways/stream.js";

const TEXT = 'retry: 2000\n\n: comment\nevent: job_progress\nid: 7\ndata: {"a":\ndata: 1}\n\nid\r\ndata:x\r\rdata\n\nevent: none\n\ndata: y\n\nrest';

test("events are the same wherever the network cuts the stream", () => {
  const whole = new EventParser().feed(TEXT);
  const type = "message";
  const first = { type: "job_progress", id: "7", data: '{"a":\n1}' };
  assert.deepEqual(whole, [first, { type, id: "", data: "x" }, { type, id: "", data: "" }, { type, id: "", data: "y" }]);
  for (let at = 0; at <= TEXT.length; at += 1) {
    const parser = new EventParser();
    assert.deepEqual([...parser.feed(TEXT.slice(0, at)), ...parser.feed(TEXT.slice(at))], whole, `cut at ${at}`);
  }
  const parser = new EventParser();
  assert.deepEqual([...TEXT].flatMap((character) => parser.feed(character)), whole);
});

test("an event without an end is not kept for ever", () => {
  const parser = new EventParser();
  assert.throws(() => {
    for (let piece = 0; piece < 100; piece += 1) parser.feed("data: ".padEnd(65_536, "x"));
  }, TypeError);
  const lines = new EventParser();
  assert.throws(() => {
    for (let piece = 0; piece < 100; piece += 1) lines.feed(`data: ${"x".repeat(65_536)}\n`);
  }, TypeError);
});
