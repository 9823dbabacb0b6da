// The operator's event stream, with a server in memory and a clock that jumps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Http } from "@shelfwire/client/http";
import { FakeClock } from "../../typescript/test/fake.js";
import { Live, ratesOf } from "../src/admin/live.js";
import type { JobNews } from "../src/admin/types.js";

/** A stream that a test writes to. */
class Stream {
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly url: URL;
  readonly response: Response;

  constructor(url: string, signal: AbortSignal) {
    this.url = new URL(url);
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#controller = controller) });
    signal.addEventListener("abort", () => this.#controller?.error(signal.reason));
    this.response = new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }

  send(type: string, data: object): void {
    this.#controller?.enqueue(new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`));
  }

  end(): void {
    this.#controller?.close();
  }
}

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

function world(answer?: (url: string) => Response | undefined) {
  const clock = new FakeClock();
  const streams: Stream[] = [];
  const fetcher = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const given = answer?.(String(url));
    if (given) return given;
    streams.push(new Stream(String(url), init!.signal!));
    return streams.at(-1)!.response;
  };
  const live = new Live(new Http("http://server.test", fetcher as typeof fetch, clock), "key", clock);
  return { clock, live, streams };
}

test("what the server says is shown, and its silence is told", async () => {
  const { clock, live, streams } = world();
  await settle();
  streams[0]!.send("overview", { at: 1, items: 0, commits: 0 });
  await settle();
  assert.equal(live.state.connection, "live");
  assert.equal(live.state.overview?.at, 1);
  await clock.pass(10_001);
  await settle();
  assert.equal(live.state.connection, "lost");
  assert.equal(live.state.overview?.at, 1);
  live.close();
});

test("a stream that ends is opened again, each time later, and at once if somebody looks", async () => {
  let refuse = true;
  let asked = 0;
  const { clock, live, streams } = world(() => {
    asked += 1;
    return refuse ? new Response("", { status: 502 }) : undefined;
  });
  await settle();
  assert.equal(asked, 1);
  await clock.pass(500);
  await settle();
  assert.equal(asked, 2);
  await clock.pass(500);
  await settle();
  assert.equal(asked, 2);
  refuse = false;
  live.retry();
  await settle();
  streams[0]!.send("overview", { at: 1, items: 0, commits: 0 });
  await settle();
  assert.equal(live.state.connection, "live");
  live.close();
});

test("a key that is refused is not tried again", async () => {
  let asked = 0;
  const problem = { code: "E_UNAUTHORIZED", detail: "no", userMessage: "No.", retryable: false };
  const { clock, live } = world(() => ((asked += 1), new Response(JSON.stringify(problem), { status: 401 })));
  await settle();
  await clock.pass(60_000);
  await settle();
  assert.equal(asked, 1);
  assert.equal(live.state.refused?.code, "E_UNAUTHORIZED");
});

test("other jobs are looked at over a new stream, without a word of the old one", async () => {
  const { live, streams } = world();
  await settle();
  streams[0]!.send("overview", { at: 1, items: 0, commits: 0 });
  await settle();
  const heard: JobNews[] = [];
  const sight = { jobs: ["a", "b"], query: { q: "x", newer: 7 }, onNews: (news: JobNews) => void heard.push(news) };
  live.look(sight);
  await settle();
  assert.equal(live.state.connection, "live");
  assert.equal(streams.length, 2);
  assert.deepEqual(Object.fromEntries(streams[1]!.url.searchParams), { jobs: "a,b", q: "x", newer: "7" });
  streams[1]!.send("jobs", { items: [], gone: ["a"] });
  await settle();
  assert.deepEqual(heard, [{ items: [], gone: ["a"] }]);
  live.look({ ...sight });
  await settle();
  assert.equal(streams.length, 2);
  live.close();
});

test("rates are what came between the first and the last overview", () => {
  assert.equal(ratesOf([]), undefined);
  assert.equal(ratesOf([{ at: 5, items: 1, commits: 1 }]), undefined);
  assert.deepEqual(ratesOf([{ at: 0, items: 10, commits: 1 }, { at: 2000, items: 12, commits: 1 }, { at: 4000, items: 30, commits: 3 }]), { items: 5, commits: 0.5 });
});
