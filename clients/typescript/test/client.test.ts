import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, type ClientOptions, ConnectionLostError, RefusedError } from "../src/client.js";
import { FakeServer } from "./fake.js";

function clientOf(server: FakeServer, options: ClientOptions = {}): Client {
  const { clock, fetch, url } = server;
  return new Client({ url, clock, fetch, WebSocket: null, network: null, random: () => 0, ...options });
}

/** The error of a call, with the time that it takes. */
async function failure(server: FakeServer, call: Promise<unknown>): Promise<any> {
  return server.clock.until(call.then(() => { throw new Error("nothing was thrown"); }, (error: unknown) => error));
}

const list = new File(["Title\nEmma\n"], "books.csv");

test("every request leaves cookies, redirects, referrers and caches out", async () => {
  const server = new FakeServer();
  const client = clientOf(server);
  await client.importCsv(list);
  await client.state(server.job);
  server.at(1_000, () => server.end());
  await server.clock.until(client.follow(server.job).run());
  assert.ok(server.options.length >= 3);
  for (const { credentials, redirect, referrerPolicy, cache } of server.options) {
    assert.deepEqual([credentials, redirect, referrerPolicy, cache], ["omit", "error", "no-referrer", "no-store"]);
  }
});

test("the server's address may have a path, and a slash at its end", async () => {
  const server = new FakeServer();
  await clientOf(server, { url: `${server.url}/` }).state(server.job);
  assert.equal(server.seen[0]?.path, `/api/jobs/${server.job.jobId}`);
});

test("an address that no server can have is a mistake, and is not repeated", () => {
  for (const url of ["ftp://server.test", "http://user:secret@server.test", "http://server.test/?a=1"]) {
    assert.throws(() => new Client({ url }), (error: Error) => error instanceof TypeError && !error.message.includes("secret"));
  }
});

test("a creation sends the API key, which nothing else does", async () => {
  const server = new FakeServer();
  const client = clientOf(server, { apiKey: "key" });
  const job = await client.importCsv(list, { gemini: "never", enrich: true, jobId: "chosen" });
  await client.cancel(job);
  assert.deepEqual(server.seen.map(({ headers }) => headers.get("X-API-Key")), ["key", null]);
  assert.equal(server.seen[0]?.path, "/api/import/csv-gemini?enrich=true");
  const form = server.options[0]?.body as FormData;
  assert.deepEqual([(form.get("file") as File).name, form.get("gemini"), form.get("jobId")], ["books.csv", "never", "chosen"]);
  assert.deepEqual([job.jobId, job.token], [server.job.jobId, "token-1"]);
});

test("one photo goes alone, several go together", async () => {
  const server = new FakeServer();
  const client = clientOf(server);
  const photo = new File(["x"], "a.jpg");
  await client.scan([photo]);
  await client.scan([photo, photo]);
  assert.deepEqual(server.seen.map(({ path }) => path), ["/api/scan-bookshelf", "/api/scan-bookshelf/batch"]);
  assert.deepEqual(server.options.map(({ body }) => [...(body as FormData).keys()]), [["image"], ["images", "images"]]);
});

test("any pipeline can be started, with files or with JSON", async () => {
  const server = new FakeServer();
  const client = clientOf(server);
  await client.start("lines", { file: list });
  await client.start("lines", { json: { a: 1 } }, { jobId: "chosen" });
  await client.enrich([{ title: "Emma" }]);
  assert.equal(server.seen[0]?.path, "/api/pipelines/lines/jobs");
  assert.equal(server.options[1]?.body, '{"a":1,"jobId":"chosen"}');
  assert.equal(server.options[2]?.body, '{"books":[{"title":"Emma"}]}');
});

test("a creation whose answer was lost is sent again under the same key, three times", async () => {
  const server = new FakeServer();
  server.faults.create.push("fail", { refuse: 502 }, "fail");
  const job = await server.clock.until(clientOf(server).importCsv(list));
  assert.equal(job.token, "token-1");
  const tries = server.seen.filter(({ kind }) => kind === "create");
  assert.equal(tries.length, 4);
  assert.equal(new Set(tries.map(({ headers }) => headers.get("Idempotency-Key"))).size, 1);
  assert.deepEqual(tries.map(({ at }) => at - tries[0]!.at), [0, 2_000, 6_000, 14_000]);
  await clientOf(server).importCsv(list);
  assert.notEqual(server.seen.at(-1)?.headers.get("Idempotency-Key"), tries[0]?.headers.get("Idempotency-Key"));
});

test("a creation whose answer stays lost says the key that starts no second job", async () => {
  const server = new FakeServer();
  server.faults.create.push("fail", "fail", "fail", "fail");
  const error = await failure(server, clientOf(server).importCsv(list));
  assert.ok(error instanceof ConnectionLostError);
  assert.equal(error.idempotencyKey, server.seen[0]?.headers.get("Idempotency-Key"));
});

test("nothing is sent again before the server has answered something small", async () => {
  const server = new FakeServer();
  server.faults.create.push("fail");
  server.faults.health.push("fail");
  await server.clock.until(clientOf(server).importCsv(list));
  assert.deepEqual(server.kinds(), ["create", "health", "health", "create"]);
});

test("an upload that a gateway fails to pass on twice is too large for it", async () => {
  const server = new FakeServer();
  server.faults.create.push({ refuse: 504 }, { refuse: 502 });
  const error = await failure(server, clientOf(server).importCsv(list));
  assert.deepEqual([error.name, error.code], ["RefusedError", "E_FILE_TOO_LARGE"]);
});

test("a refusal is thrown at once, with all that the server says", async () => {
  const server = new FakeServer();
  server.faults.create.push({ refuse: 429, problem: "E_RATE_LIMITED", retryAfter: "7" });
  const error = await failure(server, clientOf(server).importCsv(list));
  assert.ok(error instanceof RefusedError);
  assert.deepEqual([error.code, error.status, error.retryAfter, error.userMessage], ["E_RATE_LIMITED", 429, 7, "No."]);
  assert.deepEqual(server.kinds(), ["create"]);
});

test("what a proxy answers in the server's place is told apart from a refusal", async () => {
  const names = [[401, "E_MAX_RETRIES"], [502, "E_MAX_RETRIES"], [413, "E_FILE_TOO_LARGE"], [429, "E_RATE_LIMITED"], [418, "E_INTERNAL"]] as const;
  for (const [status, code] of names) {
    const server = new FakeServer();
    server.faults.state.push({ refuse: status });
    assert.equal((await failure(server, clientOf(server).state(server.job))).code, code);
  }
});

test("a server that cannot be reached is a lost connection", async () => {
  const server = new FakeServer();
  server.faults.state.push("fail", "silent");
  for (const _ of [1, 2]) assert.ok((await failure(server, clientOf(server).state(server.job))) instanceof ConnectionLostError);
});

test("an upload may take as long as it takes", async () => {
  const server = new FakeServer();
  const slow: typeof fetch = async (input, init) => {
    await new Promise<void>((resolve) => server.clock.timer(3_600_000, resolve));
    init?.signal?.throwIfAborted();
    return server.fetch(input, init);
  };
  assert.equal((await server.clock.until(clientOf(server, { fetch: slow }).importCsv(list))).token, "token-1");
});

test("an aborted call throws the reason of its signal", async () => {
  const server = new FakeServer();
  server.faults.create.push("fail", "fail", "fail", "fail");
  const controller = new AbortController();
  server.at(1_000, () => controller.abort(new Error("enough")));
  assert.equal((await failure(server, clientOf(server).importCsv(list, { signal: controller.signal }))).message, "enough");
});

test("results are read page by page until there is no next", async () => {
  const asked: string[] = [];
  const pages = [{ items: [{ index: 0 }, { index: 1 }], next: "1" }, { items: [{ index: 2 }], next: null }];
  const fetch = async (url: any): Promise<Response> => {
    asked.push(new URL(url).search);
    return Response.json({ data: pages[asked.length - 1] });
  };
  const client = new Client({ url: "http://server.test", fetch });
  const seen = [];
  for await (const { index } of client.results({ jobId: "j", token: "t" }, { status: "failed" })) seen.push(index);
  assert.deepEqual(seen, [0, 1, 2]);
  assert.deepEqual(asked, ["?limit=1000&status=failed", "?cursor=1&limit=1000&status=failed"]);
});

test("an export is one table with one header", async () => {
  const pages = ["a,b\r\n1,2\r\n", "a,b\r\n3,4\r\n"];
  const fetch = async (url: any): Promise<Response> =>
    new URL(url).searchParams.has("cursor")
      ? new Response(pages[1])
      : new Response(pages[0], { headers: { Link: '<?cursor=9&limit=1000>; rel="next"' } });
  let text = "";
  for await (const part of new Client({ url: "http://server.test", fetch }).export({ jobId: "j", token: "t" })) text += part;
  assert.equal(text, "a,b\r\n1,2\r\n3,4\r\n");
});

test("tokens are made, replaced and revoked", async () => {
  const server = new FakeServer();
  server.tokenSeconds = 60;
  const client = clientOf(server);
  const watch = await client.newToken(server.job, { scopes: ["watch"], expiresIn: 60 });
  assert.equal(server.options[0]?.body, '{"scopes":["watch"],"expiresIn":60}');
  assert.deepEqual(watch, { jobId: server.job.jobId, token: "token-2", expiresAt: server.clock.now() + 60_000 });
  assert.equal((await client.rotate(watch)).token, "token-3");
  await client.revoke(watch);
});
