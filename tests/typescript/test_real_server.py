"""The built TypeScript client in Node and in a browser, with real servers, kills and proxies."""

import asyncio
import io
import json
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from examples.make_library import write_library

from shelfwire.jobs.frames import Dismissal
from tests.faults.plans import Fault, Moment, Plan
from tests.faults.proxy import Proxy
from tests.live import MakeServer, until
from tests.servers import Server
from tests.test_browser_example import browsing, website
from tests.typescript.node import NO_SOCKETS, SOCKETS, following, node, run

SECONDS = 60
ROWS = 40_000
DELAYS = (0.05,) * 400
transports = pytest.mark.parametrize(("flags", "transport"), [((NO_SOCKETS,), "sse"), ((SOCKETS,), "websocket")])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program, folder = node(), tmp_path_factory.mktemp("client")
    done = run([program, "build.mjs", str(folder)])
    assert done.returncode == 0, done.stderr
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture(scope="module")
def library() -> bytes:
    text = io.StringIO()
    write_library(text, ROWS, seed=7)
    return text.getvalue().encode()


async def submit(url: str, data: bytes) -> dict[str, Any]:
    async with httpx2.AsyncClient(base_url=url, timeout=SECONDS) as http:
        answer = await http.post("/api/import/csv-gemini", files={"file": ("books.csv", data)})
        created: dict[str, Any] = answer.json()["data"]
        return created


@transports
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_that_ends_in_the_middle_costs_a_follower_nothing(
    tmp_path: Path, built: Path, library: bytes, flags: tuple[str], transport: str, number: signal.Signals
) -> None:
    async with Server(tmp_path) as server, asyncio.timeout(SECONDS):
        job = await submit(server.url, library)
        async with following(built, server.url, job, *flags, delays=DELAYS) as follower:
            await follower.until_shown(processed=1)
            await server.end(number)
            await server.start()
            await follower.until_over()
    follower.check()
    assert follower.waits > 0
    assert follower.transport == transport


@pytest.mark.parametrize(
    ("plan", "flags", "transport"),
    [
        (Plan(fault=Fault.RESET, moment=Moment.IN_HEAD), (SOCKETS,), "sse"),
        (Plan(refuse=502), (SOCKETS,), "sse"),
        (Plan(hold=True), (NO_SOCKETS,), "polling"),
    ],
    ids=["resets upgrades", "refuses upgrades", "holds streams"],
)
async def test_a_proxy_that_lets_a_transport_not_through_makes_room_for_the_next(
    make_server: MakeServer, built: Path, plan: Plan, flags: tuple[str], transport: str
) -> None:
    async with make_server(gated=True) as server, asyncio.timeout(SECONDS):
        job = await server.submit()
        port = int(server.url.rpartition(":")[2])
        # The follower's first connection is the one that asks for the transport.
        async with (
            Proxy(port, lambda number: plan if number == 0 else Plan()) as proxy,
            following(built, proxy.url, job, *flags) as follower,
        ):
            await follower.until_shown()
            for step in (2, 3, None):
                server.gate.steps.put_nowait(step)
            await follower.until_over()
    follower.check()
    assert follower.transport == transport


async def test_a_program_sends_a_file_and_follows_its_job(make_server: MakeServer, built: Path) -> None:
    given = {"file": "Title\nDune\nEmma\n"}
    async with make_server() as server, following(built, server.url, given) as follower, asyncio.timeout(SECONDS):
        await follower.until_over()
    follower.check()
    assert follower.messages[-1]["payload"]["successCount"] == 2


async def test_work_in_node_is_reported_without_a_gap_though_its_server_is_killed(tmp_path: Path, built: Path) -> None:
    items = 2_000
    async with Server(tmp_path) as server, asyncio.timeout(SECONDS):
        words = json.dumps({"report": (built / "report.js").as_uri(), "url": server.url, "items": items})
        program = str(Path(__file__).with_name("reporter.mjs"))
        worker = await asyncio.create_subprocess_exec(node(), program, words, stdout=asyncio.subprocess.PIPE)
        assert worker.stdout is not None
        job = json.loads(await worker.stdout.readline())
        async with following(built, server.url, job, delays=DELAYS) as follower:
            await follower.until_shown(processed=1)
            await server.end(signal.SIGKILL)
            await server.start()
            await follower.until_over()
        assert json.loads(await worker.stdout.readline()) == "complete"
        assert await worker.wait() == 0
    follower.check()
    assert follower.messages[-1]["payload"]["successCount"] == items


async def test_a_follower_whose_token_is_wrong_is_refused_and_does_not_come_back(
    make_server: MakeServer, built: Path
) -> None:
    async with make_server(gated=True) as server, asyncio.timeout(SECONDS):
        job = {**await server.submit(), "token": "wrong"}
        async with following(built, server.url, job, SOCKETS) as follower:
            await follower.until_over()
    assert (follower.error, follower.messages, follower.waits) == ("E_UNAUTHORIZED", [], 0)


PAGE = """
import { Client, storedTokens } from "/example/client.js";
const report = (what) => fetch("/report", { method: "POST", body: JSON.stringify(what) });
const shares = [], heard = [];
try {
  const client = new Client({ url: SERVER, delays: [0.05, 0.05, 0.05] });
  const onUpload = (share) => shares.push(share);
  const job = await client.importCsv(new File(["Title\\nDune\\nEmma\\n"], "books.csv"), { onUpload });
  const following = client.follow(job);
  let rtt;
  for await (const message of following) {
    heard.push(message);
    await report({ heard: message.type });
    if (message.type !== "job_started") continue;
    rtt = await following.ping();
    await report({ pinged: true });
  }
  const items = [];
  for await (const item of client.results(job)) items.push(item.index);
  let refused;
  await client.state({ ...job, token: "wrong" }).catch((error) => { refused = [error.name, error.code]; });
  const locked = await storedTokens().alone(job.jobId, async () => (await navigator.locks.query()).held.length);

  const policy = Object.assign(document.createElement("meta"), { httpEquiv: "Content-Security-Policy" });
  policy.content = "style-src 'self'";
  document.head.append(policy);
  const { ShelfwireProgress } = await import("/example/element.js");
  const element = Object.assign(new ShelfwireProgress(), { client, job });
  const complete = new Promise((resolve) => element.addEventListener("complete", resolve));
  document.body.append(element);
  await complete;
  const { height, width } = getComputedStyle(element.shadowRoot.querySelector("[part=bar]"));
  const bar = [height, getComputedStyle(element.shadowRoot.querySelector("[part=fill]")).width === width];
  const last = heard.at(-1).type;
  await report({ ending: last, heard, shares, rtt, items, refused, locked, bar, transport: following.transport });
} catch (error) {
  await report({ error: `${error.name}: ${error.message}` });
}
"""


async def test_a_page_sends_a_file_follows_its_job_over_a_socket_that_is_cut_and_shows_it_in_an_element(
    make_server: MakeServer, built: Path
) -> None:
    async with website(built) as site, make_server(gated=True, origins=(site.url,)) as server:
        site.script = f"const SERVER = {json.dumps(server.url)};{PAGE}"
        async with browsing(site.url), asyncio.timeout(SECONDS):
            await until(lambda: {"pinged": True} in site.reports)
            server.gate.steps.put_nowait(2)
            for follower in tuple(server.app.service._hub._attached()):
                follower.dismiss(Dismissal.LEAVING)
            server.gate.steps.put_nowait(3)
            server.gate.steps.put_nowait(None)
            last = await site.last
    assert "error" not in last, last
    counts = [m["payload"]["processedCount"] for m in last["heard"] if m["type"] == "job_progress"]
    assert counts == sorted(counts)
    assert [last["ending"], last["transport"], last["items"]] == ["job_complete", "websocket", [0, 1, 2, 3, 4]]
    assert last["shares"][-1] == 1
    assert last["rtt"] >= 0
    assert last["locked"] == 1
    assert last["bar"] == ["8px", True]
    assert last["refused"] == ["RefusedError", "E_UNAUTHORIZED"]
