import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, type JobHandle, type TokenStore } from "../src/client.js";
import { FakeServer } from "./fake.js";

const MINUTE = 60_000;

/** Follows for `ms` with a token that ends after `life` ms by the server's clock; returns when tokens were renewed. */
async function renewals(server: FakeServer, life: number, ms: number, store?: TokenStore): Promise<{ at: number[]; kept: JobHandle[] }> {
  const { clock, fetch, url, WebSocket } = server;
  const client = new Client({ url, clock, fetch, WebSocket, network: null, random: () => 0 });
  const kept: JobHandle[] = [];
  const began = clock.now();
  const job = { ...server.job, expiresAt: began + server.ahead + life };
  const following = client.follow(job, { onToken: (job) => kept.push(job), store });
  const running = following.run();
  await clock.pass(ms);
  following.close();
  await running;
  return { at: server.seen.filter(({ kind }) => kind === "token").map(({ at }) => at - began), kept };
}

test("a token is renewed a minute before its end, or at half of a shorter life", async () => {
  for (const [life, at] of [[10 * MINUTE, 9 * MINUTE], [MINUTE, MINUTE / 2]] as const) {
    const server = new FakeServer();
    const { at: seen, kept } = await renewals(server, life, life);
    assert.deepEqual(seen, [at]);
    assert.deepEqual(kept.map(({ token }) => token), ["token-2"]);
  }
});

test("the server's clock decides, however wrong the device's is", async () => {
  for (const ahead of [-7_200_000, 7_200_000]) {
    const server = new FakeServer();
    server.ahead = ahead;
    assert.deepEqual((await renewals(server, 10 * MINUTE, 10 * MINUTE)).at, [9 * MINUTE]);
  }
});

test("no timer is longer than an hour", async () => {
  const server = new FakeServer();
  let longest = 0;
  const timer = server.clock.timer.bind(server.clock);
  server.clock.timer = (ms, act) => {
    longest = Math.max(longest, ms);
    return timer(ms, act);
  };
  const days = 3 * 24 * 60 * MINUTE;
  assert.deepEqual((await renewals(server, days, days)).at, [days - MINUTE]);
  assert.equal(longest, 60 * MINUTE);
});

test("a renewal that fails for a moment is tried again in 5 s", async () => {
  const server = new FakeServer();
  server.faults.token.push({ refuse: 429, problem: "E_RATE_LIMITED" }, { refuse: 503, problem: "E_OVERLOADED" }, "fail");
  const { at, kept } = await renewals(server, 10 * MINUTE, 10 * MINUTE);
  assert.deepEqual(at, [0, 5_000, 10_000, 15_000].map((after) => 9 * MINUTE + after));
  assert.equal(kept.length, 1);
});

test("a token that may not renew itself lasts as long as it lasts", async () => {
  const server = new FakeServer();
  server.faults.token.push({ refuse: 403, problem: "E_FORBIDDEN" });
  assert.deepEqual((await renewals(server, 10 * MINUTE, 10 * MINUTE)).at, [9 * MINUTE]);
});

test("a renewed token is renewed in its turn, and used for the next connection", async () => {
  const server = new FakeServer();
  server.tokenSeconds = 600;
  server.at(9.5 * MINUTE, () => server.cut());
  assert.deepEqual((await renewals(server, 10 * MINUTE, 19 * MINUTE)).at, [9 * MINUTE, 18 * MINUTE]);
  const sockets = server.seen.filter(({ kind }) => kind === "websocket");
  assert.deepEqual(sockets.map(({ protocols }) => protocols?.[1]), ["shelfwire.bearer.token-1", "shelfwire.bearer.token-2"]);
});

/** What tabs share, in memory. */
function sharedStore(): () => TokenStore {
  const jobs = new Map<string, JobHandle>();
  const listeners = new Set<{ tab: object; act: (job: JobHandle) => void }>();
  let before: Promise<unknown> = Promise.resolve();
  return () => {
    const tab = {};
    return {
      load: (jobId) => jobs.get(jobId),
      save(job) {
        jobs.set(job.jobId, job);
        for (const listener of listeners) if (listener.tab !== tab) listener.act(job);
      },
      onSave(act) {
        const listener = { tab, act };
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      alone(_jobId, act) {
        const mine = before.then(act);
        before = mine.catch(() => undefined);
        return mine;
      },
    };
  };
}

test("a tab whose renewal failed takes the token that another one got meanwhile", async () => {
  const server = new FakeServer();
  server.tokenSeconds = 3600;
  server.faults.token.push("fail");
  const tab = sharedStore();
  const { clock, fetch, url, WebSocket } = server;
  const client = new Client({ url, clock, fetch, WebSocket, network: null, random: () => 0 });
  const job = { ...server.job, expiresAt: clock.now() + 10 * MINUTE };
  const tabs = [1, 2].map(() => client.follow(job, { store: tab() }));
  const running = tabs.map((following) => following.run());
  await clock.pass(10 * MINUTE);
  assert.equal(server.kinds().filter((kind) => kind === "token").length, 2);
  assert.deepEqual(tabs.map(({ job: { token } }) => token), ["token-3", "token-3"]);
  for (const following of tabs) following.close();
  await Promise.all(running);
});

test("of several tabs with one token, one renews it and the others take the new one", async () => {
  const server = new FakeServer();
  server.tokenSeconds = 3600;
  const tab = sharedStore();
  const { clock, fetch, url, WebSocket } = server;
  const client = new Client({ url, clock, fetch, WebSocket, network: null, random: () => 0 });
  const job = { ...server.job, expiresAt: clock.now() + 10 * MINUTE };
  const tabs = [1, 2, 3].map(() => client.follow(job, { store: tab() }));
  const running = tabs.map((following) => following.run());
  await clock.pass(10 * MINUTE);
  assert.equal(server.kinds().filter((kind) => kind === "token").length, 1);
  assert.deepEqual(tabs.map(({ job: { token } }) => token), ["token-2", "token-2", "token-2"]);
  for (const following of tabs) following.close();
  await Promise.all(running);
  const late = client.follow(job, { store: tab() });
  const again = late.run();
  await clock.pass(0);
  assert.equal(late.job.token, "token-2");
  late.close();
  await again;
});
