import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Window } from "happy-dom";
import { StrictMode, act, createElement } from "react";
import type { Root } from "react-dom/client";
import { Client, type JobHandle } from "../src/client.js";
import { type UsedJob, useJob } from "../src/react.js";
import { FakeServer } from "./fake.js";

let server: FakeServer;
let client: Client;
let root: Root;
let frames = 0;

const window = new Window();
const { document } = window;
Object.assign(globalThis, { window, document, IS_REACT_ACT_ENVIRONMENT: true });
if (globalThis.navigator === undefined) Object.assign(globalThis, { navigator: window.navigator }); // Node 20 has none

beforeEach(async () => {
  server = new FakeServer();
  const { clock, fetch, url, WebSocket } = server;
  client = new Client({ url, clock, fetch, WebSocket, network: null, random: () => 0 });
  const frame = (show: () => void): unknown => {
    frames += 1;
    return clock.timer(16, show);
  };
  Object.assign(globalThis, { requestAnimationFrame: frame });
  const { createRoot } = await import("react-dom/client");
  root = createRoot(document.body as unknown as Element);
});

afterEach(() => act(async () => root.unmount()) as Promise<void>);

const pass = (ms: number): Promise<void> => act(() => server.clock.pass(ms)) as Promise<void>;
const render = (element: ReturnType<typeof createElement>): Promise<void> => act(async () => root.render(element)) as Promise<void>;

/** A component that notes what it is shown. */
function watching(): { Watch: (props: { job: JobHandle | null }) => string; seen: UsedJob[]; last: () => UsedJob } {
  const seen: UsedJob[] = [];
  const Watch = ({ job }: { job: JobHandle | null }): string => {
    const used = useJob(job, { client });
    seen.push(used);
    return `${used.phase} ${used.processed}`;
  };
  return { Watch, seen, last: () => seen.at(-1)! };
}

test("a component shows a job from its start to its ending", async () => {
  const { Watch, last } = watching();
  server.state = { ...server.state, startTime: undefined, status: "queued" } as any;
  await render(createElement(Watch, { job: server.job }));
  assert.deepEqual([last().phase, last().connection, last().processed], ["waiting", "connecting", 0]);
  await pass(20);
  assert.equal(last().connection, "live");
  server.broadcast(server.message("job_started", { totalCount: 100 }));
  server.broadcast(server.message("job_progress", { processedCount: 40, failureCount: 2, currentTitle: "Emma", etaSeconds: 12, state: "running" }));
  await pass(20);
  const { phase, processed, total, failures, title, eta, rate } = last();
  assert.deepEqual([phase, processed, total, failures, title, eta, rate], ["running", 40, 100, 2, "Emma", 12, 5]);
  server.broadcast(server.message("job_progress", { processedCount: 40, state: "paused" }));
  await pass(20);
  assert.equal(last().phase, "paused");
  server.end();
  await pass(20);
  assert.deepEqual([last().phase, last().connection, last().processed, last().ending?.type], ["complete", "closed", 100, "job_complete"]);
  assert.equal(document.body.textContent, "complete 100");
});

test("two components make one socket, also under StrictMode", async () => {
  const { Watch } = watching();
  const both = [createElement(Watch, { job: server.job, key: 1 }), createElement(Watch, { job: { ...server.job }, key: 2 })];
  await render(createElement(StrictMode, null, ...both));
  server.record(7);
  await pass(20);
  assert.deepEqual([server.kinds(), server.sockets], [["websocket"], 1]);
  assert.equal(document.body.textContent, "running 7running 7");
});

test("many messages in a frame are one render", async () => {
  const { Watch, seen, last } = watching();
  await render(createElement(Watch, { job: server.job }));
  await pass(100);
  const before = seen.length;
  frames = 0;
  for (let item = 1; item <= 50; item += 1) {
    server.record(item);
    await pass(0);
  }
  await pass(20);
  assert.deepEqual([seen.length - before, frames, last().processed], [1, 1, 50]);
});

test("a handle that is a new object at every render keeps its socket", async () => {
  const { Watch } = watching();
  for (let turn = 0; turn < 3; turn += 1) {
    await render(createElement(Watch, { job: { ...server.job } }));
    await pass(20);
  }
  assert.deepEqual([server.kinds(), server.sockets], [["websocket"], 1]);
});

test("unmounting closes the socket and leaves the job alone", async () => {
  const { Watch } = watching();
  await render(createElement(Watch, { job: server.job }));
  await pass(20);
  await render(createElement("p"));
  await pass(20);
  assert.deepEqual([server.sockets, server.attached, server.kinds()], [0, 0, ["websocket"]]);
});

test("it stops when the job becomes null, and starts when it is back", async () => {
  const { Watch, last } = watching();
  await render(createElement(Watch, { job: null }));
  assert.deepEqual([last().phase, server.kinds()], ["none", []]);
  await render(createElement(Watch, { job: server.job }));
  await pass(20);
  await render(createElement(Watch, { job: null }));
  await pass(20);
  assert.deepEqual([last().phase, server.sockets], ["none", 0]);
  await render(createElement(Watch, { job: server.job }));
  await pass(40);
  assert.deepEqual([last().phase, server.sockets, server.kinds().length], ["running", 1, 2]);
});

test("it says why a follow ended before its job, and connects again when it is told to", async () => {
  const { Watch, last } = watching();
  server.faults.websocket.push(...Array(6).fill("fail"));
  server.faults.state.push(...Array(6).fill("fail"));
  await render(createElement(Watch, { job: server.job }));
  await pass(61_000);
  assert.deepEqual([last().error?.code, last().connection], ["E_MAX_RETRIES", "closed"]);
  await act(async () => last().retryConnection());
  await pass(40);
  assert.deepEqual([last().error, last().connection, server.sockets], [undefined, "live", 1]);
});

test("its actions ask the server", async () => {
  const { Watch, last } = watching();
  await render(createElement(Watch, { job: server.job }));
  await pass(20);
  for (const name of ["pause", "resume", "cancel"] as const) await act(() => last()[name]());
  assert.deepEqual(server.seen.slice(1).map(({ path }) => path.split("/").at(-1)), ["pause", "resume", "cancel"]);
});
