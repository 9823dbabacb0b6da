import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, type ClientOptions, ConnectionLostError, type FollowOptions, type JobMessage, RefusedError } from "../src/client.js";
import { FakeNetwork, FakeServer } from "./fake.js";

function clientOf(server: FakeServer, options: ClientOptions = {}): Client {
  const { clock, fetch, url, WebSocket } = server;
  return new Client({ url, clock, fetch, WebSocket, network: null, random: () => 0, ...options });
}

/** Follows the server's job to its end, and returns what was shown. */
async function shown(server: FakeServer, options: ClientOptions = {}, follow: FollowOptions = {}): Promise<JobMessage[]> {
  const messages: JobMessage[] = [];
  const following = clientOf(server, options).follow(server.job, follow);
  await server.clock.until((async () => {
    for await (const message of following) messages.push(message);
  })());
  return messages;
}

const types = (messages: JobMessage[]): string[] => messages.map(({ type }) => type);
const kinds = (server: FakeServer): string => server.kinds().join(" ");

async function failure(promise: Promise<unknown>): Promise<any> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

/** A server whose job records items at 1, 2 and 3 s and ends at `end` ms. */
function busy(end = 4_000): FakeServer {
  const server = new FakeServer();
  for (const second of [1, 2, 3]) server.at(second * 1000, () => server.record(second * 25));
  return server.at(end, () => server.end());
}

function monotone(messages: JobMessage[]): void {
  const counts = messages.flatMap((message) => (message.type === "job_progress" ? [message.payload.processedCount] : []));
  assert.deepEqual(counts, [...counts].sort((a, b) => a - b));
  assert.equal(messages.filter(({ type }) => type === "job_complete").length, 1);
  assert.equal(messages.filter(({ type }) => type === "job_started").length, 1);
  assert.equal(messages.at(-1)?.type, "job_complete");
}

test("the token is a subprotocol, and nothing secret is in an address", async () => {
  const server = busy();
  assert.deepEqual(types(await shown(server)), ["job_started", "job_progress", "job_progress", "job_progress", "job_progress", "job_complete"]);
  assert.equal(server.seen[0]?.path, `/ws/progress?jobId=${server.job.jobId}&after=0`);
  assert.deepEqual(server.seen[0]?.protocols, ["shelfwire.v1", "shelfwire.bearer.token-1"]);
  assert.equal(kinds(server), "websocket");
});

test("a token that no subprotocol can hold goes by the event stream at once", async () => {
  const server = busy();
  const began = server.clock.now();
  const job = { ...server.job, token: "a/b=" };
  await server.clock.until(clientOf(server).follow(job).run());
  assert.equal(kinds(server), "events");
  assert.equal(server.seen[0]?.at, began);
  assert.equal(server.seen[0]?.headers.get("Authorization"), "Bearer a/b=");
});

test("a token that no header can hold is a mistake, and is not repeated", async () => {
  const server = busy();
  const error = await failure(server.clock.until(clientOf(server).follow({ ...server.job, token: "sécret token" }).run()));
  assert.ok(error instanceof TypeError);
  assert.doesNotMatch(error.message, /sécret/);
});

test("a socket that opens is pinged, and after an earlier one asked for the state", async () => {
  const server = busy();
  server.at(1_500, () => server.cut(1012));
  await shown(server);
  assert.deepEqual(server.said.map(({ type }) => type), ["ping", "sync_request", "ping"]);
});

test("a handshake that is refused by a proxy is told apart by HTTP, whose answer is shown before the stream opens", async () => {
  const server = busy(30_000);
  server.record(10);
  server.faults.websocket.push({ refuse: 403 });
  server.faults.events.push({ hold: 0 });
  const messages = await shown(server);
  assert.deepEqual(server.kinds().slice(0, 4), ["websocket", "state", "events", "state"]);
  assert.equal(messages[1]?.type === "job_progress" && messages[1].payload.processedCount, 10);
  monotone(messages);
});

test("a handshake that is refused for the token ends the follow with the server's reason", async () => {
  for (const status of [401, 403]) {
    const server = busy();
    server.faults.websocket.push({ refuse: status });
    server.faults.state.push({ refuse: status, problem: "E_TOKEN_EXPIRED" });
    const error = await failure(shown(server));
    assert.ok(error instanceof RefusedError);
    assert.deepEqual([error.code, error.status], ["E_TOKEN_EXPIRED", status]);
    assert.equal(kinds(server), "websocket state");
  }
});

test("a handshake that fails while the server is away or busy is waited for, and the socket is tried again", async () => {
  const reasons = [{ refuse: 429, problem: "E_RATE_LIMITED" }, { refuse: 503, problem: "E_OVERLOADED" }, { refuse: 502 }, "fail"] as const;
  for (const reason of reasons) {
    const server = busy();
    const began = server.clock.now();
    server.faults.websocket.push("fail");
    server.faults.state.push(reason);
    monotone(await shown(server));
    assert.equal(kinds(server), "websocket state websocket");
    assert.equal(server.seen[2]?.at, began + 2_000);
  }
});

test("a handshake that is never answered is judged by HTTP after 10 s", async () => {
  const server = busy(60_000);
  const began = server.clock.now();
  server.faults.websocket.push("silent");
  monotone(await shown(server));
  assert.equal(kinds(server), "websocket state events");
  assert.equal(server.seen[1]?.at, began + 10_000);
});

test("a handshake that fails with an error alone, as in Node 20, is judged at once", async () => {
  const server = busy();
  const began = server.clock.now();
  server.faults.websocket.push("error");
  monotone(await shown(server));
  assert.deepEqual(server.seen.map(({ kind, at }) => [kind, at - began]), [["websocket", 0], ["state", 0], ["events", 0]]);
});

test("a socket that has worked is given up only after it was blocked three times in a row", async () => {
  const server = busy(40_000);
  server.at(500, () => server.cut());
  server.faults.websocket.push("serve", { refuse: 403 }, { refuse: 403 }, { refuse: 403 });
  monotone(await shown(server));
  assert.equal(kinds(server), "websocket websocket state websocket state websocket state events");
});

test("a socket that is cut twice before anything came makes room for the stream", async () => {
  const server = busy(30_000);
  server.faults.websocket.push({ cut: 0 }, { cut: 0 });
  monotone(await shown(server));
  assert.equal(kinds(server), "websocket websocket events");
});

test("after 25 s of silence the client pings, and an answer is enough", async () => {
  const server = new FakeServer().at(120_000, () => undefined);
  server.at(100_000, () => server.end());
  const began = server.clock.now();
  await shown(server);
  assert.deepEqual(server.said.map(({ at }) => at - began), [0, 25_000, 50_000, 75_000]);
  assert.equal(kinds(server), "websocket");
});

test("a socket that does not answer a ping within 10 s is lost", async () => {
  const server = new FakeServer();
  server.at(60_000, () => server.end());
  const began = server.clock.now();
  server.faults.websocket.push({ hold: 2 });
  monotone(await shown(server));
  assert.deepEqual(server.seen.map(({ kind, at }) => [kind, at - began]), [["websocket", 0], ["websocket", 37_000]]);
});

test("a close with 1008 is a refusal, whatever the transport could still do", async () => {
  const server = busy();
  server.at(1_500, () => server.cut(1008, "Token revoked"));
  const error = await failure(shown(server));
  assert.ok(error instanceof RefusedError);
  assert.deepEqual([error.code, error.status, error.message], ["E_UNAUTHORIZED", 1008, "Token revoked"]);
});

test("after any other close the client waits and comes back to the socket", async () => {
  for (const code of [1006, 1009, 1011, 1012, 1013]) {
    const server = busy(6_000);
    server.at(1_500, () => server.cut(code));
    monotone(await shown(server));
    assert.equal(kinds(server), "websocket websocket");
  }
});

test("a close with 1000 before the ending is asked about by another transport at once", async () => {
  const server = busy(6_000);
  const began = server.clock.now();
  server.at(1_500, () => server.cut(1000));
  monotone(await shown(server));
  assert.deepEqual(server.seen.map(({ kind, at }) => [kind, at - began]), [["websocket", 0], ["events", 1_500]]);
});

test("a stream carries its token in a header and comes back after the last event", async () => {
  const server = busy(9_000);
  server.at(2_500, () => server.cut());
  monotone(await shown(server, { transports: ["sse"] }));
  assert.equal(kinds(server), "events events");
  assert.equal(server.seen[0]?.headers.get("Authorization"), "Bearer token-1");
  assert.equal(server.seen[0]?.headers.get("Last-Event-ID"), null);
  assert.equal(server.seen[1]?.headers.get("Last-Event-ID"), "3");
});

test("a stream that holds back its first event for 5 s is blocked", async () => {
  const server = busy(30_000);
  const began = server.clock.now();
  server.faults.events.push({ hold: 0, comments: 9 });
  monotone(await shown(server, { WebSocket: null }));
  assert.deepEqual(server.seen.slice(0, 2).map(({ kind, at }) => [kind, at - began]), [["events", 0], ["state", 5_000]]);
});

test("a stream that goes on after an earlier one may have no first event for long", async () => {
  const server = busy(60_000);
  server.at(3_500, () => server.cut());
  server.faults.events.push("serve", { hold: 99, comments: 9 });
  monotone(await shown(server, { transports: ["sse", "polling"] }));
  assert.equal(kinds(server), "events events");
});

test("comments are signs of life, and 45 s without any are the end of a stream", async () => {
  const server = new FakeServer();
  server.at(200_000, () => server.end());
  const began = server.clock.now();
  server.faults.events.push({ hold: 2, comments: 4 });
  monotone(await shown(server, { transports: ["sse"] }));
  assert.deepEqual(server.seen.slice(0, 2).map(({ at }) => at - began), [0, 60_000 + 45_000 + 2_000]);
});

test("an id that a server refuses is not sent again", async () => {
  const server = busy(20_000);
  server.at(1_500, () => server.cut());
  server.faults.events.push("serve", { refuse: 502 });
  monotone(await shown(server, { transports: ["sse"] }));
  assert.deepEqual(server.seen.map(({ headers }) => headers.get("Last-Event-ID")), [null, "2", null]);
});

test("a poll asks for what is newer and waits for it", async () => {
  const server = busy();
  monotone(await shown(server, { transports: ["polling"] }));
  assert.deepEqual(server.seen.map(({ path }) => path.split("?")[1]), [0, 1, 2, 3, 4].map((after) => `after=${after}&wait=25`));
});

test("a poll that neither waited nor brought news is followed by a pause of 2 s", async () => {
  const server = new FakeServer();
  server.waits = false;
  server.at(5_000, () => server.end());
  const began = server.clock.now();
  monotone(await shown(server, { transports: ["polling"] }));
  assert.deepEqual(server.seen.map(({ at }) => at - began), [0, 0, 2_000, 4_000, 6_000]);
});

test("a poll that waited is followed by the next at once", async () => {
  const server = new FakeServer();
  server.at(60_000, () => server.end());
  const began = server.clock.now();
  monotone(await shown(server, { transports: ["polling"] }));
  assert.deepEqual(server.seen.map(({ at }) => at - began), [0, 0, 25_000, 50_000]);
});

test("an answer that is not a shelfwire server's closes a transport, and never ends the follow", async () => {
  const server = busy(30_000);
  server.faults.events.push({ refuse: 401 });
  monotone(await shown(server, { WebSocket: null }));
  assert.equal(server.seen[1]?.kind, "state");
});

test("it waits 2, 4, 8, 16 and 30 s, less up to half, and then gives up with E_MAX_RETRIES", async () => {
  for (const [fraction, waits] of [[0, [2, 4, 8, 16, 30]], [0.5, [1.5, 3, 6, 12, 22.5]]] as const) {
    const server = busy();
    server.faults.websocket.push(...Array(9).fill("fail"));
    server.faults.state.push(...Array(9).fill("fail"));
    const seen: number[] = [];
    const error = await failure(shown(server, { random: () => fraction }, { onWait: (seconds) => seen.push(seconds) }));
    assert.ok(error instanceof ConnectionLostError);
    assert.deepEqual([error.code, error.retryable, seen], ["E_MAX_RETRIES", true, waits]);
  }
});

test("something that was received starts the delays over", async () => {
  const server = new FakeServer();
  server.at(20_000, () => server.cut());
  server.at(50_000, () => server.end());
  server.faults.websocket.push("fail", "fail", "serve", "fail");
  server.faults.state.push("fail", "fail", "fail");
  const waits: number[] = [];
  await shown(server, {}, { onWait: (seconds) => waits.push(seconds) });
  assert.deepEqual(waits, [2, 4, 2, 4]);
});

test("when tries run out while nobody looks, the page waits until somebody does", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  network.isVisible = false;
  server.faults.websocket.push(...Array(6).fill("fail"));
  server.faults.state.push(...Array(6).fill("fail"));
  server.at(600_000, () => {
    network.isVisible = true;
    network.fire("shown");
  });
  server.at(601_000, () => server.end());
  const said: string[] = [];
  monotone(await shown(server, { network }, { onStatus: (status) => said.push(status) }));
  assert.deepEqual(said.slice(-3), ["offline", "connecting", "live"]);
});

test("a page that is looked at again pings, and connects anew within 3 s if there is no answer", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.at(5_000, () => {
    server.answersPings = false;
    network.fire("shown");
  });
  server.at(9_000, () => server.end());
  const began = server.clock.now();
  monotone(await shown(server, { network }));
  assert.deepEqual(server.seen.map(({ at }) => at - began), [0, 8_000]);
});

test("a page that is looked at again keeps a connection that answers", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.at(5_000, () => network.fire("shown"));
  server.at(20_000, () => server.end());
  await shown(server, { network });
  assert.equal(kinds(server), "websocket");
});

test("a page that is looked at while it waits connects at once with all tries", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.faults.websocket.push("fail", "fail", "fail", "fail");
  server.faults.state.push("fail", "fail", "fail", "fail");
  server.at(7_000, () => network.fire("shown"));
  server.at(20_000, () => server.end());
  const waits: number[] = [];
  await shown(server, { network }, { onWait: (seconds) => waits.push(seconds) });
  assert.deepEqual(waits, [2, 4, 8, 2]);
  assert.equal(server.seen[6]?.at, server.seen[0]!.at + 7_000);
});

test("a stream that was silent while the device slept is opened anew when the page is looked at", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.faults.events.push({ hold: 2 });
  server.at(30_000, () => network.fire("shown"));
  server.at(31_000, () => server.end());
  const began = server.clock.now();
  monotone(await shown(server, { network, transports: ["sse"] }));
  assert.deepEqual(server.seen.map(({ at }) => at - began), [0, 30_000]);
});

test("without a network the follow pauses, uses no tries, and goes on when the network is back", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.at(1_000, () => {
    server.answersPings = false;
    network.isOnline = false;
    network.fire("offline");
  });
  server.at(900_000, () => {
    network.isOnline = true;
    network.fire("online");
  });
  server.at(901_000, () => server.end());
  const waits: number[] = [];
  const began = server.clock.now();
  monotone(await shown(server, { network }, { onWait: (seconds) => waits.push(seconds) }));
  assert.deepEqual(server.seen.map(({ at }) => at - began), [0, 900_000]);
  assert.deepEqual(waits, []);
});

test("an offline event that comes late, when the network is back, pauses nothing", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.at(1_000, () => {
    server.answersPings = false;
    server.faults.health.push("fail");
    network.fire("online");
    network.fire("offline");
  });
  server.at(9_000, () => server.end());
  monotone(await shown(server, { network }));
});

test("an offline event while the connection still answers pauses nothing", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.at(1_000, () => {
    network.isOnline = false;
    network.fire("offline");
  });
  server.at(9_000, () => server.end());
  monotone(await shown(server, { network }));
  assert.equal(kinds(server), "websocket");
});

test("another network is tried from the best transport on, with all tries", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.faults.websocket.push({ refuse: 403 });
  server.at(5_000, () => network.fire("online"));
  server.at(6_000, () => server.end());
  monotone(await shown(server, { network }));
  assert.equal(kinds(server), "websocket state events websocket");
});

test("a page that the browser keeps aside closes its connection, and opens one when it is brought back", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  server.at(1_000, () => network.fire("frozen"));
  server.at(2_000, () => assert.deepEqual([server.sockets, server.attached], [0, 0]));
  server.at(700_000, () => network.fire("thawed"));
  server.at(701_000, () => server.end());
  monotone(await shown(server, { network }));
});

test("what is older than what was shown is dropped, and the start and the ending come once", async () => {
  const server = busy(5_000);
  server.at(3_500, () => {
    server.broadcast(server.message("job_progress", { processedCount: 1 }, 2));
    server.broadcast(server.message("job_started", { totalCount: 100 }, 9));
    server.broadcast(server.message("job_complete", { successCount: 1, failureCount: 0, duration: 0, results: [] }, 9));
    server.broadcast(server.message("job_complete", { successCount: 1, failureCount: 0, duration: 0, results: [] }, 9));
  });
  monotone(await shown(server));
});

test("unknown types are ignored, and what cannot be read is counted", async () => {
  const server = busy();
  server.at(500, () => {
    server.broadcast(server.message("job_paused", { by: "x" }));
    server.broadcast({ type: 7 });
    server.broadcast({ type: "job_progress" });
  });
  const following = clientOf(server).follow(server.job);
  const seen = new Set<string>();
  await server.clock.until((async () => {
    for await (const { type } of following) seen.add(type);
  })());
  assert.deepEqual([...seen], ["job_started", "job_progress", "job_complete"]);
  assert.equal(following.unreadable, 2);
});

test("a slow listener is shown the start, the newest progress and the ending", async () => {
  const server = new FakeServer();
  for (let item = 1; item <= 50; item += 1) server.at(item * 10, () => server.record(item));
  server.at(1_000, () => server.end());
  const messages: JobMessage[] = [];
  const slow = async (message: JobMessage): Promise<void> => {
    messages.push(message);
    await new Promise<void>((resolve) => server.clock.timer(10_000, resolve));
  };
  const following = clientOf(server).follow(server.job);
  await server.clock.until(following.run({ onStarted: slow, onProgress: slow, onComplete: slow }));
  assert.deepEqual(types(messages), ["job_started", "job_progress", "job_complete"]);
  assert.equal(messages[1]?.type === "job_progress" && messages[1].payload.processedCount, 50);
});

test("leaving the loop closes the socket and leaves no listener, no timer and the job alone", async () => {
  const server = new FakeServer();
  const network = new FakeNetwork();
  await server.clock.until((async () => {
    for await (const message of clientOf(server, { network }).follow(server.job)) if (message.type === "job_progress") break;
  })());
  await server.clock.pass(0);
  assert.deepEqual([server.sockets, server.attached, network.listeners.size, server.clock.pending], [0, 0, 0, 0]);
  assert.equal(kinds(server), "websocket");
});

test("an aborted signal ends the follow without an error, on every transport", async () => {
  for (const transport of ["websocket", "sse", "polling"] as const) {
    const server = new FakeServer();
    const controller = new AbortController();
    const network = new FakeNetwork();
    server.at(5_000, () => controller.abort());
    const messages = await shown(server, { transports: [transport], network }, { signal: controller.signal });
    await server.clock.pass(0);
    assert.deepEqual(types(messages), ["job_started"].concat(transport === "polling" ? [] : ["job_progress"]));
    assert.deepEqual([server.sockets, server.attached, network.listeners.size, server.clock.pending], [0, 0, 0, 0]);
  }
});

test("a follow with a signal that was aborted before opens nothing", async () => {
  const server = new FakeServer();
  assert.deepEqual(await shown(server, {}, { signal: AbortSignal.abort() }), []);
  assert.equal(kinds(server), "");
});

test("cancelled reconnection ends with the connection, or at once without one", async () => {
  const live = busy(9_000);
  const following = clientOf(live).follow(live.job);
  live.at(1_500, () => following.cancelReconnection());
  live.at(2_500, () => live.cut());
  const began = live.clock.now();
  assert.ok((await failure(live.clock.until(following.run()))) instanceof ConnectionLostError);
  assert.deepEqual([kinds(live), live.clock.now() - began], ["websocket", 2_500]);

  const away = busy(9_000);
  away.faults.websocket.push("fail");
  away.faults.state.push("fail");
  const waiting = clientOf(away).follow(away.job);
  away.at(500, () => waiting.cancelReconnection());
  const left = away.clock.now();
  assert.ok((await failure(away.clock.until(waiting.run()))) instanceof ConnectionLostError);
  assert.deepEqual([kinds(away), away.clock.now() - left], ["websocket state", 500]);
});

test("a ping measures the round trip, on the socket or by HTTP", async () => {
  for (const [transports, kind] of [[["websocket"], "websocket"], [["sse"], "events health"]] as const) {
    const server = new FakeServer();
    const following = clientOf(server, { transports }).follow(server.job);
    const running = following.run();
    await server.clock.pass(100);
    assert.equal(await server.clock.until(following.ping()), 0);
    assert.equal(kinds(server), kind);
    following.close();
    await running;
  }
});

test("a ping without an answer says that the connection is lost", async () => {
  const server = new FakeServer();
  const following = clientOf(server).follow(server.job);
  const running = following.run();
  await server.clock.pass(100);
  server.answersPings = false;
  assert.ok((await failure(server.clock.until(following.ping(500)))) instanceof ConnectionLostError);
  following.close();
  await running;
});

test("a ping whose socket is closed fails at once", async () => {
  const server = new FakeServer();
  const following = clientOf(server).follow(server.job);
  const running = following.run();
  await server.clock.pass(100);
  server.answersPings = false;
  const began = server.clock.now();
  const pinging = failure(following.ping());
  server.end();
  assert.ok((await server.clock.until(pinging)) instanceof ConnectionLostError);
  assert.equal(server.clock.now(), began);
  await running;
});

test("a follow is iterated over once", async () => {
  const server = busy();
  const following = clientOf(server).follow(server.job);
  await server.clock.until(following.run());
  assert.match((await failure(following.run())).message, /before/);
});

test("whatever is cut and held, what is shown never falls and ends once", async () => {
  let seed = 20260;
  const dice = (sides: number): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * sides);
  };
  const faults = (): any => [{ cut: dice(4), code: [1006, 1011, 1012, 1013][dice(4)] }, { hold: dice(4) }, { refuse: 503, problem: "E_OVERLOADED" }, { refuse: 403 }, "fail", "serve"][dice(6)];
  for (let history = 0; history < 150; history += 1) {
    const server = new FakeServer();
    for (let item = 1; item < 20; item += 1) server.at(item * (500 + dice(3000)), () => server.record(Math.max(server.state.processedCount, item)));
    server.at(70_000, () => server.end());
    server.faults.websocket.push(...Array.from({ length: dice(4) }, faults));
    server.faults.events.push(...Array.from({ length: dice(3) }, faults));
    monotone(await shown(server, {}));
  }
});
